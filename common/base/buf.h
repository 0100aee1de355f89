/*
 * A growing byte buffer with a maximum fixed at creation: what a peer feeds can never grow past it. Reading
 * takes from the front, writing appends to the back.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"

struct buf {
	char *data;      /* start of the allocation */
	size_t start;    /* first unread byte */
	size_t end;      /* one past the last byte */
	size_t capacity; /* bytes allocated */
	size_t max;      /* bytes that may ever be held unread */
};

void buf_init(struct buf *buf, size_t max);
/* Frees the memory; the buffer may be used again, empty. buf_wipe overwrites it first (secrets). */
void buf_fini(struct buf *buf);
void buf_wipe(struct buf *buf);

/* From now on this thread keeps the memory of some buffers, 256 KiB at most, for those that need as much
 * next: for who makes and frees them all the time. Before it ends it has to let go of it. */
void buf_keep_spares(void);
void buf_forget_spares(void);

/* Inline: a call would cost more than they do, and they are asked all the time. */
static inline size_t buf_size(const struct buf *buf)
{
	return buf->end - buf->start;
}

static inline const char *buf_bytes(const struct buf *buf)
{
	return buf->data ? buf->data + buf->start : "";
}

/* R_LIMIT when the maximum would be passed; then nothing was appended. Out of memory ends the process. */
enum result buf_append(struct buf *buf, const void *bytes, size_t size);
enum result buf_append_string(struct buf *buf, const char *string);
enum result buf_append_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for at least `size` more bytes at the back, or fewer where the maximum is near (0 = full). Write into
 * *space, then buf_commit what was written. */
size_t buf_reserve(struct buf *buf, size_t size, char **space);
void buf_commit(struct buf *buf, size_t size);
void buf_consume(struct buf *buf, size_t size);
/* The unread bytes as a C string: a NUL is kept after the last byte, not counted. */
const char *buf_string(struct buf *buf);

#endif
