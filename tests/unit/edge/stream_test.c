#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "edge/loop/stream.h"
#include "edge/loop/tls_bio.h"
#include "tests/support/tls_fixture.h"

/* The stream under test and its peer, which is a descriptor or an SSL on it. */
struct pair {
	struct loop *loop;
	struct stream stream;
	int peer;
	SSL *peer_ssl;
	SSL_CTX *server_ctx, *client_ctx;
};

static int plain_setup(void **state)
{
	struct pair *pair = mem_alloc(sizeof *pair);
	int fds[2];

	fixture_socketpair(fds);
	pair->loop = loop_new();
	pair->peer = fds[1];
	stream_init(&pair->stream, pair->loop, fds[0], NULL);
	*state = pair;
	return 0;
}

static void make_server_ctx(struct pair *pair)
{
	struct fixture_ca ca;

	fixture_ca_init(&ca);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf = fixture_certificate("a.example", "DNS:a.example", key, &ca, time(NULL) + 3600);
	pair->server_ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(pair->server_ctx, leaf);
	SSL_CTX_use_PrivateKey(pair->server_ctx, key);
	SSL_CTX_set_read_ahead(pair->server_ctx, 1);
	SSL_CTX_set_mode(
	    pair->server_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	X509_free(leaf);
	EVP_PKEY_free(key);
	fixture_ca_fini(&ca);
}

static int add_tls(struct pair *pair)
{
	make_server_ctx(pair);
	pair->client_ctx = SSL_CTX_new(TLS_client_method());
	pair->peer_ssl = fixture_client(pair->client_ctx, pair->peer, "a.example", NULL, NULL);
	SSL *ssl = SSL_new(pair->server_ctx);
	BIO *bio = tls_bio_new(pair->stream.io.fd, NULL, 0);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	for (int i = 0; i < 10 && !(SSL_is_init_finished(ssl) && SSL_is_init_finished(pair->peer_ssl)); i++) {
		SSL_do_handshake(pair->peer_ssl);
		SSL_do_handshake(ssl);
	}
	pair->stream.ssl = ssl;
	return !SSL_is_init_finished(ssl);
}

static int tls_setup(void **state)
{
	plain_setup(state);
	return add_tls(*state);
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	stream_fini(&pair->stream);
	SSL_free(pair->peer_ssl);
	SSL_CTX_free(pair->server_ctx);
	SSL_CTX_free(pair->client_ctx);
	if (pair->peer >= 0)
		close(pair->peer);
	loop_free(pair->loop);
	free(pair);
	return 0;
}

static void peer_send(struct pair *pair, const char *bytes, size_t size)
{
	if (pair->peer_ssl)
		assert_int_equal(SSL_write(pair->peer_ssl, bytes, (int)size), size);
	else
		assert_int_equal(write(pair->peer, bytes, size), size);
}

/* What the peer has, or -1. */
static ssize_t peer_receive(struct pair *pair, char *bytes, size_t size)
{
	ERR_clear_error();
	return pair->peer_ssl ? SSL_read(pair->peer_ssl, bytes, (int)size) : read(pair->peer, bytes, size);
}

static void peer_close(struct pair *pair)
{
	close(pair->peer);
	pair->peer = -1;
}

static void bytes_come_and_would_block_is_a_result(void **state)
{
	struct pair *pair = *state;
	char bytes[16];
	size_t got = 0;

	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_AGAIN);
	peer_send(pair, "hello", 5);
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_OK);
	assert_int_equal(got, 5);
	assert_memory_equal(bytes, "hello", 5);
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_AGAIN);
	assert_int_equal(pair->stream.bytes_in, 5);
}

static void full_socket_takes_the_rest_from_another_address(void **state)
{
	enum { TOTAL = 3 * 1024 * 1024 };
	struct pair *pair = *state;
	char *bytes = mem_alloc(TOTAL), *back = mem_alloc(TOTAL);
	size_t sent = 0, received = 0;

	for (size_t i = 0; i < TOTAL; i++)
		bytes[i] = (char)(i * 31 + i / 1000);
	while (received < TOTAL) {
		enum result result = R_OK;

		while (sent < TOTAL && result == R_OK) {
			/* A copy each time, with more behind: what a buffer that was moved and filled looks
			 * like. */
			size_t size = TOTAL - sent < 100000 ? TOTAL - sent : 100000, put = 0;
			char *copy = mem_copy(bytes + sent, size);

			result = stream_write(&pair->stream, copy, size, &put);
			assert_true(result == R_OK || result == R_AGAIN);
			if (result == R_OK)
				sent += put;
			free(copy);
		}
		ssize_t got = peer_receive(pair, back + received, TOTAL - received);
		if (got > 0)
			received += (size_t)got;
	}
	assert_memory_equal(bytes, back, TOTAL);
	assert_int_equal(pair->stream.bytes_out, TOTAL);
	free(bytes);
	free(back);
}

