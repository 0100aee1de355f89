#include "verifier/diagnose/tcp_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/mem.h"

enum { PREFIX = 2, MESSAGE_MAX = 65535, PART = 4096 };

struct tcp_ask {
	int fd;
	struct buf out, in;
};

struct tcp_ask *tcp_ask_new(const struct net_address *address, const uint8_t *packet, size_t size)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return NULL;
	if (connect(fd, (const struct sockaddr *)&address->storage, address->size) != 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return NULL;
	}
	struct tcp_ask *ask = mem_alloc(sizeof *ask);
	const uint8_t prefix[PREFIX] = {(uint8_t)(size >> 8), (uint8_t)size};
	ask->fd = fd;
	buf_init(&ask->out, PREFIX + size);
	buf_init(&ask->in, PREFIX + MESSAGE_MAX);
	buf_append(&ask->out, prefix, PREFIX);
	buf_append(&ask->out, packet, size);
	return ask;
}

void tcp_ask_free(struct tcp_ask *ask)
{
	if (!ask)
		return;
	close(ask->fd);
	buf_fini(&ask->out);
	buf_fini(&ask->in);
	free(ask);
}

int tcp_ask_fd(const struct tcp_ask *ask)
{
	return ask->fd;
}

short tcp_ask_events(const struct tcp_ask *ask)
{
	return buf_size(&ask->out) ? POLLOUT : POLLIN;
}

static enum result send_rest(struct tcp_ask *ask)
{
	ssize_t sent = send(ask->fd, buf_bytes(&ask->out), buf_size(&ask->out), MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR ? R_AGAIN : R_DOWN;
	buf_consume(&ask->out, (size_t)sent);
	return R_AGAIN;
}

/* R_OK: all of the reply has come. */
static enum result judge_reply(struct tcp_ask *ask, size_t room, size_t *size)
{
	const unsigned char *bytes = (const unsigned char *)buf_bytes(&ask->in);
	if (buf_size(&ask->in) < PREFIX)
		return R_AGAIN;
	*size = (size_t)bytes[0] << 8 | bytes[1];
	if (*size > room)
		return R_LIMIT;
	return buf_size(&ask->in) >= PREFIX + *size ? R_OK : R_AGAIN;
}

static enum result read_more(struct tcp_ask *ask, size_t room, size_t *size)
{
	char *space = NULL;
	size_t free_space = buf_reserve(&ask->in, PART, &space);
	ssize_t got = recv(ask->fd, space, free_space, 0);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? R_AGAIN : R_DOWN;
	if (got == 0)
		return R_DOWN;
	buf_commit(&ask->in, (size_t)got);
	return judge_reply(ask, room, size);
}

enum result tcp_ask_go_on(struct tcp_ask *ask, uint8_t *bytes, size_t room, size_t *size)
{
	enum result result = buf_size(&ask->out) ? send_rest(ask) : read_more(ask, room, size);
	if (result == R_OK)
		memcpy(bytes, buf_bytes(&ask->in) + PREFIX, *size);
	return result;
}
