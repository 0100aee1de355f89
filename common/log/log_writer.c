#include "common/log/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"

struct log_writer {
	int fd;
	int gather_ms;

	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t work;  /* there is something to write, or to end */
	pthread_cond_t done;  /* everything was written */
	bool started;         /* the thread exists */
	bool idle;            /* and waits for work */
	bool writing;         /* and holds lines that are not in the ring any more */
	bool ending;
	char *ring;
	size_t start, size;

	/* The thread's own. */
	bool torn; /* the last line was cut by an error: the next begins a new one */
	char chunk[1 + LOG_WRITER_AT_ONCE];
};

static _Atomic uint64_t lost_lines;

uint64_t log_writer_lost_lines(void)
{
	return atomic_load_explicit(&lost_lines, memory_order_relaxed);
}

static void lose(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] == '\n')
			atomic_fetch_add_explicit(&lost_lines, 1, memory_order_relaxed);
}

struct log_writer *log_writer_new(int fd, int gather_ms)
{
	struct log_writer *writer = mem_alloc(sizeof *writer);

	writer->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	writer->gather_ms = gather_ms;
	pthread_mutex_init(&writer->lock, NULL);
	condition_init(&writer->work);
	condition_init(&writer->done);
	return writer;
}

static void destroy(struct log_writer *writer)
{
	if (writer->fd >= 0)
		close(writer->fd);
	pthread_mutex_destroy(&writer->lock);
	pthread_cond_destroy(&writer->work);
	pthread_cond_destroy(&writer->done);
	free(writer->ring);
	free(writer);
}

/* ---- the thread ---- */

static void copy_out(const struct log_writer *writer, char *out, size_t size)
{
	size_t first = LOG_WRITER_BYTES - writer->start;

	if (first > size)
		first = size;
	memcpy(out, writer->ring + writer->start, first);
	memcpy(out + first, writer->ring, size - first);
}

/* As many whole lines as one write may have. */
static size_t take_lines_locked(struct log_writer *writer, char *out)
{
	size_t size = writer->size < LOG_WRITER_AT_ONCE ? writer->size : LOG_WRITER_AT_ONCE;

	copy_out(writer, out, size);
	while (size > 0 && out[size - 1] != '\n')
		size--;
	writer->start = (writer->start + size) % LOG_WRITER_BYTES;
	writer->size -= size;
	return size;
}

/* Another program may have made the open file non-blocking: then this thread waits by poll. */
static bool wait_until_writable(int fd)
{
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	return poll(&writable, 1, -1) == 1 && (writable.revents & POLLOUT) != 0;
}

static void write_lines(struct log_writer *writer, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t put = write(writer->fd, bytes, size);

		if (put < 0 && (errno == EINTR || (errno == EAGAIN && wait_until_writable(writer->fd))))
			continue;
		if (put <= 0) {
			/* The newline ahead of everything belongs to a line that was counted before. */
			bool is_prefix = bytes == writer->chunk;
			lose(bytes + is_prefix, size - is_prefix);
			return;
		}
		bytes += put;
		size -= (size_t)put;
		writer->torn = bytes[-1] != '\n';
	}
}

static void gather(const struct log_writer *writer)
{
	struct timespec time = {.tv_nsec = writer->gather_ms * 1000000L};

	if (writer->gather_ms > 0)
		nanosleep(&time, NULL);
}

static void write_what_is_there(struct log_writer *writer)
{
	gather(writer);
	for (;;) {
		pthread_mutex_lock(&writer->lock);
		size_t size = take_lines_locked(writer, writer->chunk + 1);
		writer->writing = size > 0;
		if (!writer->writing)
			pthread_cond_broadcast(&writer->done);
		pthread_mutex_unlock(&writer->lock);
		if (size == 0)
			return;
		writer->chunk[0] = '\n';
		if (writer->torn)
			write_lines(writer, writer->chunk, size + 1);
		else
			write_lines(writer, writer->chunk + 1, size);
	}
}

static void *run(void *arg)
{
	struct log_writer *writer = arg;

	pthread_setname_np(pthread_self(), "log");
	pthread_mutex_lock(&writer->lock);
	for (;;) {
		writer->idle = true;
		while (writer->size == 0 && !writer->ending)
			pthread_cond_wait(&writer->work, &writer->lock);
		writer->idle = false;
		if (writer->ending)
			break;
		pthread_mutex_unlock(&writer->lock);
		write_what_is_there(writer);
		pthread_mutex_lock(&writer->lock);
	}
	pthread_mutex_unlock(&writer->lock);
	destroy(writer);
	return NULL;
}

/* Signals are for the thread that waits for them. */
static bool start_locked(struct log_writer *writer)
{
	sigset_t all, before;
	pthread_t thread;

	if (writer->started)
		return true;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	writer->started = pthread_create(&thread, NULL, run, writer) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!writer->started)
		return false;
	pthread_detach(thread);
	writer->ring = mem_resize(NULL, LOG_WRITER_BYTES);
	return true;
}

/* ---- for everybody ---- */

static bool put_locked(struct log_writer *writer, const char *line, size_t size)
{
	if (!start_locked(writer) || size > LOG_WRITER_BYTES - writer->size)
		return false;
	size_t end = (writer->start + writer->size) % LOG_WRITER_BYTES;
	size_t first = LOG_WRITER_BYTES - end < size ? LOG_WRITER_BYTES - end : size;
	memcpy(writer->ring + end, line, first);
	memcpy(writer->ring, line + first, size - first);
	writer->size += size;
	if (writer->idle)
		pthread_cond_signal(&writer->work);
	writer->idle = false;
	return true;
}

void log_writer_put(struct log_writer *writer, const char *line, size_t size)
{
	pthread_mutex_lock(&writer->lock);
	bool taken = put_locked(writer, line, size);
	pthread_mutex_unlock(&writer->lock);
	if (!taken)
		lose(line, size);
}

void log_writer_flush(struct log_writer *writer, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;

	pthread_mutex_lock(&writer->lock);
	while ((writer->size > 0 || writer->writing) &&
	       condition_wait_until(&writer->done, &writer->lock, until))
		;
	pthread_mutex_unlock(&writer->lock);
}

void log_writer_free(struct log_writer *writer)
{
	if (!writer)
		return;
	pthread_mutex_lock(&writer->lock);
	bool started = writer->started;
	writer->ending = true;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->lock);
	if (!started)
		destroy(writer);
}
