#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/version.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

static struct {
	struct metric *memory, *open_fds, *max_fds, *cpu, *lost_lines;
} process;

static int64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	if (file == NULL)
		return 0;
	long total = 0, resident = 0;
	int fields = fscanf(file, "%ld %ld", &total, &resident);
	fclose(file);
	return fields == 2 ? resident * sysconf(_SC_PAGESIZE) : 0;
}

static int64_t count_open_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	if (directory == NULL)
		return 0;
	/* `.`, `..` and the directory's own descriptor do not count. */
	int64_t count = -3;
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

static int64_t to_us(struct timeval time)
{
	return time.tv_sec * 1000000 + time.tv_usec;
}

static void update(void *arg)
{
	(void)arg;
	struct rusage usage = {0};
	getrusage(RUSAGE_SELF, &usage);
	struct rlimit limit = {0};
	getrlimit(RLIMIT_NOFILE, &limit);
	metric_set(process.memory, resident_bytes());
	metric_set(process.open_fds, count_open_fds());
	metric_set(process.max_fds, (int64_t)limit.rlim_cur);
	metric_set(process.cpu, to_us(usage.ru_utime) + to_us(usage.ru_stime));
	metric_set(process.lost_lines, (int64_t)log_lost_lines());
}

void metrics_add_process(void)
{
	if (process.memory != NULL)
		return;
	process.memory = metrics_gauge("postern_process_resident_memory_bytes", NULL, "Memory in RAM.");
	process.open_fds = metrics_gauge("postern_process_open_fds", NULL, "Open file descriptors.");
	process.max_fds = metrics_gauge("postern_process_max_fds", NULL, "Most file descriptors allowed.");
	process.cpu = metrics_seconds_counter(
	    "postern_process_cpu_seconds_total", NULL, "Processor time, user and system.");
	process.lost_lines = metrics_counter("postern_log_lost_lines_total", NULL,
	    "Log lines that could not be written without waiting, and were dropped.");
	metric_set(
	    metrics_gauge("postern_process_start_time_seconds", NULL, "When the process started, Unix time."),
	    clock_wall_ms() / 1000);
	metric_set(
	    metrics_gauge("postern_build_info", "version=\"" POSTERN_VERSION "\"", "Which release runs."), 1);
	metrics_before_render(update, NULL);
}
