#include "edge/front/access_log.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log_line.h"
#include "common/log/log_writer.h"
#include "common/net/net.h"

enum {
	GATHER_MS = 5, /* under load the writer wakes so often, not for each line */
	LAST_LINES_MS = 500,
	METHOD_MAX = 32,
	HOST_MAX = 255,
	PATH_MAX_SHOWN = 500,
	AGENT_MAX = 200,
	REFERER_MAX = 200,
	FIELDS_MAX = 32,
};

struct access_log {
	struct log_writer *writer;
};

/* The strings follow the struct. */
struct access_entry {
	const char *method, *host, *path, *agent, *referer;
	char upstream[NET_ADDRESS_TEXT];
	char text[];
};

struct access_log *access_log_new(int fd)
{
	struct access_log *log = mem_alloc(sizeof *log);

	log->writer = log_writer_new(fd, GATHER_MS);
	return log;
}

void access_log_free(struct access_log *log)
{
	if (!log)
		return;
	log_writer_flush(log->writer, LAST_LINES_MS);
	log_writer_free(log->writer);
	free(log);
}

/* ---- what is kept of a request ---- */

static struct http_slice cut(struct http_slice slice, size_t max)
{
	if (slice.size > max)
		slice.size = max;
	return slice;
}

static struct http_slice without_query(struct http_slice slice)
{
	size_t size = 0;

	while (size < slice.size && slice.bytes[size] != '?' && slice.bytes[size] != '#')
		size++;
	return (struct http_slice){.bytes = slice.bytes, .size = size};
}

/* RFC 9110 section 10.1.3 forbids clients to send name and password of a URL; some do. */
static struct http_slice without_user(struct http_slice url)
{
	const char *scheme = memmem(url.bytes, url.size, "://", 3);
	size_t at = 0;

	for (size_t end = scheme ? (size_t)(scheme - url.bytes) + 3 : url.size;
	     end < url.size && url.bytes[end] != '/'; end++)
		if (url.bytes[end] == '@')
			at = end + 1;
	return (struct http_slice){.bytes = url.bytes + at, .size = url.size - at};
}

static struct http_slice value_of(const struct http_head *head, const char *name)
{
	const struct http_field *field = http_head_find(head, name, NULL);

	return field ? field->value : (struct http_slice){.bytes = ""};
}

static const char *put(char **at, struct http_slice slice)
{
	char *start = *at;

	if (slice.size > 0)
		memcpy(start, slice.bytes, slice.size);
	start[slice.size] = '\0';
	*at += slice.size + 1;
	return start;
}

struct access_entry *access_entry_new(const struct http_head *head)
{
	if (!head)
		return mem_alloc(sizeof(struct access_entry));
	struct http_slice method = cut(head->method, METHOD_MAX);
	struct http_slice host = cut(head->host, HOST_MAX);
	struct http_slice path = cut(without_query(head->target), PATH_MAX_SHOWN);
	struct http_slice agent = cut(value_of(head, "user-agent"), AGENT_MAX);
	struct http_slice referer = cut(without_user(without_query(value_of(head, "referer"))), REFERER_MAX);
	size_t room = method.size + host.size + path.size + agent.size + referer.size + 5;
	struct access_entry *entry = mem_resize(NULL, sizeof *entry + room);
	char *at = entry->text;

	entry->method = put(&at, method);
	entry->host = put(&at, host);
	entry->path = put(&at, path);
	entry->agent = put(&at, agent);
	entry->referer = put(&at, referer);
	entry->upstream[0] = '\0';
	return entry;
}

void access_entry_set_upstream(struct access_entry *entry, const char *upstream)
{
	if (entry)
		snprintf(entry->upstream, sizeof entry->upstream, "%s", upstream);
}

/* ---- the line ---- */

struct fields {
	struct log_field list[FIELDS_MAX];
	size_t count;
};

static void add_string(struct fields *fields, const char *name, const char *value)
{
	if (value && value[0] != '\0')
		fields->list[fields->count++] = log_str(name, value);
}

static void add_number(struct fields *fields, const char *name, int64_t value)
{
	fields->list[fields->count++] = log_int(name, value);
}

static void add_time(struct fields *fields, const char *name, int64_t us)
{
	if (us >= 0)
		add_number(fields, name, us);
}

static void add_tls(struct fields *fields, const struct access_outcome *outcome)
{
	if (!outcome->ssl)
		return;
	add_string(fields, "sni", outcome->sni);
	add_string(fields, "tls", SSL_get_version(outcome->ssl));
	add_string(fields, "cipher", SSL_get_cipher_name(outcome->ssl));
	add_string(fields, "resumed", SSL_session_reused(outcome->ssl) ? "yes" : "no");
}

static void add_times(struct fields *fields, const struct access_outcome *outcome)
{
	add_time(fields, "hello_us", outcome->hello_us);
	add_time(fields, "certificate_us", outcome->certificate_us);
	add_time(fields, "handshake_us", outcome->handshake_us);
	add_time(fields, "head_us", outcome->head_us);
	add_time(fields, "connect_us", outcome->connect_us);
	add_time(fields, "first_byte_us", outcome->first_byte_us);
	add_time(fields, "total_us", outcome->total_us);
}

static void fill(
    struct fields *fields, const struct access_entry *entry, const struct access_outcome *outcome)
{
	static const char *const versions[HTTP_VERSIONS] = {"1.0", "1.1", "2"};

	add_string(fields, "request_id", outcome->request_id);
	add_string(fields, "client", outcome->client);
	add_string(fields, "method", entry->method);
	add_string(fields, "host", entry->host);
	add_string(fields, "path", entry->path);
	add_string(fields, "http", versions[outcome->version]);
	add_number(fields, "status", outcome->status);
	add_number(fields, "bytes_in", (int64_t)outcome->bytes_in);
	add_number(fields, "bytes_out", (int64_t)outcome->bytes_out);
	add_number(fields, "served_before", (int64_t)outcome->served_before);
	add_string(fields, "tunnel_end", outcome->ended);
	add_times(fields, outcome);
	add_string(fields, "upstream", entry->upstream);
	add_number(fields, "retries", outcome->retries);
	add_tls(fields, outcome);
	add_string(fields, "user_agent", entry->agent);
	add_string(fields, "referer", entry->referer);
}

void access_log_write(
    struct access_log *log, const char *message, const struct log_field *fields, size_t count)
{
	char line[LOG_LINE_MAX];
	const struct log_event event = {.level = LOG_LEVEL_INFO,
	    .program = "postern-edge",
	    .message = message,
	    .fields = fields,
	    .count = count,
	    .wall_ms = clock_wall_ms()};

	log_writer_put(log->writer, line, log_line_format(line, log_format_now(), &event));
}

void access_entry_end(
    struct access_entry *entry, struct access_log *log, const struct access_outcome *outcome)
{
	struct fields fields = {.count = 0};

	if (!entry)
		return;
	if (log) {
		fill(&fields, entry, outcome);
		access_log_write(log, "request", fields.list, fields.count);
	}
	free(entry);
}
