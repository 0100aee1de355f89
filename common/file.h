/*
 * A small file as a whole: settings, secrets, certificates. Never for what a peer sends.
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include "common/buf.h"
#include "common/result.h"

/* Appends the file to `out`, whose maximum bounds it (R_LIMIT, the error says so). R_INVALID: it cannot be
 * read; the error names it and the reason. Secrets: initialise `out` for them alone and buf_wipe it, after
 * failures too. */
enum result file_read(const char *path, struct buf *out, struct error *error);
/* R_INVALID where file_read would fail to open it. */
enum result file_check_readable(const char *path, struct error *error);

#endif
