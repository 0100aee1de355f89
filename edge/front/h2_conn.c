#include "edge/front/h2_conn.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "edge/front/h2_conn_state.h"

/* Then the other connections have their turn. A step may write H2_OUT_GATHER. */
enum { READS_PER_EVENT = 4, STEPS_AT_ONCE = 16 };

/* ---- the end */

static void free_over(struct h2_conn *conn)
{
	struct h2_stream *stream = NULL;

	while ((stream = TAILQ_FIRST(&conn->over))) {
		TAILQ_REMOVE(&conn->over, stream, entry);
		h2_stream_free(stream);
	}
}

static void run_closed(struct loop_task *task)
{
	struct h2_conn *conn = loop_owner(task, struct h2_conn, closed_task);

	conn->on_closed(conn->owner);
	free_over(conn);
	client_fini(&conn->client);
	free(conn);
}

static void abandon_streams(struct h2_conn *conn)
{
	struct h2_stream *stream = NULL;

	while ((stream = TAILQ_FIRST(&conn->streams)))
		h2_stream_over(stream);
}

void h2_conn_close(struct h2_conn *conn)
{
	if (conn->state == H2_CLOSED)
		return;
	if (conn->state == H2_OPEN)
		conn->end = H2_END_BROKEN;
	metric_add(h2_config(conn)->metrics.h2_ends[conn->end], 1);
	conn->state = H2_CLOSED;
	abandon_streams(conn);
	nghttp2_session_del(conn->session);
	client_leave_upstream(&conn->client);
	h2_deadlines_fini(conn);
	stream_fini(&conn->stream);
	buf_fini(&conn->out);
	h2_head_fini(&conn->head);
	loop_defer(conn->worker->loop, &conn->closed_task);
}

void h2_conn_end(struct h2_conn *conn, uint32_t error, enum h2_end cause)
{
	if (conn->state != H2_OPEN)
		return;
	conn->state = H2_ENDING;
	conn->end = cause;
	nghttp2_session_terminate_session(conn->session, error);
	h2_conn_wake(conn);
}

void h2_conn_retire(struct h2_conn *conn)
{
	if (conn->state != H2_OPEN || conn->retiring != H2_STAYS)
		return;
	conn->retiring = H2_NOTICE;
	nghttp2_submit_shutdown_notice(conn->session);
	h2_conn_wake(conn);
}

void h2_conn_say_last(struct h2_conn *conn)
{
	if (conn->state != H2_OPEN || conn->retiring != H2_NOTICE)
		return;
	conn->retiring = H2_SAID_LAST;
	nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(conn->session), NGHTTP2_NO_ERROR, NULL, 0);
	h2_conn_wake(conn);
}

/* A close that finds unread bytes would send a reset, which may eat what was written last. */
static void linger(struct h2_conn *conn)
{
	if (conn->read_eof) {
		h2_conn_close(conn);
		return;
	}
	conn->state = H2_LINGER;
	conn->linger_left = H2_LINGER_BYTES;
	stream_shutdown(&conn->stream);
}

static void discard(struct h2_conn *conn)
{
	size_t got = 0;
	enum result result = stream_read(&conn->stream, conn->worker->scratch, H2_READ, &got);

	if (result == R_EOF || result == R_ERROR || got >= conn->linger_left)
		h2_conn_close(conn);
	conn->linger_left -= got;
}

/* ---- writing */

/* At once, instead of by doubling and copying what has been framed. */
static void make_room(struct h2_conn *conn)
{
	char *space = NULL;

	if (conn->out.capacity == 0 && nghttp2_session_want_write(conn->session))
		buf_reserve(&conn->out, H2_OUT_FIRST, &space);
}

void h2_conn_fill(struct h2_conn *conn, size_t most)
{
	const uint8_t *bytes = NULL;
	ssize_t size = 1;

	if (conn->in_session)
		return;
	make_room(conn);
	conn->out_most = most;
	conn->in_session = true;
	while (size > 0 && buf_size(&conn->out) < most) {
		size = nghttp2_session_mem_send(conn->session, &bytes);
		if (size > 0)
			buf_append(&conn->out, bytes, (size_t)size);
	}
	conn->in_session = false;
	conn->is_broken = conn->is_broken || size < 0;
}