static void plain_end_is_eof(void **state)
{
	struct pair *pair = *state;
	char byte = 0;
	size_t got = 0;

	peer_send(pair, "x", 1);
	peer_close(pair);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_OK);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_EOF);
}

static void close_notify_is_eof(void **state)
{
	struct pair *pair = *state;
	char byte = 0;
	size_t got = 0;

	SSL_shutdown(pair->peer_ssl);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_EOF);
}

/* OpenSSL keeps what came behind the close_notify, for ever: who read again for it would spin. */
static void bytes_after_close_notify_are_not_buffered(void **state)
{
	struct pair *pair = *state;
	char byte = 0;
	size_t got = 0;

	SSL_shutdown(pair->peer_ssl);
	assert_int_equal(write(pair->peer, "more", 4), 4);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_EOF);
	assert_false(stream_has_buffered(&pair->stream));
}

static void tls_cut_short_is_an_error(void **state)
{
	struct pair *pair = *state;
	char byte = 0;
	size_t got = 0;

	peer_close(pair);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_ERROR);
	assert_true(pair->stream.failed);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_ERROR);
}

static void garbage_in_tls_is_an_error(void **state)
{
	struct pair *pair = *state;
	char byte = 0;
	size_t got = 0;

	assert_int_equal(write(pair->peer, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	assert_int_equal(stream_read(&pair->stream, &byte, 1, &got), R_ERROR);
}

static void write_to_who_has_gone_is_an_error(void **state)
{
	struct pair *pair = *state;
	enum result result = R_OK;
	size_t put = 0;

	peer_close(pair);
	for (int i = 0; i < 100 && result == R_OK; i++)
		result = stream_write(&pair->stream, "hello", 5, &put);
	assert_int_equal(result, R_ERROR);
}

static void decrypted_bytes_are_told_of(void **state)
{
	struct pair *pair = *state;
	char bytes[100];
	size_t got = 0;

	peer_send(pair, "0123456789", 10);
	assert_int_equal(stream_read(&pair->stream, bytes, 4, &got), R_OK);
	assert_true(stream_has_buffered(&pair->stream));
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_OK);
	assert_int_equal(got, 6);
	assert_false(stream_has_buffered(&pair->stream));
}

/* Half a record is in OpenSSL's buffer: who read again for it would spin. */
static void half_a_record_is_not_buffered(void **state)
{
	struct pair *pair = *state;
	char record[200], bytes[100];
	int between[2];
	size_t got = 0;

	fixture_socketpair(between);
	SSL_set_fd(pair->peer_ssl, between[0]);
	assert_int_equal(SSL_write(pair->peer_ssl, "0123456789", 10), 10);
	ssize_t size = read(between[1], record, sizeof record);
	assert_true(size > 20);
	assert_int_equal(write(pair->peer, record, 20), 20);
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_AGAIN);
	assert_false(stream_has_buffered(&pair->stream));
	assert_int_equal(write(pair->peer, record + 20, (size_t)size - 20), size - 20);
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_OK);
	assert_int_equal(got, 10);
	close(between[0]);
	close(between[1]);
}

static void shutdown_sends_the_end_and_still_reads(void **state)
{
	struct pair *pair = *state;
	char bytes[16];
	size_t got = 0;

	stream_shutdown(&pair->stream);
	assert_int_equal(peer_receive(pair, bytes, sizeof bytes), 0);
	if (pair->peer_ssl)
		assert_int_equal(
		    SSL_get_shutdown(pair->peer_ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
	peer_send(pair, "late", 4);
	assert_int_equal(stream_read(&pair->stream, bytes, sizeof bytes, &got), R_OK);
	assert_int_equal(got, 4);
}

/* A TCP connection: only there does the kernel hold anything back. */
static int tcp_setup(void **state)
{
	struct pair *pair = mem_alloc(sizeof *pair);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int door = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(door, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(door, 1), 0);
	assert_int_equal(getsockname(door, (struct sockaddr *)&address, &size), 0);
	pair->peer = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair->peer, (struct sockaddr *)&address, sizeof address), 0);
	pair->loop = loop_new();
	stream_init(&pair->stream, pair->loop, accept4(door, NULL, NULL, SOCK_NONBLOCK), NULL);
	close(door);
	*state = pair;
	return 0;
}

static bool has_come(const struct pair *pair)
{
	int waiting = 0;

	ioctl(pair->peer, FIONREAD, &waiting);
	return waiting > 0;
}

