#include "common/base/file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

enum { STEP = 16 * 1024 };

/* O_NONBLOCK: a FIFO to which nobody writes must not hang who reads it. */
enum result file_open(int *fd, const char *path, struct error *error)
{
	struct stat status;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd >= 0 && fstat(*fd, &status) == 0 && !S_ISDIR(status.st_mode))
		return R_OK;
	error_set(error, "cannot read `%s`: %s", path, *fd >= 0 ? "it is a directory" : strerror(errno));
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return R_INVALID;
}

ssize_t file_read_some(int fd, void *bytes, size_t size)
{
	for (;;) {
		ssize_t got = read(fd, bytes, size);
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		if (got >= 0 || (errno != EINTR && errno != EAGAIN))
			return got;
		if (errno == EAGAIN && poll(&readable, 1, FILE_WAIT_MS) == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

/* What an empty file would say is often "off", and nobody has said that. */
static bool is_fifo(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

static enum result read_all(int fd, const char *path, struct buf *out, struct error *error)
{
	for (size_t before = buf_size(out);;) {
		char *space = NULL, beyond = 0;
		size_t room = buf_reserve(out, STEP, &space);
		ssize_t got = room > 0 ? file_read_some(fd, space, room) : file_read_some(fd, &beyond, 1);
		if (got < 0) {
			error_set(error, "cannot read `%s`: %s", path, strerror(errno));
			return R_INVALID;
		}
		if (got == 0 && buf_size(out) == before && is_fifo(fd)) {
			error_set(error, "cannot read `%s`: it is a FIFO to which nobody writes", path);
			return R_INVALID;
		}
		if (got == 0)
			return R_OK;
		if (room == 0) {
			error_set(error, "`%s` is larger than %zu bytes", path, out->max);
			return R_LIMIT;
		}
		buf_commit(out, (size_t)got);
	}
}

enum result file_read(const char *path, struct buf *out, struct error *error)
{
	int fd = -1;
	enum result result = file_open(&fd, path, error);
	if (result != R_OK)
		return result;
	result = read_all(fd, path, out, error);
	close(fd);
	return result;
}

enum result file_check_readable(const char *path, struct error *error)
{
	int fd = -1;
	enum result result = file_open(&fd, path, error);
	if (fd >= 0)
		close(fd);
	return result;
}
