#include <assert.h>

#include "edge/upstream/upstream_h1_state.h"

void upstream_h1_start(struct upstream_call *call, struct buf *head, const struct upstream_request *request)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);

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
	upstream->client_is_slow = false;
	upstream->held_since_ms = 0;
	upstream->gave_away = upstream->held_back = upstream->filled = false;
	upstream->wants_room = request->was_elsewhere && !request->is_whole;
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

/* Most tunnels are silent most of the time: they hold no buffer then. */
static void rest_tunnel(struct upstream_h1 *upstream)
{
	buf_fini(&upstream->out);
	if (upstream->sending != REQUEST_ENDED)
		return;
	upstream->sending = REQUEST_SHUT;
	stream_shutdown(&upstream->stream);
}

void upstream_h1_flush(struct upstream_call *call)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);

	if (upstream->state != LINK_OPEN)
		return;
	while (upstream->sending != REQUEST_BROKEN && upstream_h1_unsent(upstream) > 0) {
		size_t put = 0;
		enum result result = stream_write(&upstream->stream,
		    buf_bytes(&upstream->out) + upstream->sent, upstream_h1_unsent(upstream), &put);

		if (result == R_AGAIN)
			break;
		if (result == R_OK)
			mark_sent(upstream, put);
		else
			break_request(upstream);
	}
	if (upstream_h1_is_tunnel(upstream) && upstream_h1_unsent(upstream) == 0)
		rest_tunnel(upstream);
	upstream_h1_settle(upstream);
}

bool upstream_h1_has_sent_all(const struct upstream_h1 *upstream)
{
	bool is_over = upstream->sending != REQUEST_OPEN && upstream->sending != REQUEST_BROKEN;

	return upstream->sending == REQUEST_BROKEN || (is_over && upstream_h1_unsent(upstream) == 0);
}

static size_t send_room(const struct upstream_h1 *upstream)
{
	size_t waiting = upstream_h1_unsent(upstream);

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
	/* What a tunnel's client says together has come together: nothing is worth waiting for. */
	bool is_worth_it = size >= DIRECT_MIN || upstream_h1_is_tunnel(upstream);

	if (is_worth_it && overhead == 0 && upstream_h1_unsent(upstream) == 0 && upstream->state == LINK_OPEN)
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

size_t upstream_h1_send(struct upstream_call *call, const char *bytes, size_t size)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);
	size_t taken = 0;

	assert(upstream->sending == REQUEST_OPEN || upstream->sending == REQUEST_BROKEN);
	upstream->request.expects_continue = false;
	while (taken < size && upstream->sending == REQUEST_OPEN) {
		size_t some = send_some(upstream, bytes + taken, size - taken);

		if (some == 0) {
			size_t before = upstream_h1_unsent(upstream);

			upstream_h1_flush(&upstream->call);
			if (upstream_h1_unsent(upstream) == before)
				break;
		}
		taken += some;
	}
	if (upstream->sending == REQUEST_BROKEN)
		return size;
	upstream->wants_room = taken < size;
	return taken;
}

void upstream_h1_send_end(struct upstream_call *call, const struct http_head *trailers)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);

	if (upstream->sending == REQUEST_BROKEN)
		return;
	if (upstream->request.body == HTTP_BODY_CHUNKED)
		h1_write_last_chunk(&upstream->out, trailers);
	upstream->sending = REQUEST_ENDED;
}

void upstream_h1_take_room(struct upstream_h1 *upstream)
{
	enum request_state before = upstream->sending;

	upstream_h1_flush(&upstream->call);
	bool has_ended = upstream_h1_is_tunnel(upstream) && upstream->sending != before;
	if (!has_ended &&
	    (!upstream->wants_room || (send_room(upstream) == 0 && upstream->sending == REQUEST_OPEN)))
		return;
	upstream->wants_room = false;
	upstream->user->on_room(upstream->arg);
}

/* The request need not be sent again any more: it was heard. */
void upstream_h1_forget_request(struct upstream_h1 *upstream)
{
	if (!keeps_request(upstream))
		return;
	buf_consume(&upstream->out, upstream->sent);
	upstream->gave_away = upstream->sent > 0;
	upstream->sent = 0;
}
