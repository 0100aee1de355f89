#include "edge/pass/pass_pipes.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"

struct pass_pipes {
	struct pass_pipe *idle;
	int made;
};

struct pass_pipes *pass_pipes_new(void)
{
	return mem_alloc(sizeof(struct pass_pipes));
}

static void drop(struct pass_pipes *pipes, struct pass_pipe *pipe)
{
	close(pipe->read_fd);
	close(pipe->write_fd);
	free(pipe);
	pipes->made--;
}

static struct pass_pipe *make(struct pass_pipes *pipes)
{
	int fds[2];

	if (pipes->made == PASS_PIPES_MAX || pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0)
		return NULL;
	struct pass_pipe *pipe = mem_alloc(sizeof *pipe);
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	pipes->made++;
	if (fcntl(fds[1], F_SETPIPE_SZ, PASS_PIPE_BYTES) >= PASS_PIPE_BYTES)
		return pipe;
	drop(pipes, pipe);
	return NULL;
}

struct pass_pipe *pass_pipes_take(struct pass_pipes *pipes)
{
	struct pass_pipe *pipe = pipes->idle;

	if (!pipe)
		return make(pipes);
	pipes->idle = pipe->next;
	return pipe;
}

void pass_pipes_give(struct pass_pipes *pipes, struct pass_pipe *pipe)
{
	if (pipe->held > 0) {
		drop(pipes, pipe);
		return;
	}
	pipe->next = pipes->idle;
	pipes->idle = pipe;
}

void pass_pipes_free(struct pass_pipes *pipes)
{
	struct pass_pipe *pipe = NULL;

	if (!pipes)
		return;
	while ((pipe = pipes->idle)) {
		pipes->idle = pipe->next;
		drop(pipes, pipe);
	}
	assert(pipes->made == 0);
	free(pipes);
}
