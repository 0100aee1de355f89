/*
 * An HTTP/2 connection to an upstream whose every byte a test says, on a socket pair, under a clock that the
 * test moves; and requests on it that write down what they are told.
 */
#ifndef TESTS_SUPPORT_H2_UPSTREAM_H
#define TESTS_SUPPORT_H2_UPSTREAM_H

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/upstream/upstream_h2.h"
#include "tests/support/edge_loop.h"

enum { ASKS_MAX = 8, ROUNDS_TO_SETTLE = 8 };

/* One request, and what came of it. */
struct ask {
	struct upstream_call *call; /* NULL: it is over */
	int status;
	int interims, trailers, pauses, rooms;
	size_t fields;
	uint64_t content_length;
	enum http_body framing;
	bool has_length, to_head;
	size_t taken, appetite; /* bytes of the body, and how many it takes before it holds back */
	bool ended, failed;
	enum upstream_failure failure;
};

static struct h2_rig {
	struct loop *loop;
	struct upstream_address *address;
	struct upstream_timeouts timeouts;
	struct upstream_metrics metrics;
	struct upstream_place place;
	struct upstream_h2 *conn; /* NULL: it has died */
	int peer;
	int idles;
	struct ask asks[ASKS_MAX];
	void (*check_head)(const struct http_head *head);
} h2_rig;

static inline void ask_on_head(void *arg, struct http_head *head, bool interim)
{
	struct ask *ask = arg;

	if (h2_rig.check_head)
		h2_rig.check_head(head);
	if (interim) {
		ask->interims++;
		return;
	}
	ask->status = head->status;
	ask->framing = head->body;
	ask->fields = head->field_count;
	ask->has_length = head->body == HTTP_BODY_LENGTH;
	ask->content_length = head->content_length;
}

static inline size_t ask_on_body(void *arg, const char *bytes, size_t size)
{
	struct ask *ask = arg;
	size_t some = size < ask->appetite ? size : ask->appetite;

	(void)bytes;
	ask->appetite -= some;
	ask->taken += some;
	return some;
}

static inline void ask_on_trailers(void *arg, struct http_head *trailers)
{
	((struct ask *)arg)->trailers += (int)trailers->field_count;
}

static inline void ask_leave(struct ask *ask)
{
	if (ask->call)
		upstream_call_close(ask->call);
	ask->call = NULL;
}

static inline void ask_on_end(void *arg)
{
	((struct ask *)arg)->ended = true;
	ask_leave(arg);
}

static inline void ask_on_pause(void *arg)
{
	((struct ask *)arg)->pauses++;
}

static inline void ask_on_room(void *arg)
{
	((struct ask *)arg)->rooms++;
}

static inline void ask_on_failed(void *arg, enum upstream_failure failure)
{
	((struct ask *)arg)->failed = true;
	((struct ask *)arg)->failure = failure;
}

static const struct upstream_user ask_user = {.on_head = ask_on_head,
    .on_body = ask_on_body,
    .on_trailers = ask_on_trailers,
    .on_end = ask_on_end,
    .on_pause = ask_on_pause,
    .on_room = ask_on_room,
    .on_failed = ask_on_failed};

static inline void h2_rig_on_idle(void *arg, struct upstream_h2 *conn)
{
	(void)arg, (void)conn;
	h2_rig.idles++;
}

static inline void h2_rig_on_gone(void *arg, struct upstream_h2 *conn)
{
	(void)arg, (void)conn;
	h2_rig.conn = NULL;
}

static const struct upstream_h2_owner h2_rig_owner = {.on_idle = h2_rig_on_idle, .on_gone = h2_rig_on_gone};

static inline void h2_rig_rounds(int count)
{
	for (int i = 0; i < count; i++)
		loop_round(h2_rig.loop);
}

/* Once for all tests. */
static inline void h2_rig_begin_once(void)
{
	struct upstream_url url;
	struct net_address address;

	if (h2_rig.loop)
		return;
	signal(SIGPIPE, SIG_IGN);
	fake_clock_begin();
	h2_rig.loop = loop_new();
	upstream_metrics_init(&h2_rig.metrics);
	upstream_url_parse(&url, "h2c://127.0.0.1:1", NULL);
	upstream_url_address(&url, &address);
	h2_rig.address = upstream_address_new(&address, &url, "app");
	h2_rig.timeouts =
	    (struct upstream_timeouts){.connect_ms = 5000, .first_byte_ms = 60000, .idle_ms = 60000};
	h2_rig.place = (struct upstream_place){.loop = h2_rig.loop,
	    .address = h2_rig.address,
	    .timeouts = &h2_rig.timeouts,
	    .metrics = &h2_rig.metrics};
}

/* `single`: what leads the connection is about one client. */
static inline void h2_rig_begin_with(bool single)
{
	int pair[2] = {-1, -1};
	struct upstream_opened opened = {.connect_us = 7, .http2 = true, .single = single};

	h2_rig_begin_once();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		abort();
	stream_init(&opened.stream, h2_rig.loop, pair[0], NULL);
	memset(h2_rig.asks, 0, sizeof h2_rig.asks);
	h2_rig.peer = pair[1];
	h2_rig.idles = 0;
	h2_rig.conn = upstream_h2_new(&h2_rig.place, &opened, &h2_rig_owner, NULL);
}

static inline void h2_rig_begin(void)
{
	h2_rig_begin_with(false);
}

/* `request` is one at rest. */
static inline struct ask *h2_rig_ask(const char *request, const struct upstream_request *about)
{
	struct ask *ask = h2_rig.asks;
	struct buf bytes;

	while (ask->call || ask->ended || ask->failed)
		ask++;
	buf_init(&bytes, UPSTREAM_OUT_MAX);
	buf_append(&bytes, request, strlen(request));
	ask->appetite = SIZE_MAX;
	ask->to_head = about->to_head;
	ask->call = upstream_h2_open(h2_rig.conn, -1);
	upstream_call_attach(ask->call, &ask_user, ask);
	upstream_call_start(ask->call, &bytes, about);
	upstream_call_flush(ask->call);
	h2_rig_rounds(2);
	return ask;
}

/* What fits into the socket. */
static inline void h2_rig_say(const void *bytes, size_t size)
{
	(void)!send(h2_rig.peer, bytes, size, MSG_NOSIGNAL);
	h2_rig_rounds(ROUNDS_TO_SETTLE);
}

static inline void h2_rig_hang_up(void)
{
	shutdown(h2_rig.peer, SHUT_RDWR);
	h2_rig_rounds(ROUNDS_TO_SETTLE);
}

static inline void h2_rig_end(void)
{
	for (size_t i = 0; i < ASKS_MAX; i++)
		ask_leave(&h2_rig.asks[i]);
	h2_rig_rounds(ROUNDS_TO_SETTLE);
	if (h2_rig.conn)
		upstream_h2_close(h2_rig.conn);
	h2_rig.conn = NULL;
	h2_rig_rounds(ROUNDS_TO_SETTLE);
	close(h2_rig.peer);
}

#endif
