/*
 * Where log lines go without anybody waiting for it: a bounded buffer, and a thread that writes it to a
 * descriptor. A full pipe, a hung disk or a reader that left holds up that thread and nobody else; lines that
 * find the buffer full, or that cannot be written, are lost and counted.
 */
#ifndef COMMON_LOG_WRITER_H
#define COMMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_writer;

enum {
	LOG_WRITER_BYTES = 1024 * 1024, /* held for a slow reader: some thousand lines */
	LOG_WRITER_AT_ONCE = 4096,      /* PIPE_BUF: lines of several processes on one pipe never mix */
};

/* Writes to a duplicate of `fd`, whose flags stay as they are. `gather_ms`: how long a line may wait for
 * others to be written with it, which saves waking the thread for each. The thread starts with the first
 * line. */
struct log_writer *log_writer_new(int fd, int gather_ms);
/* After log_writer_flush. A thread that hangs in a write is left behind with what it needs. */
void log_writer_free(struct log_writer *writer);

/* `line`, at most LOG_WRITER_AT_ONCE bytes and one newline, at its end. Never waits. Any thread. */
void log_writer_put(struct log_writer *writer, const char *line, size_t size);
/* Waits until everything was written, or so long. */
void log_writer_flush(struct log_writer *writer, int64_t ms);
/* Of all writers, since the start. */
uint64_t log_writer_lost_lines(void);

#endif
