/*
 * How one log line is written, as text or JSON: pure formatting into a fixed buffer. A line never holds a
 * control byte but its last newline, an unescaped quote inside a value, or bytes that are not UTF-8, whoever
 * sent them.
 */
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "common/log/log.h"

/* LOG_LINE_MAX is PIPE_BUF, so that lines of several processes on one pipe never mix. Values are cut at
 * LOG_VALUE_MAX bytes of input, or earlier where the line ends; fields for which no room is left are left
 * out. */
enum { LOG_LINE_MAX = 4096, LOG_VALUE_MAX = 1024 };

struct log_event {
	enum log_level level;
	const char *program;
	const char *message;
	const struct log_field *fields;
	size_t count;
	int64_t wall_ms;
};

/* Returns the bytes written, the newline included, not terminated. */
size_t log_line_format(char line[LOG_LINE_MAX], enum log_format format, const struct log_event *event);
const char *log_level_name(enum log_level level);

#endif
