#include "edge/cpu_count.h"

#include <sched.h>
#include <stdio.h>

static int allowed_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* One or two numbers from a file; how many there were. "max" is none. */
static int read_numbers(const char *root, const char *name, long long *first, long long *second)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", root, name);
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	int count = fscanf(file, "%lld %lld", first, second);
	fclose(file);
	return count < 0 ? 0 : count;
}

/* 0: no quota. Version 2 of cgroups has both numbers in one file, version 1 one in each of two. */
static int quota_cpus(const char *root)
{
	long long quota = 0, period = 0, ignored = 0;

	if (read_numbers(root, "cpu.max", &quota, &period) != 2 &&
	    (read_numbers(root, "cpu/cpu.cfs_quota_us", &quota, &ignored) != 1 ||
		read_numbers(root, "cpu/cpu.cfs_period_us", &period, &ignored) != 1))
		return 0;
	if (quota <= 0 || period <= 0 || quota / period >= 1024)
		return 0;
	return (int)((quota + period - 1) / period);
}

int cpu_count(const char *cgroup_root)
{
	int allowed = allowed_cpus();
	int quota = quota_cpus(cgroup_root);

	return quota > 0 && quota < allowed ? quota : allowed;
}