static void what_is_held_back_can_be_let_go(void **state)
{
	struct pair *pair = *state;
	size_t put = 0;
	char byte;

	stream_expect_more(&pair->stream, true);
	assert_int_equal(stream_write(&pair->stream, "x", 1, &put), R_OK);
	assert_false(has_come(pair));
	stream_release(&pair->stream);
	assert_int_equal(recv(pair->peer, &byte, 1, 0), 1);
}

static void what_is_held_back_leaves_with_what_follows(void **state)
{
	struct pair *pair = *state;
	size_t put = 0;
	char bytes[8];

	stream_expect_more(&pair->stream, true);
	assert_int_equal(stream_write(&pair->stream, "ab", 2, &put), R_OK);
	stream_expect_more(&pair->stream, false);
	assert_int_equal(stream_write(&pair->stream, "cd", 2, &put), R_OK);
	assert_int_equal(recv(pair->peer, bytes, sizeof bytes, 0), 4);
}

/* Unread bytes turn a close into a reset, which would throw away what had not left yet. */
static void what_is_held_back_survives_an_end_with_unread_bytes(void **state)
{
	struct pair *pair = *state;
	size_t put = 0;
	char bytes[8];

	assert_int_equal(write(pair->peer, "unread", 6), 6);
	stream_expect_more(&pair->stream, true);
	assert_int_equal(stream_write(&pair->stream, "last", 4, &put), R_OK);
	stream_fini(&pair->stream);
	assert_int_equal(recv(pair->peer, bytes, sizeof bytes, 0), 4);
}

