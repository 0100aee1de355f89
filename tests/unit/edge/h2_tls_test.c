/* What TLS adds to an HTTP/2 connection: bytes that raise no event, the size of records, and how little waits
 * behind a socket that takes nothing. */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "edge/front/h2_conn.h"
#include "tests/unit/edge/h2_frames.h"
#include "tests/unit/edge/tls_harness.h"

enum { BUFFER = 512 * 1024, RECORD = 16 * 1024, HEAD = 8 * 1024 };

static void say_frame(int kind, int flags, int stream, const void *bytes, size_t size)
{
	char frame[H2_FRAME_MAX];
	size_t all = h2_frame_write(frame, kind, flags, stream, bytes, size);

	assert_int_equal(push(frame, all), all);
}

static void say_head(int stream, int flags, const char *block)
{
	say_frame(HEADERS, flags | END_HEADERS, stream, block, strlen(block));
}

static const unsigned char *heard(int kind, int stream, int nth)
{
	return h2_frame_find(rig.client.bytes, rig.client.size, kind, stream, nth);
}

static const unsigned char *hear(int kind, int stream, int nth)
{
	for (int i = 0; i < PATIENCE_ROUNDS && !heard(kind, stream, nth); i++) {
		turn();
		look_by_tls();
	}
	const unsigned char *frame = heard(kind, stream, nth);
	if (!frame)
		fail_msg("frame %d of kind %d on stream %d does not come", nth, kind, stream);
	return frame;
}

