/*
 * Pipes through which bytes go from socket to socket without being copied (splice(2)): a worker's, lent to a
 * flow for as long as something is in them. For who moves much that takes 30 % less CPU than copying.
 *
 * Limit: PASS_PIPES_MAX a worker, each of PASS_PIPE_BYTES; a smaller pipe gains nothing. The kernel gives an
 * unprivileged user 64 MiB of them in all. Who gets none copies.
 */
#ifndef EDGE_PASS_PIPES_H
#define EDGE_PASS_PIPES_H

#include <stddef.h>

enum { PASS_PIPES_MAX = 16, PASS_PIPE_BYTES = 256 * 1024 };

struct pass_pipe {
	struct pass_pipe *next; /* of those that nobody has */
	int read_fd, write_fd;
	size_t held; /* bytes in it */
};

struct pass_pipes;

struct pass_pipes *pass_pipes_new(void);
/* Once all are given back. NULL is fine. */
void pass_pipes_free(struct pass_pipes *pipes);

/* Empty. NULL: there is none for now. */
struct pass_pipe *pass_pipes_take(struct pass_pipes *pipes);
/* One that something is left in is closed. */
void pass_pipes_give(struct pass_pipes *pipes, struct pass_pipe *pipe);

#endif
