/* Which operations are counted, and what the servers' processes spent meanwhile. */
#include <dirent.h>
#include <stdio.h>

#include "load.h"

/* The first number of each thread's schedstat, nanoseconds. */
static int64_t thread_cpu(int pid, const char *thread)
{
	char path[300];
	long long spent = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%lld", &spent) != 1)
		spent = 0;
	fclose(file);
	return spent;
}

int64_t servers_cpu(void)
{
	int64_t sum = 0;

	for (int i = 0; i < setup.pid_count; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/task", setup.pids[i]);
		DIR *tasks = opendir(path);
		if (!tasks)
			die("process %d has gone", setup.pids[i]);
		for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks))
			if (entry->d_name[0] != '.')
				sum += thread_cpu(setup.pids[i], entry->d_name);
		closedir(tasks);
	}
	return sum;
}

void count_start(void)
{
	run.started = now_ns();
	run.cpu = servers_cpu();
}

void count_done(int64_t started)
{
	if (run.done >= setup.warm && run.done < setup.warm + setup.count)
		run.latencies[run.done - setup.warm] = (int32_t)((now_ns() - started) / 1000);
	run.done++;
	if (run.done == setup.warm)
		count_start();
}

bool count_is_over(void)
{
	return run.done >= setup.warm + setup.count;
}

bool count_begins(void)
{
	if (run.begun == run.gate)
		return false;
	run.begun++;
	return true;
}

void count_open_gate(void)
{
	if (run.done != run.gate || count_is_over())
		return;
	run.gate += setup.count;
	for (long i = 0; i < run.opened; i++) {
		struct client *client = &run.clients[i];

		if (client->in_handshake)
			continue;
		setup.protocol->go_on(client);
		connection_drive(client);
	}
}
