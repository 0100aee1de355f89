/* What TLS adds to an HTTP/1.1 connection: bytes that raise no event, writes that must be repeated, and an
 * end that tells a whole response from a cut one. */
#include "h1_harness.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "edge/loop/tls_bio.h"

static SSL_CTX *server_ctx;
static SSL_CTX *client_ctx;
static SSL *client;

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

static int make_contexts(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = self_signed(key);

	(void)state;
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_use_cert_and_key(server_ctx, certificate, key, NULL, 1);
	/* As tls_context sets them. */
	SSL_CTX_set_mode(server_ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(server_ctx, 1);
	SSL_CTX_set_mode(client_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return 0;
}

static int free_contexts(void **state)
{
	(void)state;
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return 0;
}

static SSL *over(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio = tls_bio_new(fd, NULL, 0);

	SSL_set_bio(ssl, bio, bio);
	return ssl;
}

static void shake_hands(SSL *server)
{
	int done = 0;

	for (int i = 0; i < 1000 && done != 3; i++) {
		done |= SSL_connect(client) == 1 ? 1 : 0;
		done |= SSL_accept(server) == 1 ? 2 : 0;
	}
	assert_int_equal(done, 3);
}

static void visit_by_tls(int buffer)
{
	struct net_address address = {.size = 0};
	struct conn_peer peer = {.id = 77, .tls = true, .sni = "a.example"};
	struct stream stream;
	int door = listen_anywhere(&address);

	seen_reset(&rig.client, connect_to(&address));
	int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(door);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	net_parse_address(&peer.client, "192.0.2.7:1234", NULL);
	client = over(client_ctx, rig.client.fd);
	SSL *server = over(server_ctx, fd);
	shake_hands(server);
	stream_init(&stream, rig.loop, fd, server);
	rig.conn = h1_conn_new(&rig.worker, &stream, &peer, on_conn_closed, NULL);
}

static int free_client(void **state)
{
	SSL_free(client);
	client = NULL;
	ERR_clear_error();
	return harness_teardown(state);
}

/* Returns how much was taken; 0 where the other side is slow. */
static size_t push(const char *bytes, size_t size)
{
	size_t put = 0;

	ERR_clear_error();
	return SSL_write_ex(client, bytes, size, &put) ? put : 0;
}

static void look_by_tls(void)
{
	size_t got = 0;

	ERR_clear_error();
	while (rig.client.size < SEEN_MAX &&
	       SSL_read_ex(client, rig.client.bytes + rig.client.size, SEEN_MAX - rig.client.size, &got))
		rig.client.size += got;
	int error = SSL_get_error(client, 0);
	rig.client.eof = error == SSL_ERROR_ZERO_RETURN;
	rig.client.reset = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
	rig.client.bytes[rig.client.size] = '\0';
	cut_out_own(rig.client.bytes, &rig.client.size);
}

static void client_sees(const char *expected)
{
	for (int i = 0; i < PATIENCE_ROUNDS && rig.client.size < strlen(expected); i++) {
		turn();
		look_by_tls();
	}
	assert_string_equal(rig.client.bytes, expected);
	forget(&rig.client);
}

static void client_sees_the_end(void)
{
	for (int i = 0; i < PATIENCE_ROUNDS && !rig.client.eof && !rig.client.reset; i++) {
		turn();
		look_by_tls();
	}
}

#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void requests_in_one_record_are_answered_in_order(void **state)
{
	static const char requests[] = GET("/1") GET("/2");

	(void)state;
	visit_by_tls(64 * 1024);
	assert_int_equal(push(requests, sizeof requests - 1), sizeof requests - 1);
	origin_accepts();
	origin_gets(FORWARDED("/1"));
	say(&rig.origin, EMPTY);
	origin_gets(FORWARDED("/2"));
	say(&rig.origin, EMPTY);
	client_sees(EMPTY EMPTY);
}

static void a_request_and_more_than_one_buffer_of_pipelined_ones(void **state)
{
	enum { COUNT = 400 };
	static const char one[] =
	    GET("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	char *bytes = malloc(COUNT * (sizeof one - 1));
	size_t sent = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		memcpy(bytes + i * (sizeof one - 1), one, sizeof one - 1);
	visit_by_tls(64 * 1024);
	for (int i = 0; i < COUNT; i++) {
		if (sent < COUNT * (sizeof one - 1))
			sent += push(bytes + sent, COUNT * (sizeof one - 1) - sent);
		if (i == 0)
			origin_accepts();
		origin_gets(
		    FORWARDED("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
		say(&rig.origin, EMPTY);
		client_sees(EMPTY);
	}
	free(bytes);
}

static char *pattern(size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i % 251);
	return bytes;
}

static void a_large_upload_arrives_byte_for_byte(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	static const char head[] = "PUT / HTTP/1.1\r\n" H "Content-Length: 8388608\r\n\r\n";
	char *body = pattern(SIZE);
	size_t sent = 0;
	size_t checked = 0;

	(void)state;
	visit_by_tls(64 * 1024);
	push(head, sizeof head - 1);
	origin_accepts();
	origin_gets("PUT / HTTP/1.1\r\n" H XF "Content-Length: 8388608\r\n\r\n");
	for (int i = 0; i < 100000 && checked < SIZE; i++) {
		if (sent < SIZE)
			sent += push(body + sent, SIZE - sent);
		turn();
		/* Slow at first, so that everything in between fills up. */
		if (i < 100)
			continue;
		look(&rig.origin);
		assert_memory_equal(rig.origin.bytes, body + checked, rig.origin.size);
		checked += rig.origin.size;
		rig.origin.size = 0;
	}
	assert_int_equal(checked, SIZE);
	say(&rig.origin, EMPTY);
	client_sees(EMPTY);
	free(body);
}

/* Small records: OpenSSL has taken them all out of the socket before we have taken them all out of OpenSSL.
 */
static void what_openssl_holds_when_the_upstream_has_room_again_is_read(void **state)
{
	enum { RECORD = 1000, COUNT = 45 };
	static const char head[] = "PUT / HTTP/1.1\r\n" H "Content-Length: 45000\r\n\r\n";
	struct net_address hole = {.size = 0};
	char *body = pattern(RECORD * COUNT);
	int fillers[2];

	(void)state;
	int fd = blackhole(&hole, fillers);
	another_upstream_comes_first(&hole);
	visit_by_tls(64 * 1024);
	push(head, sizeof head - 1);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(push(body + i * RECORD, RECORD), RECORD);
	turns(5);
	time_passes(5500);
	origin_accepts();
	for (int i = 0; i < PATIENCE_ROUNDS && rig.origin.size < RECORD * COUNT; i++) {
		turn();
		look(&rig.origin);
	}
	assert_true(rig.origin.size > RECORD * COUNT);
	assert_memory_equal(rig.origin.bytes + rig.origin.size - RECORD * COUNT, body, RECORD * COUNT);
	say(&rig.origin, EMPTY);
	client_sees(EMPTY);
	close(fd);
	close(fillers[0]);
	close(fillers[1]);
	free(body);
}

static void expect_download(const char *head, const char *expected_head)
{
	enum { SIZE = 8 * 1024 * 1024 };
	char *body = pattern(SIZE);
	size_t sent = 0;
	size_t checked = 0;

	visit_by_tls(16 * 1024);
	push(GET("/"), strlen(GET("/")));
	origin_accepts();
	say(&rig.origin, head);
	client_sees(expected_head);
	for (int i = 0; i < 100000 && checked < SIZE; i++) {
		ssize_t put = sent < SIZE ? send(rig.origin.fd, body + sent, SIZE - sent, MSG_NOSIGNAL) : 0;

		sent += put > 0 ? (size_t)put : 0;
		turn();
		if (i < 50)
			continue;
		look_by_tls();
		assert_memory_equal(rig.client.bytes, body + checked, rig.client.size);
		checked += rig.client.size;
		rig.client.size = 0;
	}
	assert_int_equal(checked, SIZE);
	free(body);
}

static void a_large_download_arrives_byte_for_byte(void **state)
{
	(void)state;
	expect_download("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
}

static void a_close_after_a_whole_response_is_announced(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n";

	(void)state;
	visit_by_tls(64 * 1024);
	push(request, sizeof request - 1);
	origin_accepts();
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void a_cut_response_ends_without_close_notify(void **state)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";

	(void)state;
	visit_by_tls(64 * 1024);
	push(request, sizeof request - 1);
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	hang_up(&rig.origin);
	client_sees_the_end();
	assert_true(rig.client.reset);
	assert_false(rig.client.eof);
}

static void a_half_close_by_close_notify_still_gets_its_answer(void **state)
{
	(void)state;
	visit_by_tls(64 * 1024);
	push(GET("/"), strlen(GET("/")));
	SSL_shutdown(client);
	shutdown(rig.client.fd, SHUT_WR);
	origin_accepts();
	turns(3);
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/* RFC 9112 section 9.8: servers should be prepared for it; what was whole stays whole. */
static void a_bare_fin_behind_a_whole_request_still_gets_its_answer(void **state)
{
	(void)state;
	visit_by_tls(64 * 1024);
	push(GET("/"), strlen(GET("/")));
	shutdown(rig.client.fd, SHUT_WR);
	origin_accepts();
	turns(3);
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

#define tls_test(name) cmocka_unit_test_setup_teardown(name, harness_setup, free_client)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    tls_test(requests_in_one_record_are_answered_in_order),
	    tls_test(a_request_and_more_than_one_buffer_of_pipelined_ones),
	    tls_test(a_large_upload_arrives_byte_for_byte),
	    tls_test(what_openssl_holds_when_the_upstream_has_room_again_is_read),
	    tls_test(a_large_download_arrives_byte_for_byte),
	    tls_test(a_close_after_a_whole_response_is_announced),
	    tls_test(a_cut_response_ends_without_close_notify),
	    tls_test(a_half_close_by_close_notify_still_gets_its_answer),
	    tls_test(a_bare_fin_behind_a_whole_request_still_gets_its_answer),
	};

	return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
