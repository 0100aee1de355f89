#include <assert.h>

#include "edge/http/h1_parse.h"
#include "edge/http/upgrade.h"
#include "edge/upstream/upstream_h1_state.h"

static void end_response(struct upstream_h1 *upstream)
{
	upstream->response = RESPONSE_DONE;
	upstream->was_used = true;
	deadline_clear(&upstream->deadline);
	if (upstream_h1_is_tunnel(upstream))
		upstream_h1_settle(upstream);
	upstream->user->on_end(upstream->arg);
}

static void take_interim(struct upstream_h1 *upstream, struct http_head *head, size_t used)
{
	if (++upstream->interim_count > UPSTREAM_INTERIM_MAX) {
		upstream_h1_fail(upstream, UPSTREAM_MALFORMED);
		return;
	}
	if (head->status == 100)
		upstream->request.expects_continue = false;
	upstream->response = RESPONSE_INTERIM;
	upstream->scan = (struct h1_scan){0};
	upstream->user->on_head(upstream->arg, head, true);
	if (upstream->state == LINK_OPEN)
		buf_consume(&upstream->in, used);
}

/* After a request that asked for a tunnel the upstream may take what follows for either protocol, whatever
 * its answer says: the connection is never used again. */
static void take_final(struct upstream_h1 *upstream, struct http_head *head, size_t used)
{
	upstream->keep_alive = head->keep_alive && !upstream->request.upgrade;
	upstream->response = RESPONSE_BODY;
	h1_body_init(&upstream->body, head);
	upstream->user->on_head(upstream->arg, head, false);
	if (upstream->state == LINK_OPEN)
		buf_consume(&upstream->in, used);
}

/* A 101 that is there before the request is, answers something else. */
static void take_switch(struct upstream_h1 *upstream, struct http_head *head, size_t used)
{
	const char *asked = upstream->request.upgrade;
	bool was_asked = asked && upstream->sending == REQUEST_ENDED && upstream_h1_unsent(upstream) == 0;

	if (!was_asked || !upgrade_accept(head, asked)) {
		upstream_h1_fail(upstream, UPSTREAM_MALFORMED);
		return;
	}
	upstream->request.body = HTTP_BODY_TUNNEL;
	upstream->sending = REQUEST_OPEN;
	stream_probe(&upstream->stream.io);
	take_final(upstream, head, used);
}

/* False: no step is possible with what has arrived. */
static bool step_head(struct upstream_h1 *upstream)
{
	struct http_head head HTTP_HEAD_UNSET;
	size_t used = 0;

	if (buf_size(&upstream->in) == 0)
		return false;
	enum result result = h1_parse_response(&head, &upstream->scan, buf_bytes(&upstream->in),
	    buf_size(&upstream->in), upstream->request.to_head, &used);
	if (result == R_AGAIN)
		return false;
	if (result != R_OK)
		upstream_h1_fail(upstream, UPSTREAM_MALFORMED);
	else if (head.status == 101)
		take_switch(upstream, &head, used);
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
	if (upstream->held_back && upstream->held_since_ms == 0)
		upstream->held_since_ms = loop_now(upstream->stream.loop);
}

static void take_end(struct upstream_h1 *upstream, size_t framing)
{
	struct http_head trailers HTTP_HEAD_UNSET;

	if (upstream->body.trailers.size > 0) {
		if (h1_read_trailers(&trailers, upstream->body.trailers, H1_RESPONSE) != R_OK) {
			upstream_h1_fail(upstream, UPSTREAM_MALFORMED);
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
		upstream_h1_fail(upstream, UPSTREAM_MALFORMED);
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

bool upstream_h1_is_receiving(const struct upstream_h1 *upstream)
{
	return upstream->state == LINK_OPEN && upstream->response != RESPONSE_DONE && !upstream->held_back;
}

/* A response that reads until the end is whole now; any other is cut. After a failed write the end may be
 * that of a reset, whose error the write has taken. */
static void take_eof(struct upstream_h1 *upstream)
{
	bool may_end = upstream->body.kind == HTTP_BODY_UNTIL_CLOSE || upstream_h1_is_tunnel(upstream);

	if (upstream->response == RESPONSE_BODY && may_end && upstream->sending != REQUEST_BROKEN)
		end_response(upstream);
	else
		upstream_h1_fail(upstream, UPSTREAM_CLOSED);
}

/* A body that is known to be long, or has filled the small buffer, is worth a large one: each read opens the
 * upstream's window, and fewer of them are a tenth of what a body costs. It is let go when the client turns
 * out to be slow, since then it would only hold what waits. */
static size_t read_size(const struct upstream_h1 *upstream)
{
	bool is_long = upstream->response == RESPONSE_BODY && upstream->body.left > READ_SMALL;

	if (!upstream->filled && !is_long)
		return READ_SMALL;
	return upstream->client_is_slow ? READ_SLOW : UPSTREAM_READ_BUFFER;
}

/* What was held back has been taken, with the rest of what was read. A client whose socket was full for a
 * moment keeps up. */
static void judge_client(struct upstream_h1 *upstream)
{
	if (upstream->held_since_ms == 0)
		return;
	upstream->client_is_slow = loop_now(upstream->stream.loop) - upstream->held_since_ms > SLOW_MS;
	upstream->held_since_ms = 0;
}

static void shrink_buffer(struct upstream_h1 *upstream)
{
	if (upstream->client_is_slow && upstream->in.capacity > READ_SLOW + 1 && buf_size(&upstream->in) == 0)
		buf_fini(&upstream->in);
}

/* False: the socket is drained, or reading is over for now. */
static bool receive_once(struct upstream_h1 *upstream)
{
	char *space = NULL;
	size_t got = 0;

	judge_client(upstream);
	shrink_buffer(upstream);
	size_t room = buf_reserve(&upstream->in, read_size(upstream), &space);
	assert(room > 0);
	enum result result = stream_read(&upstream->stream, space, room, &got);

	if (result == R_AGAIN)
		return false;
	if (result != R_OK) {
		if (result == R_EOF)
			take_eof(upstream);
		else
			upstream_h1_fail(upstream, UPSTREAM_CLOSED);
		return false;
	}
	buf_commit(&upstream->in, got);
	upstream->filled = got == room;
	upstream_h1_forget_request(upstream);
	if (upstream->response <= RESPONSE_INTERIM)
		upstream->response = RESPONSE_HEAD;
	digest(upstream);
	return (got == room || stream_has_buffered(&upstream->stream)) && upstream_h1_is_receiving(upstream);
}

/* What TLS holds of a record raises no event: it is taken now. */
void upstream_h1_receive(struct upstream_h1 *upstream)
{
	for (int i = 0; i < READS_PER_EVENT || stream_has_buffered(&upstream->stream); i++)
		if (!receive_once(upstream))
			break;
	if (upstream->state != LINK_OPEN || upstream->response == RESPONSE_DONE)
		return;
	if (upstream_h1_is_tunnel(upstream) && buf_size(&upstream->in) == 0)
		buf_fini(&upstream->in);
	upstream_h1_settle(upstream);
	upstream->user->on_pause(upstream->arg);
}

void upstream_h1_resume(struct upstream_call *call)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);

	if (upstream->state != LINK_OPEN || !upstream->held_back)
		return;
	upstream->held_back = false;
	digest(upstream);
	if (upstream_h1_is_receiving(upstream))
		upstream_h1_receive(upstream);
	else if (upstream->state == LINK_OPEN && upstream->response != RESPONSE_DONE)
		upstream->user->on_pause(upstream->arg);
}
