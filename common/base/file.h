/*
 * A small file as a whole: settings, secrets, certificates. Never for what a peer sends. A pipe will do, as
 * long as somebody writes to it: nobody waits longer than five seconds for it, since the thread that hears
 * SIGTERM reads files.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/result.h"

enum { FILE_WAIT_MS = 5000 };

/* Appends the file to `out`, whose maximum bounds it (R_LIMIT, the error says so). R_INVALID: it cannot be
 * read; the error names it and the reason. Secrets: initialise `out` for them alone and buf_wipe it, after
 * failures too. */
enum result file_read(const char *path, struct buf *out, struct error *error);
/* R_INVALID where file_read would fail to open it. */
enum result file_check_readable(const char *path, struct error *error);

/* For who reads into memory of its own. R_INVALID: `*fd` is -1, the error names file and reason. */
enum result file_open(int *fd, const char *path, struct error *error);
/* read(2) of a descriptor of file_open's: also fails with ETIMEDOUT, never with EINTR or EAGAIN. */
ssize_t file_read_some(int fd, void *bytes, size_t size);

#endif
