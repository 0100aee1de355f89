#include "edge/upstream/upstream_dial.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/loop/deadline.h"
#include "edge/loop/log_rate.h"
#include "edge/loop/tls_bio.h"
#include "edge/upstream/upstream_socket.h"
#include "edge/upstream/upstream_tls.h"

enum dial_state { DIAL_CONNECTING, DIAL_HANDSHAKE, DIAL_OVER };

struct upstream_dial {
	const struct upstream_place *place;
	const struct upstream_dial_owner *owner;
	void *arg;
	struct upstream_wait_list list;
	struct upstream_preface preface;
	struct stream stream;
	struct deadline deadline;
	struct loop_task free_task;
	enum dial_state state;
	int64_t began_us;
	bool http2_known, single;
};

static void on_free(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_dial, free_task));
}

static bool give_socket(SSL *ssl, int fd)
{
	BIO *bio = ssl ? tls_bio_new(fd, NULL, 0) : NULL;

	if (bio)
		SSL_set_bio(ssl, bio, bio);
	return bio || !ssl;
}

static void dispose(struct upstream_dial *dial)
{
	dial->state = DIAL_OVER;
	deadline_fini(&dial->deadline);
	loop_defer(dial->place->loop, &dial->free_task);
}

static void give_up(struct upstream_dial *dial)
{
	stream_fini(&dial->stream);
	dispose(dial);
	dial->owner->on_over(dial->arg);
}

static void fail(struct upstream_dial *dial, enum upstream_failure failure)
{
	give_up(dial);
	upstream_waiters_fail(&dial->list, failure);
}

/* What becomes of one who waited may make others leave, when the dial is over already. */
static void on_empty(struct upstream_wait_list *list)
{
	struct upstream_dial *dial = loop_owner(list, struct upstream_dial, list);

	if (dial->state != DIAL_OVER)
		give_up(dial);
}

static void on_deadline(struct deadline *deadline)
{
	fail(loop_owner(deadline, struct upstream_dial, deadline), UPSTREAM_CONNECT_TIMEOUT);
}

static void open_stream(struct upstream_dial *dial)
{
	struct upstream_opened opened = {.stream = dial->stream,
	    .connect_us = clock_monotonic_us() - dial->began_us,
	    .http2 = dial->stream.ssl ? stream_has_chosen_http2(&dial->stream) : dial->http2_known,
	    .single = dial->single};

	dispose(dial);
	dial->owner->on_open(dial->arg, &opened, &dial->list);
}

static void fail_handshake(struct upstream_dial *dial)
{
	static struct log_rate rate;
	const struct upstream_address *address = dial->place->address;
	struct error error = {""};

	upstream_tls_describe(dial->stream.ssl, &error);
	if (log_rate_allows(&rate))
		log_warn("no TLS with an upstream", log_str("address", address->text),
		    log_str("name", address->server_name), log_str("error", error.text));
	fail(dial, UPSTREAM_TLS);
}

static void handshake(struct upstream_dial *dial)
{
	const struct upstream_metrics *metrics = dial->place->metrics;
	SSL *ssl = dial->stream.ssl;

	ERR_clear_error();
	int done = SSL_do_handshake(ssl);
	if (done == 1) {
		metric_add(SSL_session_reused(ssl) ? metrics->tls_resumed : metrics->tls_full, 1);
		open_stream(dial);
		return;
	}
	int error = SSL_get_error(ssl, done);
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		stream_watch(&dial->stream, error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_WRITE);
	else
		fail_handshake(dial);
}

/* It travels with the first bytes of what follows, and always fits into a new socket. */
static bool send_preface(const struct upstream_dial *dial)
{
	const struct upstream_preface *preface = &dial->preface;

	return preface->size == 0 || send(dial->stream.io.fd, preface->bytes, preface->size,
					 MSG_NOSIGNAL | MSG_MORE) == (ssize_t)preface->size;
}

static void finish_connect(struct upstream_dial *dial)
{
	enum upstream_failure failure = upstream_socket_failure(dial->stream.io.fd);

	if (failure != UPSTREAM_FAILURE_COUNT) {
		fail(dial, failure);
	} else if (!send_preface(dial)) {
		fail(dial, UPSTREAM_REFUSED);
	} else if (!dial->stream.ssl) {
		open_stream(dial);
	} else {
		dial->state = DIAL_HANDSHAKE;
		handshake(dial);
	}
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct upstream_dial *dial = loop_owner(stream, struct upstream_dial, stream);

	(void)events;
	if (dial->state == DIAL_CONNECTING)
		finish_connect(dial);
	else
		handshake(dial);
}

struct upstream_dial *upstream_dial_new(const struct upstream_place *place,
    const struct upstream_dial_options *options, const struct upstream_dial_owner *owner, void *arg,
    enum upstream_failure *failure)
{
	int fd = upstream_socket_open(&place->address->address, failure);

	if (fd < 0 || !give_socket(options->ssl, fd)) {
		SSL_free(options->ssl);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	struct upstream_dial *dial = mem_alloc(sizeof *dial);
	dial->place = place;
	dial->owner = owner;
	dial->arg = arg;
	dial->preface = *options->preface;
	dial->http2_known = options->http2_known;
	dial->single = options->single;
	dial->began_us = clock_monotonic_us();
	dial->free_task.run = on_free;
	upstream_wait_list_init(&dial->list, on_empty);
	stream_init(&dial->stream, place->loop, fd, options->ssl);
	dial->stream.io.on_ready = on_ready;
	deadline_init(&dial->deadline, place->loop, on_deadline);
	deadline_set(&dial->deadline, place->timeouts->connect_ms);
	stream_watch(&dial->stream, false, true);
	return dial;
}

struct upstream_wait_list *upstream_dial_waiters(struct upstream_dial *dial)
{
	return &dial->list;
}