enum result h2_conn_flush(struct h2_conn *conn, size_t keep)
{
	while (!conn->is_broken && buf_size(&conn->out) > keep) {
		size_t put = 0;
		enum result result =
		    stream_write(&conn->stream, buf_bytes(&conn->out), buf_size(&conn->out), &put);

		if (result == R_AGAIN)
			return R_AGAIN;
		if (result == R_OK) {
			buf_consume(&conn->out, put);
			conn->has_moved = true;
		} else
			conn->is_broken = true;
	}
	return conn->is_broken ? R_ERROR : R_OK;
}

/* ---- what can be done now */

static void begin_fresh(struct h2_conn *conn)
{
	struct h2_stream *stream = NULL;

	while (conn->state == H2_OPEN && (stream = TAILQ_FIRST(&conn->fresh)))
		h2_stream_begin(stream);
}

static void pump_fed(struct h2_conn *conn)
{
	struct h2_stream *stream = NULL;

	while ((stream = TAILQ_FIRST(&conn->fed))) {
		TAILQ_REMOVE(&conn->fed, stream, fed_entry);
		stream->is_fed = false;
		h2_stream_pump(stream);
	}
}

/* Until `out` is full; who has not had his turn then has it in a later step. */
static void give_turns(struct h2_conn *conn)
{
	for (int i = 0; i < H2_SLOTS_MAX && !h2_conn_is_full(conn); i++) {
		struct h2_stream *stream = h2_turns_next(conn);

		if (!stream)
			break;
		conn->turn = stream;
		h2_response_write(stream);
		conn->turn = NULL;
		h2_conn_fill(conn, H2_OUT_GATHER);
	}
}

/* nghttp2 has found an error of the connection's, and said so; or there is nothing left to do. */
static void notice_end(struct h2_conn *conn)
{
	bool is_over = (conn->retiring == H2_SAID_LAST || conn->read_eof) && conn->stream_count == 0;

	if (conn->state != H2_OPEN)
		return;
	if (is_over)
		h2_conn_end(conn, NGHTTP2_NO_ERROR, H2_END_ORDERLY);
	else if (!nghttp2_session_want_read(conn->session))
		h2_conn_end(conn, NGHTTP2_NO_ERROR, H2_END_PROTOCOL);
}

/* True: another step may be possible. */
static bool step(struct h2_conn *conn)
{
	if (conn->state == H2_OPEN) {
		begin_fresh(conn);
		pump_fed(conn);
		give_turns(conn);
	}
	h2_conn_fill(conn, H2_OUT_GATHER);
	notice_end(conn);
	if (conn->state == H2_ENDING)
		abandon_streams(conn);
	h2_conn_fill(conn, H2_OUT_GATHER);
	stream_expect_more(&conn->stream, false);
	enum result result = h2_conn_flush(conn, 0);
	if (result == R_ERROR)
		h2_conn_close(conn);
	if (result != R_OK)
		return false;
	if (conn->state == H2_ENDING) {
		linger(conn);
		return false;
	}
	return conn->ready_count > 0 || !TAILQ_EMPTY(&conn->fresh) || !TAILQ_EMPTY(&conn->fed);
}

/* Who does not take what there is for him is not heard, and who takes some is: behind a large response, which
 * fills `out` whenever there is room, would else wait what is more urgent, and the word that it is not
 * wanted. */
static bool wants_read(const struct h2_conn *conn)
{
	if (conn->state == H2_LINGER)
		return true;
	return conn->state == H2_OPEN && !conn->read_eof &&
	       (buf_size(&conn->out) < H2_OUT_GATHER || conn->has_moved);
}

/* What TLS holds raises no event. */
static bool has_unheard(const struct h2_conn *conn)
{
	return conn->state == H2_OPEN && wants_read(conn) && stream_has_buffered(&conn->stream);
}

static void settle(struct h2_conn *conn)
{
	bool wants_write = buf_size(&conn->out) > 0;

	if (!wants_write)
		buf_fini(&conn->out);
	if (conn->stream_count == 0 && !wants_write && conn->head_began_us == 0)
		h2_head_fini(&conn->head);
	h2_deadlines_arm(conn, wants_write);
	stream_watch(&conn->stream, wants_read(conn), wants_write);
}

