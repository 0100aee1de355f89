#include "edge/upstream/upstream_h2.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_h2_state.h"

enum {
	READ_SMALL = 16 * 1024,
	READ_LARGE = 64 * 1024,
	READS_PER_EVENT = 4,                     /* then the other connections have their turn */
	OUT_MAX = 4 * UPSTREAM_H2_WRITE_AT_ONCE, /* with the frame that passed it: a head may take 128 KiB */
};

static void on_free(struct loop_task *task)
{
	struct upstream_h2 *conn = loop_owner(task, struct upstream_h2, free_task);

	upstream_h2_fields_drop(&conn->fields);
	nghttp2_session_del(conn->session);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	free(conn);
}

/* Later, since nghttp2 may be on the stack. */
static void dispose(struct upstream_h2 *conn)
{
	conn->state = UPSTREAM_H2_DEAD;
	deadline_fini(&conn->liveness);
	stream_fini(&conn->stream);
	metric_add(conn->place->metrics->h2_connections, -1);
	loop_defer(conn->place->loop, &conn->free_task);
}

/* A response that is whole does not need the connection; it may be that its user is not yet told. */
static void outlive(struct upstream_stream *stream)
{
	upstream_stream_leave(stream);
	upstream_stream_settle(stream);
}

void upstream_h2_fail(struct upstream_h2 *conn, enum upstream_failure failure)
{
	struct upstream_stream *stream = NULL;

	if (conn->state == UPSTREAM_H2_DEAD)
		return;
	if (failure == UPSTREAM_BROKEN)
		metric_add(conn->place->metrics->h2_broken, 1);
	dispose(conn);
	conn->owner->on_gone(conn->arg, conn);
	while ((stream = TAILQ_FIRST(&conn->streams))) {
		if (stream->response == UPSTREAM_H2_LAST)
			outlive(stream);
		else
			upstream_stream_fail(stream, failure);
	}
}

/* ---- bytes out */

static void watch(struct upstream_h2 *conn)
{
	if (conn->state != UPSTREAM_H2_DEAD)
		stream_watch(&conn->stream, true, !conn->is_mute && buf_size(&conn->out) > 0);
}

/* False: nghttp2 has given up. */
static bool gather(struct upstream_h2 *conn)
{
	while (buf_size(&conn->out) < UPSTREAM_H2_WRITE_AT_ONCE) {
		const uint8_t *bytes = NULL;

		conn->is_in_session = true;
		ssize_t size = nghttp2_session_mem_send(conn->session, &bytes);
		conn->is_in_session = false;
		if (size < 0 || buf_append(&conn->out, bytes, (size_t)size) != R_OK)
			return false;
		/* DATA frames went past it, into the buffer. */
		if (size == 0 && buf_size(&conn->out) < UPSTREAM_H2_WRITE_AT_ONCE)
			break;
	}
	return true;
}

/* What it has answered before it stopped listening is still there to read. */
static void fall_silent(struct upstream_h2 *conn)
{
	conn->is_mute = true;
	conn->stream.failed = false;
	buf_fini(&conn->out);
	upstream_h2_retire(conn);
}

static bool write_out(struct upstream_h2 *conn)
{
	while (buf_size(&conn->out) > 0) {
		size_t put = 0;
		enum result result =
		    stream_write(&conn->stream, buf_bytes(&conn->out), buf_size(&conn->out), &put);

		if (result == R_AGAIN)
			return false;
		if (result != R_OK) {
			fall_silent(conn);
			return false;
		}
		buf_consume(&conn->out, put);
	}
	return true;
}

/* RFC 9113 section 5.4.1: what broke the rules is told so, and left. */
static bool is_over(const struct upstream_h2 *conn)
{
	return !nghttp2_session_want_read(conn->session) && !nghttp2_session_want_write(conn->session) &&
	       buf_size(&conn->out) == 0;
}

static void flush(struct upstream_h2 *conn)
{
	while (conn->state != UPSTREAM_H2_DEAD && !conn->is_mute) {
		if (!gather(conn)) {
			upstream_h2_fail(conn, UPSTREAM_BROKEN);
			return;
		}
		if (buf_size(&conn->out) == 0 || !write_out(conn))
			break;
	}
	if (conn->state != UPSTREAM_H2_DEAD && (conn->broke_rules || is_over(conn)))
		upstream_h2_fail(conn, conn->broke_rules ? UPSTREAM_BROKEN : UPSTREAM_CLOSED);
	watch(conn);
}

