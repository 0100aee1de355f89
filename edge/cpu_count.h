/*
 * How many CPUs this process may keep busy: those it is allowed to run on, or its cgroup's quota rounded up
 * where that is less.
 */
#ifndef EDGE_CPU_COUNT_H
#define EDGE_CPU_COUNT_H

/* At least 1. `cgroup_root` is where the cgroup file system stands: "/sys/fs/cgroup". */
int cpu_count(const char *cgroup_root);

#endif
