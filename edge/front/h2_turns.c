/*
 * Which response writes next where the connection cannot take them all (RFC 9218): by urgency; among equals
 * first those that are of use only when whole, in the order in which they were asked for, then the others by
 * turns. A client that says nothing of a stream gets turns: nobody's download shuts out another.
 */
#include "edge/front/h2_conn_state.h"

#include "edge/http/http_chars.h"

/* A dictionary of RFC 8941, as far as it concerns us: u=N, i, i=?0 and i=?1. */
static void read_member(struct h2_priority *priority, struct http_slice member)
{
	const char *bytes = member.bytes;

	if (member.size == 3 && bytes[0] == 'u' && bytes[1] == '=' && bytes[2] >= '0' && bytes[2] <= '7')
		priority->urgency = (uint8_t)(bytes[2] - '0');
	else if (http_slice_equal(member, "i") || http_slice_equal(member, "i=?1"))
		priority->incremental = true;
	else if (http_slice_equal(member, "i=?0"))
		priority->incremental = false;
}

static void read_priority(struct h2_priority *priority, struct http_slice value)
{
	struct http_slice member;

	while (http_list_next(&value, &member))
		read_member(priority, member);
}

/* The client's last word stands for itself; what the app says is laid over it (RFC 9218 section 8). */
void h2_turns_set_priority(struct h2_stream *stream, struct http_slice value, enum h2_priority_source source)
{
	bool is_ready = stream->queue == H2_QUEUE_READY;

	if (source == H2_PRIORITY_OF_HEAD && stream->has_update)
		return;
	if (is_ready)
		h2_turns_leave(stream);
	stream->has_update = stream->has_update || source == H2_PRIORITY_OF_UPDATE;
	if (source != H2_PRIORITY_OF_APP)
		stream->priority = (struct h2_priority){.urgency = H2_URGENCY_DEFAULT};
	read_priority(&stream->priority, value);
	if (is_ready)
		h2_turns_wait(stream);
}

static struct h2_early_priority *find_early(struct h2_conn *conn, int32_t id)
{
	for (size_t i = 0; i < H2_EARLY_PRIORITIES; i++)
		if (conn->early[i].stream == id)
			return &conn->early[i];
	return NULL;
}

void h2_turns_set_early_priority(struct h2_conn *conn, int32_t id, struct http_slice value)
{
	struct h2_early_priority *early = find_early(conn, id);

	if (!early)
		early = &conn->early[conn->early_count++ % H2_EARLY_PRIORITIES];
	*early = (struct h2_early_priority){.stream = id, .priority.urgency = H2_URGENCY_DEFAULT};
	read_priority(&early->priority, value);
}

void h2_turns_take_early_priority(struct h2_stream *stream)
{
	struct h2_early_priority *early = find_early(stream->conn, stream->id);

	if (!early)
		return;
	stream->priority = early->priority;
	stream->has_update = true;
	*early = (struct h2_early_priority){.stream = 0};
}

bool h2_turns_others_first(const struct h2_stream *stream)
{
	const struct h2_conn *conn = stream->conn;

	if (conn->ready_count == 0 || conn->turn == stream)
		return false;
	for (int urgency = 0; urgency <= stream->priority.urgency; urgency++)
		if (!TAILQ_EMPTY(&conn->ready[urgency]))
			return true;
	return false;
}

static bool goes_before(const struct h2_stream *stream, const struct h2_stream *other)
{
	if (stream->priority.incremental)
		return false;
	return other->priority.incremental || stream->id < other->id;
}

void h2_turns_wait(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;
	struct h2_stream *other = TAILQ_FIRST(&conn->ready[stream->priority.urgency]);

	if (stream->queue == H2_QUEUE_READY)
		return;
	stream->queue = H2_QUEUE_READY;
	conn->ready_count++;
	while (other && !goes_before(stream, other))
		other = TAILQ_NEXT(other, turn);
	if (other)
		TAILQ_INSERT_BEFORE(other, stream, turn);
	else
		TAILQ_INSERT_TAIL(&conn->ready[stream->priority.urgency], stream, turn);
}

void h2_turns_leave(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;

	if (stream->queue == H2_QUEUE_READY) {
		TAILQ_REMOVE(&conn->ready[stream->priority.urgency], stream, turn);
		conn->ready_count--;
	} else if (stream->queue == H2_QUEUE_FRESH)
		TAILQ_REMOVE(&conn->fresh, stream, turn);
	stream->queue = H2_QUEUE_NONE;
}

struct h2_stream *h2_turns_next(struct h2_conn *conn)
{
	for (int urgency = 0; conn->ready_count > 0 && urgency < H2_URGENCIES; urgency++) {
		struct h2_stream *stream = TAILQ_FIRST(&conn->ready[urgency]);

		if (!stream)
			continue;
		h2_turns_leave(stream);
		return stream;
	}
	return NULL;
}

static void open_window(struct h2_stream *stream)
{
	if (stream->queue != H2_QUEUE_WINDOW)
		return;
	stream->queue = H2_QUEUE_NONE;
	h2_turns_wait(stream);
}

void h2_turns_window(struct h2_conn *conn, struct h2_stream *stream)
{
	if (stream) {
		open_window(stream);
		return;
	}
	for (stream = TAILQ_FIRST(&conn->streams); stream; stream = TAILQ_NEXT(stream, entry))
		open_window(stream);
}