/* ---- what happens */

static void settle(struct upstream_h2 *conn)
{
	struct upstream_stream *stream = NULL;

	while (conn->state != UPSTREAM_H2_DEAD && (stream = TAILQ_FIRST(&conn->touched))) {
		TAILQ_REMOVE(&conn->touched, stream, touched);
		stream->is_touched = false;
		upstream_stream_settle(stream);
	}
}

static void arm(struct upstream_h2 *conn)
{
	if (conn->state == UPSTREAM_H2_DEAD)
		return;
	if (conn->is_asked)
		deadline_set(&conn->liveness, UPSTREAM_H2_PING_WAIT_MS);
	else if (conn->stream_count > 0)
		deadline_set(
		    &conn->liveness, conn->was_asked ? UPSTREAM_H2_PING_AGAIN_MS : UPSTREAM_H2_PING_AFTER_MS);
	else
		deadline_clear(&conn->liveness);
}

static void tell_idle(struct upstream_h2 *conn)
{
	if (!conn->is_idle_news || conn->stream_count > 0 || conn->state == UPSTREAM_H2_DEAD)
		return;
	conn->is_idle_news = false;
	conn->owner->on_idle(conn->arg, conn);
}

/* Streams are told first: what they say to it leaves with the rest. */
static void work(struct loop_task *task)
{
	struct upstream_h2 *conn = loop_owner(task, struct upstream_h2, work_task);

	settle(conn);
	flush(conn);
	if (conn->is_idle_news || !deadline_is_set(&conn->liveness))
		arm(conn);
	tell_idle(conn);
}

void upstream_h2_kick(struct upstream_h2 *conn)
{
	if (conn->state != UPSTREAM_H2_DEAD)
		loop_defer(conn->place->loop, &conn->work_task);
}

static bool digest(struct upstream_h2 *conn)
{
	conn->is_in_session = true;
	ssize_t used = nghttp2_session_mem_recv(
	    conn->session, (const uint8_t *)buf_bytes(&conn->in), buf_size(&conn->in));
	conn->is_in_session = false;
	if (conn->state == UPSTREAM_H2_DEAD)
		return false;
	buf_consume(&conn->in, buf_size(&conn->in));
	return used >= 0;
}

/* False: there is nothing more to read for now. */
static bool receive_once(struct upstream_h2 *conn)
{
	char *space = NULL;
	size_t got = 0;
	size_t room = buf_reserve(&conn->in, conn->filled ? READ_LARGE : READ_SMALL, &space);
	enum result result = stream_read(&conn->stream, space, room, &got);

	if (result == R_AGAIN)
		return false;
	if (result != R_OK) {
		upstream_h2_fail(conn, UPSTREAM_CLOSED);
		return false;
	}
	buf_commit(&conn->in, got);
	conn->filled = got == room;
	conn->is_asked = false;
	if (!digest(conn)) {
		if (conn->state != UPSTREAM_H2_DEAD)
			upstream_h2_fail(conn, UPSTREAM_BROKEN);
		return false;
	}
	settle(conn);
	return conn->state != UPSTREAM_H2_DEAD && (conn->filled || stream_has_buffered(&conn->stream));
}

/* What TLS holds of a record raises no event: it is taken now. */
static void receive(struct upstream_h2 *conn)
{
	for (int i = 0; i < READS_PER_EVENT || stream_has_buffered(&conn->stream); i++)
		if (!receive_once(conn))
			break;
	if (conn->state == UPSTREAM_H2_DEAD)
		return;
	if (conn->stream_count == 0)
		buf_fini(&conn->in);
	arm(conn);
	flush(conn);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct upstream_h2 *conn = loop_owner(stream, struct upstream_h2, stream);

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(conn);
	if (conn->state != UPSTREAM_H2_DEAD && (events & EPOLLOUT))
		work(&conn->work_task);
}

/* Nothing came since it was asked: what waits for it would wait for ever, and more would join it. */
static void on_silence(struct deadline *deadline)
{
	struct upstream_h2 *conn = loop_owner(deadline, struct upstream_h2, liveness);

	if (conn->is_asked) {
		upstream_h2_fail(conn, UPSTREAM_CLOSED);
		return;
	}
	conn->is_asked = conn->was_asked = true;
	nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL);
	arm(conn);
	upstream_h2_kick(conn);
}

