#include "edge/pass/pass_log.h"

#include <stdio.h>

#include "common/base/clock.h"

enum { FIELDS_MAX = 16 };

void pass_line_begin(struct pass_line *line, const char *route)
{
	*line = (struct pass_line){.connect_us = -1, .hello_us = -1};
	snprintf(line->route, sizeof line->route, "%s", route);
}

static void add_string(struct log_field *fields, size_t *count, const char *name, const char *value)
{
	if (value && value[0] != '\0')
		fields[(*count)++] = log_str(name, value);
}

static void add_time(struct log_field *fields, size_t *count, const char *name, int64_t us)
{
	if (us >= 0)
		fields[(*count)++] = log_int(name, us);
}

void pass_line_end(struct pass_line *line, struct access_log *log, const struct net_address *client)
{
	struct log_field fields[FIELDS_MAX];
	char address[NET_ADDRESS_TEXT];
	size_t count = 0;

	if (!log)
		return;
	fields[count++] = log_str("client", net_format_address(client, address));
	add_string(fields, &count, "sni", line->name);
	fields[count++] = log_str("route", line->route);
	add_string(fields, &count, "upstream", line->upstream);
	fields[count++] = log_int("bytes_in", (int64_t)line->bytes_in);
	fields[count++] = log_int("bytes_out", (int64_t)line->bytes_out);
	add_time(fields, &count, "hello_us", line->hello_us);
	add_time(fields, &count, "connect_us", line->connect_us);
	fields[count++] = log_int("total_us", clock_monotonic_us() - line->began_us);
	fields[count++] = log_int("retries", line->retries);
	add_string(fields, &count, "session", line->session);
	fields[count++] = log_str("end", line->end);
	access_log_write(log, "passthrough", fields, count);
}
