#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log_line.h"

/* `level` and `lost` are read on any thread without the lock; the rest changes under it. The lock is held
 * over the write, which never waits. */
static struct {
	pthread_mutex_t lock;
	_Atomic int level;
	_Atomic uint64_t lost;
	const char *program;
	enum log_format format;
	int fd;
	int own_fd; /* the non-blocking twin of a pipe or terminal, -1: none */
	bool is_socket;
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = LOG_LEVEL_INFO,
    .program = "postern",
    .format = LOG_FORMAT_TEXT,
    .fd = STDERR_FILENO,
    .own_fd = -1,
};

/* O_NONBLOCK belongs to the open file, which stderr shares with the shell and other programs. A pipe or
 * terminal opened anew has an open file of its own; where that is refused (another user's), poll before each
 * write has to do. A regular file keeps its descriptor, since the new one would have an offset of its own. */
static int open_twin(int fd, mode_t mode)
{
	if (!S_ISFIFO(mode) && !S_ISCHR(mode))
		return -1;
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void log_init(const char *program, enum log_level level, enum log_format format, int fd)
{
	struct stat status = {0};
	fstat(fd, &status);
	int twin = open_twin(fd, status.st_mode);
	pthread_mutex_lock(&state.lock);
	if (state.own_fd >= 0)
		close(state.own_fd);
	state.own_fd = twin;
	state.fd = twin >= 0 ? twin : fd;
	state.is_socket = S_ISSOCK(status.st_mode);
	state.program = program;
	state.format = format;
	atomic_store_explicit(&state.level, (int)level, memory_order_relaxed);
	pthread_mutex_unlock(&state.lock);
}

bool log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&state.level, memory_order_relaxed);
}

uint64_t log_lost_lines(void)
{
	return atomic_load_explicit(&state.lost, memory_order_relaxed);
}

/* True when the whole line went out. A pipe that polls writable takes PIPE_BUF bytes without waiting. */
static bool write_line_locked(const char *line, size_t size)
{
	if (state.is_socket)
		return send(state.fd, line, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
	struct pollfd writable = {.fd = state.fd, .events = POLLOUT};
	if (poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0)
		return false;
	return write(state.fd, line, size) == (ssize_t)size;
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
	size_t size = log_line_format(line, state.format, &event);
	if (!write_line_locked(line, size))
		atomic_fetch_add_explicit(&state.lost, 1, memory_order_relaxed);
	pthread_mutex_unlock(&state.lock);
	errno = saved_errno;
}
