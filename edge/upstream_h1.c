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
#include "edge/deadline.h"
#include "edge/h1_body.h"
#include "edge/h1_parse.h"
#include "edge/stream.h"

enum link_state { LINK_CONNECTING, LINK_OPEN, LINK_IDLE, LINK_DEAD };
enum request_state {
	REQUEST_OPEN, /* more of its body may come */
	REQUEST_ENDED,
	REQUEST_BROKEN, /* the upstream takes no more of it; it may still answer */
};
enum response_state { RESPONSE_AWAITED, RESPONSE_HEAD, RESPONSE_BODY, RESPONSE_DONE };

enum {
	READ_SMALL = 16 * 1024 - 1, /* struct buf rounds up with a byte to spare */
	READS_PER_EVENT = 4,        /* then the other connections have their turn */
	DIRECT_MIN = 4 * 1024,      /* body pieces from here on are written without a copy */
};

struct upstream_h1 {
	struct upstream_link link;
	const struct http_config *config;
	size_t address;
	struct stream stream;
	struct deadline deadline;
	struct loop_task free_task;
	const struct upstream_h1_user *user;
	void *arg;
	enum link_state state;

	struct upstream_request request;
	enum request_state sending;
	/* A request without a body stays here whole until its answer begins, so that it can be sent again. */
	struct buf out;
	size_t sent;     /* bytes of `out` that went out and are kept */
	bool gave_away;  /* bytes went out that are not in `out` any more */
	bool wants_room; /* upstream_h1_send took less than it was offered */

	struct buf in;
	bool filled; /* the last read took all the room there was */
	struct h1_scan scan;
	struct h1_body body;
	enum response_state response;
	int interim_count;
	bool keep_alive;
	bool held_back; /* on_body took less than it was offered */
	bool was_used;
};

static void on_ready(struct loop_io *io, uint32_t events);
static void on_deadline(struct deadline *deadline);

static void free_later(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_h1, free_task));
}

