#include "edge/upstream/upstream_h1.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "edge/loop/log_rate.h"
#include "edge/loop/tls_bio.h"
#include "edge/upstream/upstream_h1_state.h"
#include "edge/upstream/upstream_socket.h"
#include "edge/upstream/upstream_tls.h"

static void on_ready(struct loop_io *io, uint32_t events);
static void on_deadline(struct deadline *deadline);

static void free_later(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_h1, free_task));
}

static bool give_socket(SSL *ssl, int fd)
{
	BIO *bio = ssl ? tls_bio_new(fd, NULL, 0) : NULL;

	if (bio)
		SSL_set_bio(ssl, bio, bio);
	return bio || !ssl;
}

struct upstream_h1 *upstream_h1_connect(const struct upstream_place *place, SSL *ssl,
    const struct upstream_preface *preface, enum upstream_failure *failure)
{
	int fd = upstream_socket_open(&place->address->address, failure);

	if (fd < 0 || !give_socket(ssl, fd)) {
		SSL_free(ssl);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	struct upstream_h1 *upstream = mem_alloc(sizeof *upstream);
	upstream->place = place;
	upstream->preface = *preface;
	upstream->began_us = clock_monotonic_us();
	upstream->connect_us = -1;
	upstream->free_task.run = free_later;
	upstream->state = LINK_CONNECTING;
	upstream->response = RESPONSE_DONE;
	buf_init(&upstream->out, UPSTREAM_OUT_MAX);
	buf_init(&upstream->in, UPSTREAM_READ_BUFFER);
	stream_init(&upstream->stream, place->loop, fd, ssl);
	upstream->stream.io.on_ready = on_ready;
	deadline_init(&upstream->deadline, place->loop, on_deadline);
	deadline_set(&upstream->deadline, place->timeouts->connect_ms);
	stream_watch(&upstream->stream, false, true);
	return upstream;
}

/* An end would tell the application that its peer had said all it had to say. */
static void reset_tunnel(struct upstream_h1 *upstream)
{
	const struct linger reset = {.l_onoff = 1};

	upstream->stream.failed = true;
	setsockopt(upstream->stream.io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void upstream_h1_close(struct upstream_h1 *upstream)
{
	bool is_over = upstream->response == RESPONSE_DONE && upstream_h1_has_sent_all(upstream);

	if (upstream_h1_is_tunnel(upstream) && !is_over)
		reset_tunnel(upstream);
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

	/* A tunnel's silence is judged for both sides together, by whoever holds both. */
	if (upstream_h1_is_tunnel(upstream) || (upstream->response == RESPONSE_AWAITED && client_sends))
		return false;
	return !upstream->held_back && upstream->response != RESPONSE_DONE;
}

static int64_t longest_silence(const struct upstream_h1 *upstream)
{
	const struct upstream_timeouts *timeouts = upstream->place->timeouts;
	bool awaits_answer = upstream->response == RESPONSE_AWAITED && upstream_h1_unsent(upstream) == 0;

	return awaits_answer ? timeouts->first_byte_ms : timeouts->idle_ms;
}

static void arm(struct upstream_h1 *upstream)
{
	if (upstream->state != LINK_OPEN)
		return;
	if (waits_for_upstream(upstream))
		deadline_set(&upstream->deadline, longest_silence(upstream));
	else
		deadline_clear(&upstream->deadline);
}

static void watch(struct upstream_h1 *upstream)
{
	bool wants_write =
	    upstream->sending != REQUEST_BROKEN && (upstream_h1_unsent(upstream) > 0 || upstream->wants_room);

	if (upstream->state == LINK_OPEN)
		stream_watch(&upstream->stream, !upstream->held_back && upstream->response != RESPONSE_DONE,
		    wants_write);
}

void upstream_h1_settle(struct upstream_h1 *upstream)
{
	arm(upstream);
	watch(upstream);
}

static void on_deadline(struct deadline *deadline)
{
	struct upstream_h1 *upstream = loop_owner(deadline, struct upstream_h1, deadline);

	bool connects = upstream->state == LINK_CONNECTING || upstream->state == LINK_HANDSHAKE;

	upstream_h1_fail(upstream, connects ? UPSTREAM_CONNECT_TIMEOUT : UPSTREAM_TIMEOUT);
}

/* ---- events */

static void open_link(struct upstream_h1 *upstream)
{
	upstream->state = LINK_OPEN;
	upstream->connect_us = clock_monotonic_us() - upstream->began_us;
	upstream_h1_flush(upstream);
}

static void fail_handshake(struct upstream_h1 *upstream)
{
	static struct log_rate rate;
	const struct upstream_address *address = upstream->place->address;
	struct error error = {""};

	upstream_tls_describe(upstream->stream.ssl, &error);
	if (log_rate_allows(&rate))
		log_warn("no TLS with an upstream", log_str("address", address->text),
		    log_str("name", address->server_name), log_str("error", error.text));
	upstream_h1_fail(upstream, UPSTREAM_TLS);
}

static void handshake(struct upstream_h1 *upstream)
{
	const struct upstream_metrics *metrics = upstream->place->metrics;
	SSL *ssl = upstream->stream.ssl;

	ERR_clear_error();
	int done = SSL_do_handshake(ssl);
	if (done == 1) {
		metric_add(SSL_session_reused(ssl) ? metrics->tls_resumed : metrics->tls_full, 1);
		open_link(upstream);
		return;
	}
	int error = SSL_get_error(ssl, done);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		stream_watch(&upstream->stream, error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_WRITE);
	else
		fail_handshake(upstream);
}

/* It travels with the first bytes of what follows, and always fits into a new socket. */
static bool send_preface(const struct upstream_h1 *upstream)
{
	const struct upstream_preface *preface = &upstream->preface;

	return preface->size == 0 || send(upstream->stream.io.fd, preface->bytes, preface->size,
					 MSG_NOSIGNAL | MSG_MORE) == (ssize_t)preface->size;
}

static void finish_connect(struct upstream_h1 *upstream)
{
	enum upstream_failure failure = upstream_socket_failure(upstream->stream.io.fd);

	if (failure != UPSTREAM_FAILURE_COUNT) {
		upstream_h1_fail(upstream, failure);
		return;
	}
	if (!send_preface(upstream)) {
		upstream_h1_fail(upstream, UPSTREAM_REFUSED);
		return;
	}
	if (!upstream->stream.ssl) {
		open_link(upstream);
		return;
	}
	upstream->state = LINK_HANDSHAKE;
	handshake(upstream);
}

/* Nobody takes what it says now, and a hang-up would be reported again and again. */
static bool must_look_away(const struct upstream_h1 *upstream, uint32_t events)
{
	return (events & (EPOLLHUP | EPOLLERR)) && upstream->held_back;
}

/* A tunnel's upstream had ended its direction, and takes nothing more either. */
static bool has_hung_up(const struct upstream_h1 *upstream, uint32_t events)
{
	return (events & (EPOLLHUP | EPOLLERR)) && upstream->response == RESPONSE_DONE;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct upstream_h1 *upstream = loop_owner(stream, struct upstream_h1, stream);

	if (upstream->state == LINK_IDLE) {
		if (upstream_h1_is_stale(upstream))
			upstream_h1_fail(upstream, UPSTREAM_CLOSED);
		return;
	}
	if (upstream->state == LINK_CONNECTING)
		finish_connect(upstream);
	else if (upstream->state == LINK_HANDSHAKE)
		handshake(upstream);
	if (upstream->state == LINK_OPEN && (events & (EPOLLOUT | EPOLLERR)))
		upstream_h1_take_room(upstream);
	if (upstream->state != LINK_OPEN)
		return;
	if (has_hung_up(upstream, events))
		upstream_h1_fail(upstream, UPSTREAM_CLOSED);
	else if (must_look_away(upstream, events))
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
	       buf_size(&upstream->in) == 0 && upstream->preface.size == 0 &&
	       !stream_has_buffered(&upstream->stream);
}

bool upstream_h1_was_used(const struct upstream_h1 *upstream)
{
	return upstream->was_used;
}

int64_t upstream_h1_connect_us(const struct upstream_h1 *upstream)
{
	return upstream->connect_us;
}

const struct upstream_place *upstream_h1_place(const struct upstream_h1 *upstream)
{
	return upstream->place;
}

/* With TLS what came may be a ticket: reading it leaves nothing. */
bool upstream_h1_is_stale(struct upstream_h1 *upstream)
{
	char byte;
	size_t got = 0;

	if (recv(upstream->stream.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return false;
	return !upstream->stream.ssl || stream_read(&upstream->stream, &byte, 1, &got) != R_AGAIN;
}

void upstream_h1_rest(struct upstream_h1 *upstream)
{
	assert(upstream_h1_is_reusable(upstream));
	upstream->state = LINK_IDLE;
	upstream->connect_us = -1;
	buf_fini(&upstream->out);
	if (upstream->in.capacity > READ_SMALL + 1)
		buf_fini(&upstream->in);
	stream_watch(&upstream->stream, true, false);
}

struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream)
{
	return &upstream->link;
}