static void end_of_a_stream_is_told_by_close_notify(void **state)
{
	struct pair *pair = *state;
	char byte = 0;

	stream_fini(&pair->stream);
	assert_int_equal(peer_receive(pair, &byte, 1), 0);
	assert_int_equal(SSL_get_shutdown(pair->peer_ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

static uint32_t seen_events;

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);

	seen_events = events;
	loop_stop(stream->loop);
}

static void watch_follows_what_tls_needs(void **state)
{
	struct pair *pair = *state;

	pair->stream.io.on_ready = on_ready;
	pair->stream.read_wants_write = true;
	stream_watch(&pair->stream, true, false);
	loop_run(pair->loop);
	assert_int_equal(seen_events, EPOLLOUT);
	pair->stream.read_wants_write = false;
	stream_watch(&pair->stream, true, true);
	assert_int_equal(pair->stream.io.events, EPOLLIN | EPOLLOUT);
	pair->stream.write_wants_read = true;
	stream_watch(&pair->stream, false, true);
	assert_int_equal(pair->stream.io.events, EPOLLIN);
}

/* 65,536 bytes of them, in front of which OpenSSL would not return before it had seen the last. */
static void a_flood_of_key_updates_is_taken_in_turns(void **state)
{
	enum { FLOOD = 64 * 1024 };
	struct pair *pair = *state;
	char *records = mem_alloc(FLOOD);
	char bytes[16];
	size_t size = 0, got = 0;
	int left = 0, calls = 0;

	SSL_set0_wbio(pair->peer_ssl, BIO_new(BIO_s_mem()));
	while (size < FLOOD - 100) {
		SSL_key_update(pair->peer_ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		assert_int_equal(SSL_do_handshake(pair->peer_ssl), 1);
		size += (size_t)BIO_read(SSL_get_wbio(pair->peer_ssl), records + size, (int)(FLOOD - size));
	}
	assert_int_equal(SSL_write(pair->peer_ssl, "hello", 5), 5);
	size += (size_t)BIO_read(SSL_get_wbio(pair->peer_ssl), records + size, (int)(FLOOD - size));
	assert_int_equal(write(pair->peer, records, size), size);
	do {
		enum result result = stream_read(&pair->stream, bytes, sizeof bytes, &got);

		assert_true(result == R_OK || result == R_AGAIN);
		assert_int_equal(ioctl(pair->stream.io.fd, FIONREAD, &left), 0);
		if (calls++ == 0)
			assert_true(left > 0);
	} while (got == 0 && calls < 100);
	assert_memory_equal(bytes, "hello", 5);
	free(records);
}

/* Writes what is offered at once and returns the size of the record that the peer sees. */
static size_t write_record(struct pair *pair, size_t offered)
{
	char *bytes = mem_alloc(offered), back[17 * 1024];
	size_t put = 0;

	assert_int_equal(stream_write(&pair->stream, bytes, offered, &put), R_OK);
	assert_int_equal(peer_receive(pair, back, sizeof back), put);
	free(bytes);
	return put;
}

static void records_begin_small_and_grow(void **state)
{
	struct pair *pair = *state;

	for (size_t sent = 0; sent < 32 * 1024;) {
		size_t record = write_record(pair, 16384);

		assert_int_equal(record, 4322);
		sent += record;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(write_record(pair, 16384), 16384);
	assert_int_equal(write_record(pair, 10), 10);
}

static int tls_over_tcp_setup(void **state)
{
	int one = 1;

	tcp_setup(state);
	struct pair *pair = *state;
	fcntl(pair->peer, F_SETFL, O_NONBLOCK);
	setsockopt(pair->stream.io.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return add_tls(pair);
}

static size_t receive_all(struct pair *pair)
{
	char bytes[16384];
	size_t received = 0;
	ssize_t got = 0;

	while ((got = peer_receive(pair, bytes, sizeof bytes)) > 0)
		received += (size_t)got;
	return received;
}

/* However much is to follow. */
static void of_two_full_records_the_second_takes_the_first_along(void **state)
{
	struct pair *pair = *state;
	char *bytes = mem_alloc(2 * 16384);
	size_t received = 0;
	size_t put = 0;

	stream_expect_more(&pair->stream, true);
	while (pair->stream.bytes_out < 64 * 1024) {
		assert_int_equal(stream_write(&pair->stream, bytes, 16384, &put), R_OK);
		received += receive_all(pair);
	}
	int seconds_there = 0;
	for (int i = 0; i < 40; i++) {
		bool is_second = pair->stream.bytes_out / 16384 % 2 == 1;

		assert_int_equal(stream_write(&pair->stream, bytes, 16384, &put), R_OK);
		received += receive_all(pair);
		seconds_there += is_second && received == pair->stream.bytes_out;
	}
	/* On a busy machine what has left may take its time, now and then. */
	assert_true(seconds_there > 10);
	free(bytes);
}

static void records_begin_small_again_after_a_pause(void **state)
{
	struct pair *pair = *state;

	for (int i = 0; i < 10; i++)
		write_record(pair, 16384);
	assert_int_equal(write_record(pair, 16384), 16384);
	pair->stream.wrote_ms -= 1001;
	assert_int_equal(write_record(pair, 16384), 4322);
}

static void blocked_write_goes_on_after_a_pause(void **state)
{
	struct pair *pair = *state;
	char *bytes = mem_alloc(16384), back[17 * 1024];
	size_t put = 0, sent = 0, received = 0;
	ssize_t got = 0;

	while (stream_write(&pair->stream, bytes, 16384, &put) == R_OK)
		sent += put;
	pair->stream.wrote_ms -= 5000;
	assert_int_equal(stream_write(&pair->stream, bytes, 16384, &put), R_AGAIN);
	while ((got = peer_receive(pair, back, sizeof back)) > 0)
		received += (size_t)got;
	pair->stream.wrote_ms -= 5000;
	assert_int_equal(stream_write(&pair->stream, bytes, 16384, &put), R_OK);
	sent += put;
	while ((got = peer_receive(pair, back, sizeof back)) > 0)
		received += (size_t)got;
	assert_int_equal(received, sent);
	free(bytes);
}

int main(void)
{
#define PLAIN(name) \
	{ \
		"plain: " #name, name, plain_setup, teardown, NULL \
	}
#define TLS(name) \
	{ \
		"tls: " #name, name, tls_setup, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
	    PLAIN(bytes_come_and_would_block_is_a_result),
	    TLS(bytes_come_and_would_block_is_a_result),
	    PLAIN(full_socket_takes_the_rest_from_another_address),
	    TLS(full_socket_takes_the_rest_from_another_address),
	    PLAIN(plain_end_is_eof),
	    TLS(close_notify_is_eof),
	    TLS(bytes_after_close_notify_are_not_buffered),
	    TLS(tls_cut_short_is_an_error),
	    TLS(garbage_in_tls_is_an_error),
	    PLAIN(write_to_who_has_gone_is_an_error),
	    TLS(write_to_who_has_gone_is_an_error),
	    TLS(decrypted_bytes_are_told_of),
	    TLS(half_a_record_is_not_buffered),
	    TLS(a_flood_of_key_updates_is_taken_in_turns),
	    PLAIN(shutdown_sends_the_end_and_still_reads),
	    TLS(shutdown_sends_the_end_and_still_reads),
	    TLS(end_of_a_stream_is_told_by_close_notify),
	    cmocka_unit_test_setup_teardown(what_is_held_back_can_be_let_go, tcp_setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_held_back_leaves_with_what_follows, tcp_setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_held_back_survives_an_end_with_unread_bytes, tcp_setup, teardown),
	    PLAIN(watch_follows_what_tls_needs),
	    cmocka_unit_test_setup_teardown(records_begin_small_and_grow, tls_setup, teardown),
	    cmocka_unit_test_setup_teardown(records_begin_small_again_after_a_pause, tls_setup, teardown),
	    cmocka_unit_test_setup_teardown(
		of_two_full_records_the_second_takes_the_first_along, tls_over_tcp_setup, teardown),
	    cmocka_unit_test_setup_teardown(blocked_write_goes_on_after_a_pause, tls_setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
