#include "common/log/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/log/log_line.h"
#include "common/log/log_writer.h"

/* What is logged as a program ends is given so long to reach a slow reader. */
enum { LAST_LINES_MS = 500 };

/* `level` and `format` are read on any thread without the lock; the rest changes under it. */
static struct {
	pthread_mutex_t lock;
	_Atomic int level;
	const char *program;
	_Atomic int format;
	struct log_writer *writer; /* NULL before log_init: lines go to stderr directly */
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = LOG_LEVEL_INFO,
    .program = "postern",
    .format = LOG_FORMAT_TEXT,
};

void log_flush(void)
{
	pthread_mutex_lock(&state.lock);
	struct log_writer *writer = state.writer;
	pthread_mutex_unlock(&state.lock);
	if (writer)
		log_writer_flush(writer, LAST_LINES_MS);
}

static void flush_at_exit(void)
{
	static _Atomic bool registered;

	if (!atomic_exchange(&registered, true))
		atexit(log_flush);
}

void log_init(const char *program, enum log_level level, enum log_format format, int fd)
{
	struct log_writer *writer = log_writer_new(fd, 0);

	flush_at_exit();
	log_flush();
	pthread_mutex_lock(&state.lock);
	struct log_writer *old = state.writer;
	state.writer = writer;
	state.program = program;
	pthread_mutex_unlock(&state.lock);
	log_writer_free(old);
	log_set(level, format);
}

void log_set(enum log_level level, enum log_format format)
{
	atomic_store_explicit(&state.format, (int)format, memory_order_relaxed);
	atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
}

enum log_format log_format_now(void)
{
	return (enum log_format)atomic_load_explicit(&state.format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

uint64_t log_lost_lines(void)
{
	return log_writer_lost_lines();
}

void log_write(enum log_level level, const char *message, const struct log_field *fields, size_t count)
{
	if (!log_enabled(level))
		return;
	int saved_errno = errno;
	struct log_event event = {
	    .level = level,
	    .message = message,
	    .fields = fields,
	    .count = count,
	    .wall_ms = clock_wall_ms(),
	};
	char line[LOG_LINE_MAX];
	pthread_mutex_lock(&state.lock);
	event.program = state.program;
	size_t size = log_line_format(line, log_format_now(), &event);
	if (state.writer)
		log_writer_put(state.writer, line, size);
	else if (write(STDERR_FILENO, line, size) < 0)
		errno = saved_errno;
	pthread_mutex_unlock(&state.lock);
	errno = saved_errno;
}
