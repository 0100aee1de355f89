/*
 * One line per event: a fixed message and named fields, as text or JSON. Values are escaped (no control byte,
 * no quote gets through) and cut at 1,024 bytes; a line is written by one write(2). There is no field type
 * for a secret: keys, tokens and cookies are never passed in.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_field {
	const char *name;
	const char *string; /* NULL: `number` counts */
	int64_t number;
};

/* `program` is kept, not copied. Before the call everything from INFO up goes to stderr as text. A thread of
 * its own writes (log_writer.h): no caller ever waits for a pipe or a disk, and what cannot be written is
 * lost and counted. `fd` stays the caller's. */
void log_init(const char *program, enum log_level level, enum log_format format, int fd);
/* While it runs. */
void log_set(enum log_level level, enum log_format format);
enum log_format log_format_now(void);
/* Waits until what was logged is written, for half a second at most. Called by exit(); a caller of _exit
 * calls it. */
void log_flush(void);
bool log_enabled(enum log_level level);
uint64_t log_lost_lines(void); /* the access log's too */

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count);

/* A function, since compilers warn when a macro compares an array with NULL. */
static inline const char *log_or_dash(const char *string)
{
	return string ? string : "-";
}

#define log_str(key, value) ((struct log_field){.name = (key), .string = log_or_dash(value)})
#define log_int(key, value) ((struct log_field){.name = (key), .number = (value)})

#define log_at(level, message, ...) \
	do { \
		if (log_enabled(level)) { \
			const struct log_field log_fields_[] = {{.name = NULL}, ##__VA_ARGS__}; \
			log_write((level), (message), log_fields_ + 1, \
			    sizeof log_fields_ / sizeof *log_fields_ - 1); \
		} \
	} while (0)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
