/*
 * The rig of h1_harness.h with TLS between client and edge: `client` is the client's end, and everything that
 * it reads or writes it does by itself, between two turns of the loop.
 */
#ifndef TESTS_TLS_HARNESS_H
#define TESTS_TLS_HARNESS_H

#include "h1_harness.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "edge/loop/tls_bio.h"

static SSL_CTX *server_ctx;
static SSL_CTX *client_ctx;
static SSL *client;
static int edge_fd; /* the edge's end, which the connection owns */

static inline X509 *self_signed(EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	return certificate;
}

static inline int make_contexts(void **state)
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

static inline int free_contexts(void **state)
{
	(void)state;
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return 0;
}

static inline SSL *over(SSL_CTX *ctx, int fd)
{
	SSL *ssl = SSL_new(ctx);
	BIO *bio = tls_bio_new(fd, NULL, 0);

	SSL_set_bio(ssl, bio, bio);
	return ssl;
}

static inline void shake_hands(SSL *server)
{
	int done = 0;

	for (int i = 0; i < 1000 && done != 3; i++) {
		done |= SSL_connect(client) == 1 ? 1 : 0;
		done |= SSL_accept(server) == 1 ? 2 : 0;
	}
	assert_int_equal(done, 3);
}

static inline void visit_by_tls(int buffer)
{
	struct net_address address = {.size = 0};
	struct conn_peer peer = {.id = 77, .tls = true, .sni = "a.example"};
	struct stream stream;
	int one = 1;
	int door = listen_anywhere(&address);

	seen_reset(&rig.client, connect_to(&address));
	int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(door);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(rig.client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	net_parse_address(&peer.client, "192.0.2.7:1234", NULL);
	client = over(client_ctx, rig.client.fd);
	SSL *server = over(server_ctx, fd);
	shake_hands(server);
	stream_init(&stream, rig.loop, fd, server);
	edge_fd = fd;
	rig.conn = rig.new_conn(&rig.worker, &stream, &peer, on_conn_closed, NULL);
}

static inline int free_client(void **state)
{
	SSL_free(client);
	client = NULL;
	ERR_clear_error();
	return harness_teardown(state);
}

/* Returns how much was taken; 0 where the other side is slow. */
static inline size_t push(const char *bytes, size_t size)
{
	size_t put = 0;

	ERR_clear_error();
	return SSL_write_ex(client, bytes, size, &put) ? put : 0;
}

static inline void look_by_tls(void)
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
	if (!rig.shows_own)
		cut_out_own(rig.client.bytes, &rig.client.size);
}

#define tls_test(name) cmocka_unit_test_setup_teardown(name, harness_setup, free_client)

#endif