void h2_conn_rest(struct h2_conn *conn)
{
	bool is_idle = conn->stream_count == 0 && buf_size(&conn->out) == 0;

	if (!is_idle || conn->state != H2_OPEN || nghttp2_session_want_write(conn->session))
		return;
	h2_memory_rest(&conn->memory);
	conn->is_resting = true;
}

void h2_conn_drive(struct h2_conn *conn)
{
	bool more = true;

	if (conn->is_driving || conn->in_session || conn->state == H2_CLOSED)
		return;
	conn->is_driving = true;
	for (int i = 0; i < STEPS_AT_ONCE && more && conn->state <= H2_ENDING; i++)
		more = step(conn);
	conn->is_driving = false;
	free_over(conn);
	if (conn->state == H2_CLOSED)
		return;
	if ((more && conn->state <= H2_ENDING) || has_unheard(conn))
		h2_conn_wake(conn);
	settle(conn);
}

void h2_conn_wake(struct h2_conn *conn)
{
	if (conn->state != H2_CLOSED && !conn->is_driving)
		loop_defer(conn->worker->loop, &conn->go_on_task);
}

/* ---- reading */

/* Behind an error nothing counts. */
static void hand_on(struct h2_conn *conn, const char *bytes, size_t size)
{
	if (size == 0 || conn->state != H2_OPEN)
		return;
	conn->in_session = true;
	ssize_t taken = nghttp2_session_mem_recv(conn->session, (const uint8_t *)bytes, size);
	conn->in_session = false;
	if (taken == NGHTTP2_ERR_FLOODED)
		h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, H2_END_UNREAD_ANSWERS);
	else if (taken == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
		h2_conn_end(conn, NGHTTP2_PROTOCOL_ERROR, H2_END_PREFACE);
	else if (taken < 0 && conn->continuations >= H2_CONTINUATIONS_MAX)
		h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, H2_END_CONTINUATIONS);
	else if (taken < 0)
		h2_conn_end(conn, NGHTTP2_INTERNAL_ERROR, H2_END_PROTOCOL);
}

/* nghttp2 looks at a frame's header when it has the last byte: DATA is judged just before. */
static void take_input(struct h2_conn *conn, const char *bytes, size_t size)
{
	struct h2_scan_data data;
	size_t scanned = 0;
	size_t handed = 0;

	while (conn->state == H2_OPEN && h2_scan_next(&conn->scan, bytes, size, &scanned, &data)) {
		hand_on(conn, bytes + handed, scanned - 1 - handed);
		handed = scanned - 1;
		h2_rules_data_begins(conn, &data);
	}
	hand_on(conn, bytes + handed, size - handed);
}

/* What is not whole will never be. */
static void take_eof(struct h2_conn *conn)
{
	struct h2_stream *stream = TAILQ_FIRST(&conn->streams);

	conn->read_eof = true;
	while (stream) {
		struct h2_stream *next = TAILQ_NEXT(stream, entry);

		if (!stream->received_end)
			h2_stream_over(stream);
		stream = next;
	}
}

/* TLS gives a record at a time; what has come together is taken together. False: nothing more for now. */
static bool read_some(struct h2_conn *conn)
{
	char *bytes = conn->worker->scratch;
	size_t filled = 0;
	size_t got = 0;
	enum result result = R_OK;

	conn->has_moved = false;
	do {
		result = stream_read(&conn->stream, bytes + filled, H2_READ - filled, &got);
		if (result == R_OK)
			filled += got;
	} while (result == R_OK && filled < H2_READ && stream_has_buffered(&conn->stream));
	if (filled > 0) {
		conn->is_resting = false;
		take_input(conn, bytes, filled);
	}
	if (result == R_EOF)
		take_eof(conn);
	conn->is_broken = conn->is_broken || result == R_ERROR;
	return result == R_OK && (filled == H2_READ || stream_has_buffered(&conn->stream));
}

static void read_all(struct h2_conn *conn)
{
	bool more = true;

	for (int i = 0; i < READS_PER_EVENT && more && wants_read(conn); i++)
		more = read_some(conn);
}