static size_t unsent(const struct upstream_h1 *upstream)
{
	return buf_size(&upstream->out) - upstream->sent;
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

static void fail(struct upstream_h1 *upstream, enum upstream_failure failure)
{
	upstream->state = LINK_DEAD;
	deadline_clear(&upstream->deadline);
	loop_unwatch(upstream->stream.loop, &upstream->stream.io);
	upstream->user->on_failed(upstream->arg, failure);
}

/* Whose silence is it? The upstream's clock stands still while the client has to send or to take. */
static bool waits_for_upstream(const struct upstream_h1 *upstream)
{
	bool client_sends = upstream->sending == REQUEST_OPEN && unsent(upstream) == 0 &&
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
	    upstream->sending != REQUEST_BROKEN && (unsent(upstream) > 0 || upstream->wants_room);

	if (upstream->state == LINK_OPEN)
		stream_watch(&upstream->stream, !upstream->held_back, wants_write);
}

static void on_deadline(struct deadline *deadline)
{
	struct upstream_h1 *upstream = loop_owner(deadline, struct upstream_h1, deadline);

	fail(upstream, upstream->state == LINK_CONNECTING ? UPSTREAM_CONNECT_TIMEOUT : UPSTREAM_TIMEOUT);
}

/* ---- request */

void upstream_h1_start(struct upstream_h1 *upstream, struct buf *head, const struct upstream_request *request)
{
	assert(upstream->response == RESPONSE_DONE && buf_size(&upstream->out) == 0);
	if (upstream->state == LINK_IDLE)
		upstream->state = LINK_OPEN;
	buf_fini(&upstream->out);
	upstream->out = *head;
	buf_init(head, UPSTREAM_OUT_MAX);
	upstream->request = *request;
	upstream->sending = request->is_whole ? REQUEST_ENDED : REQUEST_OPEN;
	upstream->response = RESPONSE_AWAITED;
	upstream->scan = (struct h1_scan){0};
	upstream->interim_count = 0;
	upstream->sent = 0;
	upstream->gave_away = upstream->held_back = upstream->filled = false;
	upstream->wants_room = request->was_elsewhere && !request->is_whole;
	arm(upstream);
}

static bool keeps_request(const struct upstream_h1 *upstream)
{
	return upstream->request.body == HTTP_BODY_NONE && upstream->response == RESPONSE_AWAITED;
}

/* What it has answered before it stopped listening is still there to read, so a failed write does not fail
 * the stream. */
static void break_request(struct upstream_h1 *upstream)
{
	upstream->sending = REQUEST_BROKEN;
	upstream->stream.failed = false;
	if (upstream->gave_away)
		buf_fini(&upstream->out);
}

static void mark_sent(struct upstream_h1 *upstream, size_t size)
{
	if (keeps_request(upstream)) {
		upstream->sent += size;
		return;
	}
	buf_consume(&upstream->out, size);
	upstream->gave_away = true;
}

void upstream_h1_flush(struct upstream_h1 *upstream)
{
	if (upstream->state != LINK_OPEN)
		return;
	while (upstream->sending != REQUEST_BROKEN && unsent(upstream) > 0) {
		size_t put = 0;
		enum result result = stream_write(
		    &upstream->stream, buf_bytes(&upstream->out) + upstream->sent, unsent(upstream), &put);

		if (result == R_AGAIN)
			break;
		if (result == R_OK)
			mark_sent(upstream, put);
		else
			break_request(upstream);
	}
	arm(upstream);
	watch(upstream);
}

static size_t send_room(const struct upstream_h1 *upstream)
{
	size_t waiting = unsent(upstream);

	return waiting < UPSTREAM_SEND_BUFFER ? UPSTREAM_SEND_BUFFER - waiting : 0;
}

static size_t send_direct(struct upstream_h1 *upstream, const char *bytes, size_t size)
{
	size_t put = 0;
	enum result result = stream_write(&upstream->stream, bytes, size, &put);

	if (result == R_OK)
		upstream->gave_away = true;
	if (result == R_ERROR)
		break_request(upstream);
	return result == R_ERROR ? size : put;
}

static size_t send_some(struct upstream_h1 *upstream, const char *bytes, size_t size)
{
	size_t overhead = upstream->request.body == HTTP_BODY_CHUNKED ? H1_CHUNK_OVERHEAD : 0;
	size_t room = send_room(upstream);

	if (overhead == 0 && unsent(upstream) == 0 && size >= DIRECT_MIN && upstream->state == LINK_OPEN)
		return send_direct(upstream, bytes, size);
	if (room <= overhead)
		return 0;
	if (size > room - overhead)
		size = room - overhead;
	if (overhead > 0)
		h1_write_chunk(&upstream->out, bytes, size);
	else
		buf_append(&upstream->out, bytes, size);
	return size;
}

size_t upstream_h1_send(struct upstream_h1 *upstream, const char *bytes, size_t size)
{
	size_t taken = 0;

	assert(upstream->sending != REQUEST_ENDED);
	upstream->request.expects_continue = false;
	while (taken < size && upstream->sending == REQUEST_OPEN) {
		size_t some = send_some(upstream, bytes + taken, size - taken);

		if (some == 0) {
			size_t before = unsent(upstream);

			upstream_h1_flush(upstream);
			if (unsent(upstream) == before)
				break;
		}
		taken += some;
	}
	if (upstream->sending == REQUEST_BROKEN)
		return size;
	upstream->wants_room = taken < size;
	return taken;
}

void upstream_h1_send_end(struct upstream_h1 *upstream, const struct http_head *trailers)
{
	if (upstream->sending == REQUEST_BROKEN)
		return;
	if (upstream->request.body == HTTP_BODY_CHUNKED)
		h1_write_last_chunk(&upstream->out, trailers);
	upstream->sending = REQUEST_ENDED;
}

/* ---- response */

static void end_response(struct upstream_h1 *upstream)
{
	upstream->response = RESPONSE_DONE;
	upstream->was_used = true;
	deadline_clear(&upstream->deadline);
	upstream->user->on_end(upstream->arg);
}

static void take_interim(struct upstream_h1 *upstream, struct http_head *head, size_t used)
{
	if (head->status == 101 || ++upstream->interim_count > UPSTREAM_INTERIM_MAX) {
		fail(upstream, UPSTREAM_MALFORMED);
		return;
	}
	upstream->request.expects_continue = false;
	upstream->scan = (struct h1_scan){0};
	upstream->user->on_head(upstream->arg, head, true);
	if (upstream->state == LINK_OPEN)
		buf_consume(&upstream->in, used);
}

static void take_final(struct upstream_h1 *upstream, struct http_head *head, size_t used)
{
	upstream->keep_alive = head->keep_alive;
	upstream->response = RESPONSE_BODY;
	h1_body_init(&upstream->body, head);
	upstream->user->on_head(upstream->arg, head, false);
	if (upstream->state == LINK_OPEN)
		buf_consume(&upstream->in, used);
}

/* The request need not be sent again any more: it was heard. */
static void forget_request(struct upstream_h1 *upstream)
{
	if (!keeps_request(upstream))
		return;
	buf_consume(&upstream->out, upstream->sent);
	upstream->gave_away = upstream->sent > 0;
	upstream->sent = 0;
}

/* False: no step is possible with what has arrived. */
static bool step_head(struct upstream_h1 *upstream)
{
	struct http_head head;
	size_t used = 0;

	if (buf_size(&upstream->in) == 0)
		return false;
	enum result result = h1_parse_response(&head, &upstream->scan, buf_bytes(&upstream->in),
	    buf_size(&upstream->in), upstream->request.to_head, &used);
	if (result == R_AGAIN)
		return false;
	if (result != R_OK)
		fail(upstream, UPSTREAM_MALFORMED);
	else if (head.status < 200)
		take_interim(upstream, &head, used);
	else
		take_final(upstream, &head, used);
	return true;
}

static void offer_data(struct upstream_h1 *upstream, size_t size)
{
	size_t taken = upstream->user->on_body(upstream->arg, buf_bytes(&upstream->in), size);

	if (upstream->state != LINK_OPEN)
		return;
	h1_body_take(&upstream->body, taken);
	buf_consume(&upstream->in, taken);
	upstream->held_back = taken < size;
}

static void take_end(struct upstream_h1 *upstream, size_t framing)
{
	struct http_head trailers;

	if (upstream->body.trailers.size > 0) {
		if (h1_read_trailers(&trailers, upstream->body.trailers) != R_OK) {
			fail(upstream, UPSTREAM_MALFORMED);
			return;
		}
		upstream->user->on_trailers(upstream->arg, &trailers);
		if (upstream->state != LINK_OPEN)
			return;
	}
	buf_consume(&upstream->in, framing);
	end_response(upstream);
}

static bool step_body(struct upstream_h1 *upstream)
{
	size_t framing = 0;
	size_t data = 0;
	enum result result =
	    h1_body_next(&upstream->body, buf_bytes(&upstream->in), buf_size(&upstream->in), &framing, &data);

	if (result == R_INVALID) {
		fail(upstream, UPSTREAM_MALFORMED);
		return true;
	}
	if (result == R_EOF) {
		take_end(upstream, framing);
		return true;
	}
	buf_consume(&upstream->in, framing);
	if (result == R_OK)
		offer_data(upstream, data);
	return result == R_OK;
}

/* Hands on what has arrived. The last thing it does for a response is to call its end. */
static void digest(struct upstream_h1 *upstream)
{
	bool goes_on = true;

	while (goes_on && upstream->state == LINK_OPEN && upstream->response != RESPONSE_DONE &&
	       !upstream->held_back)
		goes_on = upstream->response == RESPONSE_BODY ? step_body(upstream) : step_head(upstream);
}

static bool is_receiving(const struct upstream_h1 *upstream)
{
	return upstream->state == LINK_OPEN && upstream->response != RESPONSE_DONE && !upstream->held_back;
}

/* A response that reads until the end is whole now; any other is cut. After a failed write the end may be
 * that of a reset, whose error the write has taken. */
static void take_eof(struct upstream_h1 *upstream)
{
	if (upstream->response == RESPONSE_BODY && upstream->body.kind == HTTP_BODY_UNTIL_CLOSE &&
	    upstream->sending != REQUEST_BROKEN)
		end_response(upstream);
	else
		fail(upstream, UPSTREAM_CLOSED);
}

/* A body that is known to be long, or has filled the small buffer, is worth a large one. */
static size_t read_size(const struct upstream_h1 *upstream)
{
	bool is_long = upstream->response == RESPONSE_BODY && upstream->body.left > READ_SMALL;

	return upstream->filled || is_long ? UPSTREAM_READ_BUFFER : READ_SMALL;
}

/* False: the socket is drained, or reading is over for now. */
static bool receive_once(struct upstream_h1 *upstream)
{
	char *space = NULL;
	size_t got = 0;
	size_t room = buf_reserve(&upstream->in, read_size(upstream), &space);
	assert(room > 0);
	enum result result = stream_read(&upstream->stream, space, room, &got);

	if (result == R_AGAIN)
		return false;
	if (result != R_OK) {
		if (result == R_EOF)
			take_eof(upstream);
		else
			fail(upstream, UPSTREAM_CLOSED);
		return false;
	}
	buf_commit(&upstream->in, got);
	upstream->filled = got == room;
	forget_request(upstream);
	if (upstream->response == RESPONSE_AWAITED)
		upstream->response = RESPONSE_HEAD;
	digest(upstream);
	return got == room && is_receiving(upstream);
}

static void receive(struct upstream_h1 *upstream)
{
	for (int i = 0; i < READS_PER_EVENT; i++)
		if (!receive_once(upstream))
			break;
	if (upstream->state != LINK_OPEN || upstream->response == RESPONSE_DONE)
		return;
	arm(upstream);
	watch(upstream);
	upstream->user->on_pause(upstream->arg);
}

void upstream_h1_resume(struct upstream_h1 *upstream)
{
	if (upstream->state != LINK_OPEN || !upstream->held_back)
		return;
	upstream->held_back = false;
	digest(upstream);
	if (is_receiving(upstream))
		receive(upstream);
	else if (upstream->state == LINK_OPEN && upstream->response != RESPONSE_DONE)
		upstream->user->on_pause(upstream->arg);
}

/* ---- events */

static void finish_connect(struct upstream_h1 *upstream)
{
	int code = 0;
	socklen_t size = sizeof code;

	if (getsockopt(upstream->stream.io.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code != 0) {
		fail(upstream, UPSTREAM_REFUSED);
		return;
	}
	upstream->state = LINK_OPEN;
	upstream_h1_flush(upstream);
}

static void take_room(struct upstream_h1 *upstream)
{
	upstream_h1_flush(upstream);
	if (!upstream->wants_room || (send_room(upstream) == 0 && upstream->sending == REQUEST_OPEN))
		return;
	upstream->wants_room = false;
	upstream->user->on_room(upstream->arg);
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
		fail(upstream, UPSTREAM_CLOSED);
		return;
	}
	if (upstream->state == LINK_CONNECTING)
		finish_connect(upstream);
	if (upstream->state == LINK_OPEN && (events & (EPOLLOUT | EPOLLERR)))
		take_room(upstream);
	if (upstream->state != LINK_OPEN)
		return;
	if (must_look_away(upstream, events))
		loop_unwatch(stream->loop, io);
	else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && is_receiving(upstream))
		receive(upstream);
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
	       upstream->sending == REQUEST_ENDED && unsent(upstream) == 0 && buf_size(&upstream->in) == 0;
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
