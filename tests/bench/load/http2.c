/* HTTP/2: `streams` requests side by side on each connection; with `grpc` they are unary calls. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { WINDOW = 1 << 20, OUT_MAX = 128 * 1024, FRAME_MAX = 9 + 16384, GRPC_MESSAGE = 5 + 64 };

struct stream {
	int32_t id; /* 0: free */
	int64_t started;
	long sent, got;
	bool fine; /* the status, and with grpc its trailers, were good */
};

struct h2 {
	nghttp2_session *session;
	struct stream streams[LOAD_STREAMS_MAX];
	char out[OUT_MAX];
	size_t out_size, out_sent;
};

static nghttp2_session_callbacks *callbacks;

static struct client *client_of(void *user)
{
	return user;
}

static nghttp2_nv pair(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
	    strlen(value), NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static ssize_t give_body(nghttp2_session *session, int32_t id, uint8_t *room, size_t size, uint32_t *flags,
    nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	long left = setup.body - stream->sent;
	size_t some = (size_t)left < size ? (size_t)left : size;

	(void)session, (void)id, (void)user;
	memset(room, 0, some);
	if (setup.grpc && stream->sent == 0)
		room[4] = GRPC_MESSAGE - 5;
	stream->sent += (long)some;
	if (stream->sent == setup.body)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)some;
}

static void submit(struct client *client, struct stream *stream)
{
	char length[32];
	nghttp2_nv fields[8] = {pair(":method", setup.body ? "POST" : "GET"), pair(":scheme", "https"),
	    pair(":authority", client->name), pair(":path", setup.path), pair("user-agent", "load")};
	size_t count = 5;
	const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = give_body};

	snprintf(length, sizeof length, "%ld", setup.body);
	if (setup.grpc) {
		fields[count++] = pair("content-type", "application/grpc");
		fields[count++] = pair("te", "trailers");
	} else {
		fields[count++] = pair("accept", "*/*");
		if (setup.body)
			fields[count++] = pair("content-length", length);
	}
	*stream = (struct stream){.started = now_ns()};
	stream->id = nghttp2_submit_request(
	    client->h2->session, NULL, fields, count, setup.body ? &provider : NULL, stream);
	if (stream->id < 0)
		die("nghttp2: %s", nghttp2_strerror(stream->id));
}

static void fill(struct client *client)
{
	long most = setup.idles ? client->step != STEP_IDLE : setup.streams;

	for (long i = 0; i < most; i++)
		if (client->h2->streams[i].id == 0 && count_begins())
			submit(client, &client->h2->streams[i]);
}

/* ---- what comes */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags, (void)user;
	if (!stream)
		return 0;
	if (name_size == 7 && memcmp(name, ":status", 7) == 0)
		stream->fine = value_size == 3 && memcmp(value, "200", 3) == 0 && !setup.grpc;
	if (setup.grpc && name_size == 11 && memcmp(name, "grpc-status", 11) == 0)
		stream->fine = value_size == 1 && value[0] == '0';
	return 0;
}

static int on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)flags, (void)bytes, (void)user;
	if (stream)
		stream->got += (long)size;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct client *client = client_of(user);
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	if (!stream)
		return 0;
	if (code != 0 || !stream->fine || stream->got != setup.size)
		die("a stream ended with code %u, %ld of %ld bytes, %s", code, stream->got, setup.size,
		    stream->fine ? "as it should" : "the wrong status");
	stream->id = 0;
	count_done(stream->started);
	if (setup.idles)
		connection_rest(client);
	return 0;
}

/* ---- the connection */

static void make_callbacks(void)
{
	if (callbacks || nghttp2_session_callbacks_new(&callbacks) != 0)
		return;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
}

static void start(struct client *client)
{
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}, {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};

	make_callbacks();
	client->h2 = calloc(1, sizeof *client->h2);
	if (!client->h2 || nghttp2_session_client_new(&client->h2->session, callbacks, client) != 0 ||
	    nghttp2_submit_settings(client->h2->session, 0, settings, 2) != 0 ||
	    nghttp2_session_set_local_window_size(client->h2->session, 0, 0, 16 * WINDOW) != 0)
		die("out of memory");
	client->step = STEP_BODY;
	fill(client);
}

static void forget(struct client *client)
{
	if (client->h2)
		nghttp2_session_del(client->h2->session);
	free(client->h2);
	client->h2 = NULL;
}

/* Frames are gathered into one write, as a browser does. */
static void gather(struct h2 *h2)
{
	const uint8_t *frame = NULL;
	ssize_t size = 1;

	while (size > 0 && h2->out_size < OUT_MAX - FRAME_MAX) {
		size = nghttp2_session_mem_send(h2->session, &frame);
		if (size < 0 || size > FRAME_MAX)
			die("nghttp2: %s", nghttp2_strerror((int)size));
		memcpy(h2->out + h2->out_size, frame, (size_t)size);
		h2->out_size += (size_t)size;
	}
}

static bool step_send(struct client *client)
{
	struct h2 *h2 = client->h2;
	size_t put = 0;

	if (h2->out_size == 0)
		gather(h2);
	if (h2->out_size == 0)
		return false;
	int result = connection_write(client, h2->out + h2->out_sent, h2->out_size - h2->out_sent, &put);
	if (result < 0)
		die("write: the server has closed");
	h2->out_sent += put;
	if (h2->out_sent == h2->out_size)
		h2->out_sent = h2->out_size = 0;
	return result == 1;
}

static bool step_receive(struct client *client)
{
	static char piece[LOAD_PIECE];
	size_t got = 0;
	int result = connection_read(client, piece, sizeof piece, &got);

	if (result == 0)
		return false;
	if (result < 0)
		die("read: the server has closed");
	ssize_t taken = nghttp2_session_mem_recv(client->h2->session, (uint8_t *)piece, got);
	if (taken != (ssize_t)got)
		die("nghttp2: %s", nghttp2_strerror((int)taken));
	return true;
}

/* What has come is read first: its streams' successors go out together. */
static bool step(struct client *client)
{
	if (step_receive(client))
		return true;
	if (!setup.idles || client->step != STEP_IDLE)
		fill(client);
	count_open_gate();
	if (setup.idles && client->step == STEP_IDLE && run.opened < setup.connections &&
	    run.opened - run.idle_count < LOAD_AT_ONCE)
		connection_open_next();
	return step_send(client);
}

static const unsigned char alpn[] = "\x02h2\x08http/1.1";
const struct protocol load_http2 = {.alpn = alpn,
    .alpn_size = sizeof alpn - 1,
    .start = start,
    .step = step,
    .go_on = fill,
    .forget = forget};
