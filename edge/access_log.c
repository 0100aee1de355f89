#include "edge/access_log.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"

struct access_entry {
	char method[33];
	char host[256];
	char target[201];
	const char *upstream;
};

static void copy_cut(char *out, size_t room, struct http_slice slice)
{
	size_t size = slice.size < room ? slice.size : room - 1;

	memcpy(out, slice.bytes, size);
	out[size] = '\0';
}

struct access_entry *access_entry_new(const struct http_head *head)
{
	struct access_entry *entry = mem_alloc(sizeof *entry);

	copy_cut(entry->method, sizeof entry->method, head->method);
	if (head->host.size > 0)
		copy_cut(entry->host, sizeof entry->host, head->host);
	copy_cut(entry->target, sizeof entry->target, head->target);
	return entry;
}

void access_entry_set_upstream(struct access_entry *entry, const char *upstream)
{
	if (entry)
		entry->upstream = upstream;
}

void access_entry_end(
    struct access_entry *entry, const char *client, int status, uint64_t bytes, int64_t microseconds)
{
	if (!entry)
		return;
	log_info("request", log_str("client", client), log_str("host", entry->host),
	    log_str("method", entry->method), log_str("target", entry->target), log_int("status", status),
	    log_int("bytes", (int64_t)bytes), log_int("ms", microseconds / 1000),
	    log_str("upstream", entry->upstream));
	free(entry);
}
