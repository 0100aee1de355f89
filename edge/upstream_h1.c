#include "edge/upstream_h1.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "edge/upstream_h1_state.h"

static void on_ready(struct loop_io *io, uint32_t events);
static void on_deadline(struct deadline *deadline);

static void free_later(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_h1, free_task));
}

/* Small pieces must not wait for the acknowledgement of the piece before. */
static int open_socket(const struct net_address *address)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

struct upstream_h1 *upstream_h1_connect(struct loop *loop, const struct http_config *config, size_t address)
{
	assert(address < config->upstreams.count);
	int fd = open_socket(&config->upstreams.addresses[address].address);

	if (fd < 0)
		return NULL;
	struct upstream_h1 *upstream = mem_alloc(sizeof *upstream);
	upstream->config = config;
	upstream->address = address;
	upstream->free_task.run = free_later;
	upstream->state = LINK_CONNECTING;
	upstream->response = RESPONSE_DONE;
	buf_init(&upstream->out, UPSTREAM_OUT_MAX);
	buf_init(&upstream->in, UPSTREAM_READ_BUFFER);
	stream_init(&upstream->stream, loop, fd, NULL);
	upstream->stream.io.on_ready = on_ready;
	deadline_init(&upstream->deadline, loop, on_deadline);
	deadline_set(&upstream->deadline, config->connect_timeout_ms);
	stream_watch(&upstream->stream, false, true);
	return upstream;
}

void upstream_h1_close(struct upstream_h1 *upstream)
{
	upstream->state = LINK_DEAD;
	deadline_fini(&upstream->deadline);
	stream_fini(&upstream->stream);
	buf_fini(&upstream->in);
	buf_fini(&upstream->out);
	loop_defer(upstream->deadline.loop, &upstream->free_task);
}

void upstream_h1_attach(struct upstream_h1 *upstream, const struct upstream_h1_user *user, void *arg)
{
	upstream->user = user;
	upstream->arg = arg;
}

void upstream_h1_fail(struct upstream_h1 *upstream, enum upstream_failure failure)
{
	upstream->state = LINK_DEAD;
	deadline_clear(&upstream->deadline);
	loop_unwatch(upstream->stream.loop, &upstream->stream.io);
	upstream->user->on_failed(upstream->arg, failure);
}

/* Whose silence is it? The upstream's clock stands still while the client has to send or to take. */
static bool waits_for_upstream(const struct upstream_h1 *upstream)
{
	bool client_sends = upstream->sending == REQUEST_OPEN && upstream_h1_unsent(upstream) == 0 &&
			    !upstream->wants_room && !upstream->request.expects_continue;

	if (upstream->response == RESPONSE_AWAITED && client_sends)
		return false;
	return !upstream->held_back && upstream->response != RESPONSE_DONE;
}

static void arm(struct upstream_h1 *upstream)
{
	if (upstream->state != LINK_OPEN)
		return;
	if (waits_for_upstream(upstream))
		deadline_set(&upstream->deadline, upstream->config->upstream_timeout_ms);
	else
		deadline_clear(&upstream->deadline);
}

static void watch(struct upstream_h1 *upstream)
{
	bool wants_write =
	    upstream->sending != REQUEST_BROKEN && (upstream_h1_unsent(upstream) > 0 || upstream->wants_room);

	if (upstream->state == LINK_OPEN)
		stream_watch(&upstream->stream, !upstream->held_back, wants_write);
}

void upstream_h1_settle(struct upstream_h1 *upstream)
{
	arm(upstream);
	watch(upstream);
}

static void on_deadline(struct deadline *deadline)
{
	struct upstream_h1 *upstream = loop_owner(deadline, struct upstream_h1, deadline);

	upstream_h1_fail(
	    upstream, upstream->state == LINK_CONNECTING ? UPSTREAM_CONNECT_TIMEOUT : UPSTREAM_TIMEOUT);
}

/* ---- events */

static void finish_connect(struct upstream_h1 *upstream)
{
	int code = 0;
	socklen_t size = sizeof code;

	if (getsockopt(upstream->stream.io.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code != 0) {
		upstream_h1_fail(upstream, UPSTREAM_REFUSED);
		return;
	}
	upstream->state = LINK_OPEN;
	upstream_h1_flush(upstream);
}

/* Nobody takes what it says now, and a hang-up would be reported again and again. */
static bool must_look_away(const struct upstream_h1 *upstream, uint32_t events)
{
	return (events & (EPOLLHUP | EPOLLERR)) && upstream->held_back;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct upstream_h1 *upstream = loop_owner(stream, struct upstream_h1, stream);

	if (upstream->state == LINK_IDLE) {
		upstream_h1_fail(upstream, UPSTREAM_CLOSED);
		return;
	}
	if (upstream->state == LINK_CONNECTING)
		finish_connect(upstream);
	if (upstream->state == LINK_OPEN && (events & (EPOLLOUT | EPOLLERR)))
		upstream_h1_take_room(upstream);
	if (upstream->state != LINK_OPEN)
		return;
	if (must_look_away(upstream, events))
		loop_unwatch(stream->loop, io);
	else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && upstream_h1_is_receiving(upstream))
		upstream_h1_receive(upstream);
}

/* ---- what its users ask */

enum result upstream_h1_recover(struct upstream_h1 *upstream, struct buf *out)
{
	bool untouched = !upstream->gave_away && upstream->sent == 0;

	if (upstream->response != RESPONSE_AWAITED || upstream->gave_away)
		return R_NONE;
	buf_fini(out);
	*out = upstream->out;
	buf_init(&upstream->out, UPSTREAM_OUT_MAX);
	upstream->sent = 0;
	return untouched ? R_OK : R_LOST;
}

bool upstream_h1_is_reusable(const struct upstream_h1 *upstream)
{
	return upstream->state == LINK_OPEN && upstream->response == RESPONSE_DONE && upstream->keep_alive &&
	       upstream->sending == REQUEST_ENDED && upstream_h1_unsent(upstream) == 0 &&
	       buf_size(&upstream->in) == 0;
}

bool upstream_h1_was_used(const struct upstream_h1 *upstream)
{
	return upstream->was_used;
}

size_t upstream_h1_address(const struct upstream_h1 *upstream)
{
	return upstream->address;
}

bool upstream_h1_is_stale(const struct upstream_h1 *upstream)
{
	char byte;

	return recv(upstream->stream.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

void upstream_h1_rest(struct upstream_h1 *upstream)
{
	assert(upstream_h1_is_reusable(upstream));
	upstream->state = LINK_IDLE;
	buf_fini(&upstream->out);
	if (upstream->in.capacity > READ_SMALL + 1)
		buf_fini(&upstream->in);
	stream_watch(&upstream->stream, true, false);
}

struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream)
{
	return &upstream->link;
}
