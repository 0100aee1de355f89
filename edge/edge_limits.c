#include "edge/edge_limits.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log/log.h"

enum { DESCRIPTORS_OF_OURS = 256 }; /* listeners, database, ask, log and the like */

/* Every connection may need a second descriptor for its upstream. */
static int64_t connections_for_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 256;
	int64_t files = limit.rlim_cur > 1 << 24 ? 1 << 24 : (int64_t)limit.rlim_cur;
	return files > 2 * DESCRIPTORS_OF_OURS ? (files - DESCRIPTORS_OF_OURS) / 2 : files / 4;
}

/* INT64_MAX: none. */
static int64_t limit_of_cgroup(const char *path)
{
	long long bytes = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return INT64_MAX;
	int count = fscanf(file, "%lld", &bytes);
	fclose(file);
	return count == 1 && bytes > 0 ? bytes : INT64_MAX;
}

static int64_t smaller(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

static int64_t memory_of_machine(void)
{
	int64_t memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

	memory = smaller(memory, limit_of_cgroup("/sys/fs/cgroup/memory.max"));
	return smaller(memory, limit_of_cgroup("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

void edge_limits_read(struct edge_limits *limits, const struct settings *settings)
{
	int64_t connections = settings_number(settings, "max-connections");
	int64_t memory = settings_number(settings, "max-memory");
	int64_t possible = connections_for_descriptors();

	*limits = (struct edge_limits){
	    .max_connections = connections ? connections : possible,
	    .max_connections_per_client = settings_number(settings, "max-connections-per-client"),
	    .max_memory = memory ? memory : memory_of_machine() / 2,
	    .max_waiting = settings_number(settings, "max-waiting"),
	    .max_waiting_bytes = settings_number(settings, "max-waiting-bytes"),
	    .hello_timeout_ms = settings_number(settings, "hello-timeout"),
	    .handshake_timeout_ms = settings_number(settings, "handshake-timeout"),
	};
	if (connections > possible)
		log_warn("max-connections is more than the limit of open files allows",
		    log_int("max_connections", connections), log_int("possible", possible));
}
