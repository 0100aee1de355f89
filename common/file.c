#include "common/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { STEP = 16 * 1024 };

static enum result open_file(int *fd, const char *path, int more_flags, struct error *error)
{
	struct stat status;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | more_flags);
	if (*fd >= 0 && fstat(*fd, &status) == 0 && !S_ISDIR(status.st_mode))
		return R_OK;
	error_set(error, "cannot read `%s`: %s", path, *fd >= 0 ? "it is a directory" : strerror(errno));
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return R_INVALID;
}

static enum result read_all(int fd, const char *path, struct buf *out, struct error *error)
{
	for (;;) {
		char *space = NULL, beyond = 0;
		size_t room = buf_reserve(out, STEP, &space);
		ssize_t got = room > 0 ? read(fd, space, room) : read(fd, &beyond, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			error_set(error, "cannot read `%s`: %s", path, strerror(errno));
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
	enum result result = open_file(&fd, path, 0, error);
	if (result != R_OK)
		return result;
	result = read_all(fd, path, out, error);
	close(fd);
	return result;
}

/* O_NONBLOCK: a FIFO to which nobody writes must not hang the start. */
enum result file_check_readable(const char *path, struct error *error)
{
	int fd = -1;
	enum result result = open_file(&fd, path, O_NONBLOCK, error);
	if (fd >= 0)
		close(fd);
	return result;
}