/* ---- what its owner asks */

struct upstream_h2 *upstream_h2_new(const struct upstream_place *place, struct upstream_opened *opened,
    const struct upstream_h2_owner *owner, void *arg)
{
	struct upstream_h2 *conn = mem_alloc(sizeof *conn);

	conn->link.conn = conn;
	conn->place = place;
	conn->owner = owner;
	conn->arg = arg;
	conn->single = opened->single;
	conn->work_task.run = work;
	conn->free_task.run = on_free;
	TAILQ_INIT(&conn->streams);
	TAILQ_INIT(&conn->touched);
	buf_init(&conn->in, READ_LARGE);
	buf_init(&conn->out, OUT_MAX);
	conn->stream = opened->stream;
	conn->stream.io.on_ready = on_ready;
	deadline_init(&conn->liveness, place->loop, on_silence);
	conn->session = upstream_h2_session_new(conn);
	metric_add(place->metrics->h2_connections, 1);
	upstream_h2_kick(conn);
	watch(conn);
	return conn;
}

/* Best effort: the socket's buffer takes a GOAWAY. */
static void say_goodbye(struct upstream_h2 *conn)
{
	if (conn->is_in_session || conn->is_mute)
		return;
	nghttp2_session_terminate_session(conn->session, NGHTTP2_NO_ERROR);
	if (gather(conn))
		write_out(conn);
}

void upstream_h2_close(struct upstream_h2 *conn)
{
	if (conn->state == UPSTREAM_H2_DEAD)
		return;
	say_goodbye(conn);
	dispose(conn);
}

/* Until its SETTINGS are there the upstream allows what it allowed last time. */
size_t upstream_h2_most_streams(const struct upstream_address *address)
{
	unsigned most = atomic_load_explicit(&address->h2_streams, memory_order_relaxed);

	return most > 0 && most < UPSTREAM_H2_STREAMS_MAX ? most : UPSTREAM_H2_STREAMS_MAX;
}

/* What nghttp2 keeps back would wait for streams that may last for hours. */
static void give_back_surplus(struct upstream_h2 *conn)
{
	struct upstream_stream *stream = NULL;
	size_t count = 0;

	TAILQ_FOREACH(stream, &conn->streams, entry)
	{
		count += !stream->is_closed;
		if (count <= conn->most_streams || stream->was_sent)
			continue;
		stream->is_unprocessed = true;
		upstream_stream_touch(stream);
	}
}

void upstream_h2_take_settings(struct upstream_h2 *conn)
{
	uint32_t most =
	    nghttp2_session_get_remote_settings(conn->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	conn->knows_most = true;
	conn->most_streams = most;
	atomic_store_explicit(&conn->place->address->h2_streams, most, memory_order_relaxed);
	give_back_surplus(conn);
}

bool upstream_h2_has_room(const struct upstream_h2 *conn)
{
	size_t most = conn->knows_most ? conn->most_streams : upstream_h2_most_streams(conn->place->address);
	bool refuses =
	    conn->refused_ms != 0 && loop_now(conn->place->loop) - conn->refused_ms < UPSTREAM_H2_REFUSED_MS;

	if (conn->state != UPSTREAM_H2_OPEN || refuses || (conn->single && conn->was_started))
		return false;
	return conn->stream_count < most && conn->stream_count < UPSTREAM_H2_STREAMS_MAX &&
	       nghttp2_session_check_request_allowed(conn->session);
}

size_t upstream_h2_streams(const struct upstream_h2 *conn)
{
	return conn->stream_count;
}

void upstream_h2_retire(struct upstream_h2 *conn)
{
	if (conn->state == UPSTREAM_H2_OPEN)
		conn->state = UPSTREAM_H2_RETIRED;
}

bool upstream_h2_is_retired(const struct upstream_h2 *conn)
{
	bool allows_none = conn->knows_most && conn->most_streams == 0;

	return conn->state != UPSTREAM_H2_OPEN || allows_none || (conn->single && conn->was_started);
}

struct upstream_h2_link *upstream_h2_link(struct upstream_h2 *conn)
{
	return &conn->link;
}

void upstream_stream_left(struct upstream_h2 *conn)
{
	conn->stream_count--;
	conn->is_idle_news = conn->stream_count == 0;
	if (conn->is_idle_news)
		upstream_h2_kick(conn);
}