static void run_go_on(struct loop_task *task)
{
	struct h2_conn *conn = loop_owner(task, struct h2_conn, go_on_task);

	if (has_unheard(conn))
		read_all(conn);
	h2_conn_drive(conn);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct h2_conn *conn = loop_owner(stream, struct h2_conn, stream);

	if (events & (EPOLLERR | EPOLLHUP)) {
		h2_conn_close(conn);
		return;
	}
	if (conn->state == H2_LINGER)
		discard(conn);
	else
		read_all(conn);
	h2_conn_drive(conn);
}

/* ---- for its owner */

static struct h2_conn *conn_of(struct http_conn *base)
{
	return loop_owner(base, struct h2_conn, base);
}

static void drain(struct http_conn *base)
{
	struct h2_conn *conn = conn_of(base);

	h2_conn_retire(conn);
	h2_conn_drive(conn);
}

static void count_cut(struct h2_conn *conn)
{
	struct h2_stream *stream = NULL;

	TAILQ_FOREACH(stream, &conn->streams, entry)
	{
		if (stream->request.tunnel)
			request_tunnel_ends(&stream->request, TUNNEL_DRAIN);
		else if (!stream->is_whole)
			metric_add(h2_config(conn)->metrics.cuts[CUT_DRAIN], 1);
	}
}

/* The GOAWAY goes as far as it does. */
static void abort_now(struct http_conn *base)
{
	struct h2_conn *conn = conn_of(base);

	count_cut(conn);
	h2_conn_end(conn, NGHTTP2_NO_ERROR, H2_END_ORDERLY);
	h2_conn_drive(conn);
	h2_conn_close(conn);
}

static void on_challenge(struct http_conn *base, const struct challenge_reply *reply)
{
	struct h2_conn *conn = conn_of(base);
	struct h2_stream *stream = TAILQ_FIRST(&conn->streams);

	while (stream && stream->id != reply->stream)
		stream = TAILQ_NEXT(stream, entry);
	if (stream)
		h2_stream_challenge(stream, reply);
	h2_conn_drive(conn);
}

/* Notices are for port 80. */
static void on_notice(struct http_conn *base, const struct notice_reply *reply)
{
	(void)base, (void)reply;
}

static const struct http_conn_kind kind = {
    .drain = drain,
    .abort = abort_now,
    .on_challenge = on_challenge,
    .on_notice = on_notice,
};

static void init_lists(struct h2_conn *conn)
{
	TAILQ_INIT(&conn->streams);
	TAILQ_INIT(&conn->fresh);
	TAILQ_INIT(&conn->fed);
	TAILQ_INIT(&conn->over);
	for (int i = 0; i < H2_URGENCIES; i++)
		TAILQ_INIT(&conn->ready[i]);
}

/* Responses that wait here can still change places; those in the kernel cannot. */
static void limit_unsent(int fd)
{
	int unsent = H2_UNSENT;

	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

struct http_conn *h2_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner)
{
	struct h2_conn *conn = mem_alloc(sizeof *conn);

	conn->base.kind = &kind;
	conn->worker = worker;
	conn->stream = *stream;
	conn->stream.io.on_ready = on_ready;
	stream->io.fd = -1;
	client_init(&conn->client, worker, &conn->stream, peer);
	conn->on_closed = on_closed;
	conn->owner = owner;
	conn->closed_task.run = run_closed;
	conn->go_on_task.run = run_go_on;
	init_lists(conn);
	h2_deadlines_init(conn);
	buf_init(&conn->out, H2_OUT_MAX);
	h2_head_init(&conn->head);
	h2_scan_init(&conn->scan);
	conn->session = h2_session_new(conn);
	limit_unsent(conn->stream.io.fd);
	stream_allow_bare_end(&conn->stream);
	if (worker->draining)
		h2_conn_retire(conn);
	/* The first requests have often come with the end of the handshake; our SETTINGS take the ticket
	 * along.
	 */
	if (!conn->stream.ssl || stream_has_buffered(&conn->stream))
		read_all(conn);
	h2_conn_drive(conn);
	return &conn->base;
}