/* With windows of HTTP/2 that nothing here fills, and one of TCP that stays as it is. */
static void visit_h2(void)
{
	static const char all[] = {0x7f, 0, 0, 0};
	static const char each[] = {0, 4, 0x7f, (char)0xff, (char)0xff, (char)0xff};

	int window = 64 * 1024;

	rig.new_conn = h2_conn_new;
	rig.shows_own = true;
	visit_by_tls(BUFFER);
	setsockopt(rig.client.fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
	push(H2_HELLO, sizeof H2_HELLO - 1);
	say_frame(SETTINGS, 0, 0, each, sizeof each);
	say_frame(WINDOW_UPDATE, 0, 0, all, sizeof all);
	say_frame(SETTINGS, ACK, 0, "", 0);
	hear(SETTINGS, 0, 2);
}

/* What the kernel still holds of what the edge has written. */
static int unsent(void)
{
	int bytes = 0;

	assert_int_equal(ioctl(edge_fd, SIOCOUTQNSD, &bytes), 0);
	return bytes;
}

/* ---- apps, one for each request: the answers are HTTP/1.1's */

/* It is asked for the stream's request. */
static struct seen ask(int stream, int flags, const char *head)
{
	say_head(stream, flags, head);
	origin_accepts();
	struct seen app = rig.origin;
	rig.origin = (struct seen){.fd = -1};
	for (int i = 0; i < PATIENCE_ROUNDS && !strstr(app.bytes, "\r\n\r\n"); i++) {
		turn();
		look(&app);
	}
	return app;
}

static void forget_app(struct seen *app)
{
	seen_reset(app, -1);
	free(app->bytes);
}

static void answer_with_a_long_head(struct seen *app)
{
	char head[HEAD + 64];
	int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: ");

	memset(head + size, '|', HEAD); /* no shorter in Huffman's code */
	memcpy(head + size + HEAD, "\r\n\r\n", 5);
	say(app, head);
	turns(3);
}

/* As much of a body as the client's socket takes without the client. */
static void fill_socket(struct seen *app)
{
	static const char piece[8 * 1024];
	int before = -1;

	say(app, "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
	while (unsent() == 0 || unsent() > before) {
		before = unsent();
		give(app, piece, sizeof piece);
		turns(3);
	}
}

/* ---- what OpenSSL holds */

static bool ends_in(const struct seen *seen, const char *end)
{
	size_t size = strlen(end);

	return seen->size >= size && memcmp(seen->bytes + seen->size - size, end, size) == 0;
}

/* An upload's frames, its end in the last ones, in records of these sizes: when one read of 32 KiB has taken
 * what it may, OpenSSL has all of them, and decrypted what is left. */
static void upload_as_records(const size_t *records, size_t count, size_t body)
{
	char bytes[3 * H2_FRAME_MAX];
	static const char zeros[16384];
	size_t filled = 0;
	size_t at = 0;

	for (size_t left = body - 1; left > 0;) {
		size_t some = left < sizeof zeros ? left : sizeof zeros;

		filled += h2_frame_write(bytes + filled, DATA, 0, 1, zeros, some);
		left -= some;
	}
	filled += h2_frame_write(bytes + filled, DATA, END_STREAM, 1, zeros, 1);
	for (size_t i = 0; i < count; at += records[i++])
		assert_int_equal(push(bytes + at, records[i]), records[i]);
	assert_int_equal(at, filled);
}

/* Behind more than what a client may leave there it is heard for one read. Then it takes all that there is
 * for it, and has no more to say: of what OpenSSL holds no event will tell. */
static void what_openssl_holds_when_all_has_been_written_is_read(void **state)
{
	static const size_t records[] = {8000, 8600, 16384};
	enum { HEADS = 10, BODY = 8000 + 8600 + 16384 - 4 * 9 };
	struct seen apps[HEADS];

	(void)state;
	visit_h2();
	struct seen upload = ask(1, 0, POST_HEAD NAME);
	struct seen download = ask(3, END_STREAM, GET_HEAD NAME);
	for (int i = 0; i < HEADS; i++)
		apps[i] = ask(5 + 2 * i, END_STREAM, GET_HEAD NAME);
	fill_socket(&download);
	for (int i = 0; i < HEADS; i++)
		answer_with_a_long_head(&apps[i]);
	upload_as_records(records, 3, BODY);
	for (int i = 0; i < PATIENCE_ROUNDS && upload.size < RECORD; i++) {
		turn();
		look(&upload);
	}
	assert_false(ends_in(&upload, "\r\n0\r\n\r\n"));
	look_by_tls();
	for (int i = 0; i < PATIENCE_ROUNDS && !ends_in(&upload, "\r\n0\r\n\r\n"); i++) {
		turn();
		look(&upload);
		look_by_tls();
	}
	assert_true(ends_in(&upload, "\r\n0\r\n\r\n"));
	assert_true(upload.size > BODY);
	for (int i = 0; i < HEADS; i++)
		forget_app(&apps[i]);
	forget_app(&download);
	forget_app(&upload);
}

/* ---- what is written */

static struct {
	size_t full, other;
} records_seen;

static void on_tls(int write, int version, int type, const void *bytes, size_t size, SSL *ssl, void *arg)
{
	const unsigned char *header = bytes;

	(void)version, (void)size, (void)ssl, (void)arg;
	if (write || type != SSL3_RT_HEADER)
		return;
	/* With a type and a tag. */
	if ((header[3] << 8 | header[4]) == RECORD + 1 + 16)
		records_seen.full++;
	else
		records_seen.other++;
}

static void a_large_body_leaves_in_full_records(void **state)
{
	enum { BODY = 4 * 1024 * 1024 };
	static const char piece[RECORD];
	size_t given = 0;

	(void)state;
	visit_h2();
	struct seen app = ask(1, END_STREAM, GET_HEAD NAME);
	memset(&records_seen, 0, sizeof records_seen);
	SSL_set_msg_callback(client, on_tls);
	say(&app, "HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n");
	for (int i = 0; i < 10 * PATIENCE_ROUNDS && records_seen.full < BODY / RECORD - 8; i++) {
		ssize_t put = given < BODY ? send(app.fd, piece, sizeof piece, MSG_NOSIGNAL) : 0;

		given += put > 0 ? (size_t)put : 0;
		if (put > 0)
			continue;
		turn();
		look_by_tls();
		forget(&rig.client);
	}
	/* The first ones are small, and what had come when a turn of the loop ends waits for nothing. */
	assert_true(records_seen.full >= BODY / RECORD - 8);
	assert_true(records_seen.other < records_seen.full / 3);
	forget_app(&app);
}

/* Behind the little that had been framed before. */
static void what_is_urgent_overtakes_a_body_whose_reader_is_slow(void **state)
{
	static const char urgent[] = GET_HEAD NAME "\x00\x08priority\x03u=0";
	static const char more[8 * RECORD];

	(void)state;
	visit_h2();
	struct seen download = ask(1, END_STREAM, GET_HEAD NAME);
	fill_socket(&download);
	give(&download, more, sizeof more);
	turns(3);
	say_frame(HEADERS, END_STREAM | END_HEADERS, 3, urgent, sizeof urgent - 1);
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
	turns(3);
	look_by_tls();
	size_t with_kernel = rig.client.size;
	const unsigned char *head = hear(HEADERS, 3, 0);
	size_t before = (size_t)(head - (const unsigned char *)rig.client.bytes);
	assert_true(before > with_kernel);
	assert_true(before - with_kernel < 2 * (RECORD + 9));
	forget_app(&download);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    tls_test(what_openssl_holds_when_all_has_been_written_is_read),
	    tls_test(a_large_body_leaves_in_full_records),
	    tls_test(what_is_urgent_overtakes_a_body_whose_reader_is_slow),
	};

	return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
