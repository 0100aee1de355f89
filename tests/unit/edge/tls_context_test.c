#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "edge/loop/tls_bio.h"
#include "edge/site/site_cache.h"
#include "edge/tls/hot_site.h"
#include "edge/tls/tls_context.h"
#include "tests/support/tls_fixture.h"

static const char http[] = "\x08http/1.1";
static const char acme[] = "\x0a"
			   "acme-tls/1";

static int64_t clock_offset_us;

static int64_t shifted_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000 + clock_offset_us;
}

static int64_t wall_ms(void)
{
	return time(NULL) * 1000LL;
}

struct node {
	struct fixture_ca ca;
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	struct ticket_keys *keys;
	struct tls_context *context;
	struct site_cache *cache;
	struct hot_sites *hot;
	SSL_CTX *client_ctx;
};

static SSL_SESSION *newest_session;

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(newest_session);
	newest_session = session;
	return 1;
}

static int setup(void **state)
{
	struct node *node = calloc(1, sizeof *node);

	clock_offset_us = 0;
	clock_replace(shifted_us, wall_ms);
	fixture_ca_init(&node->ca);
	node->libctx = OSSL_LIB_CTX_new();
	node->provider = OSSL_PROVIDER_load(node->libctx, "default");
	node->keys = ticket_keys_new();
	node->context = tls_context_new(node->libctx, node->keys, NULL);
	assert_non_null(node->context);
	node->cache = site_cache_new(1 << 20, 100);
	node->hot = hot_sites_new(node->libctx, node->cache, 10);
	const char *names[] = {"a.example", "b.example"};
	for (int i = 0; i < 2; i++) {
		struct site *site = fixture_site(&node->ca, names[i], 1, time(NULL) + 3600);

		site_cache_put(node->cache, site);
		site_unref(site);
	}
	node->client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(node->client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(node->client_ctx, keep_session);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(node->client_ctx), node->ca.x509);
	SSL_CTX_set_verify(node->client_ctx, SSL_VERIFY_PEER, NULL);
	*state = node;
	return 0;
}

static int teardown(void **state)
{
	struct node *node = *state;

	SSL_CTX_free(node->client_ctx);
	hot_sites_free(node->hot);
	site_cache_free(node->cache);
	tls_context_free(node->context);
	ticket_keys_free(node->keys);
	OSSL_PROVIDER_unload(node->provider);
	OSSL_LIB_CTX_free(node->libctx);
	fixture_ca_fini(&node->ca);
	SSL_SESSION_free(newest_session);
	newest_session = NULL;
	clock_replace(NULL, NULL);
	free(node);
	return 0;
}

/* One connection: client and server on a socket pair, its hello read first as the edge does. */
struct talk {
	struct node *node;
	int fds[2];
	SSL *client, *server;
	char bytes[CLIENT_HELLO_WIRE_MAX];
	size_t size;
	struct client_hello hello;
	struct tls_session session;
	int client_error, server_error; /* of the failed handshake, 0: none */
	unsigned long client_code;
};

static void talk_begin(
    struct talk *talk, struct node *node, const char *name, const char *alpn, SSL_SESSION *session)
{
	*talk = (struct talk){.node = node};
	fixture_socketpair(talk->fds);
	talk->client = fixture_client(node->client_ctx, talk->fds[1], name, alpn, session);
}

/* The client's first flight is read and parsed, then the server's SSL begins with it. */
static void talk_meet(struct talk *talk, const char *name)
{
	struct hot_site *site = NULL;

	ERR_clear_error();
	assert_int_equal(SSL_do_handshake(talk->client), -1);
	ssize_t got = recv(talk->fds[0], talk->bytes, sizeof talk->bytes, 0);
	assert_true(got > 0);
	talk->size = (size_t)got;
	assert_int_equal(client_hello_parse(&talk->hello, talk->bytes, talk->size), R_OK);
	talk->session.name = name;
	talk->session.hello = &talk->hello;
	talk->server =
	    tls_context_accept(talk->node->context, &talk->session, talk->fds[0], talk->bytes, talk->size);
	assert_non_null(talk->server);
	assert_int_equal(hot_sites_find(talk->node->hot, name, time(NULL), &site, NULL), R_OK);
	assert_int_equal(hot_site_install(site, talk->server), R_OK);
}

static int step(SSL *ssl, int *error)
{
	ERR_clear_error();
	int result = SSL_do_handshake(ssl);
	int code = SSL_get_error(ssl, result);

	if (result != 1 && code != SSL_ERROR_WANT_READ && code != SSL_ERROR_WANT_WRITE)
		*error = code;
	return result;
}

static bool talk_shake(struct talk *talk)
{
	char byte = 0;

	for (int i = 0; i < 20 && !talk->client_error && !talk->server_error; i++) {
		if (SSL_is_init_finished(talk->client) && SSL_is_init_finished(talk->server))
			break;
		step(talk->server, &talk->server_error);
		step(talk->client, &talk->client_error);
		talk->client_code = ERR_peek_error();
	}
	/* What the server sent last is there to be read: tickets, or an alert. */
	if (SSL_is_init_finished(talk->client))
		SSL_read(talk->client, &byte, 1);
	else if (talk->server_error && !talk->client_error)
		step(talk->client, &talk->client_error), talk->client_code = ERR_peek_error();
	return !talk->client_error && !talk->server_error;
}

static void talk_end(struct talk *talk)
{
	if (talk->server)
		SSL_shutdown(talk->server);
	SSL_shutdown(talk->client);
	SSL_free(talk->client);
	SSL_free(talk->server);
	client_hello_fini(&talk->hello);
	close(talk->fds[0]);
	close(talk->fds[1]);
	ERR_clear_error();
}

static void assert_alert(const struct talk *talk, int alert)
{
	assert_int_not_equal(talk->server_error, 0);
	assert_int_equal(ERR_GET_REASON(talk->client_code), SSL_AD_REASON_OFFSET + alert);
}

/* A whole connection; was it resumed? */
static bool visit(struct node *node, const char *name, SSL_SESSION *session)
{
	struct talk talk;

	talk_begin(&talk, node, name, http, session);
	talk_meet(&talk, name);
	assert_true(talk_shake(&talk));
	bool resumed = SSL_session_reused(talk.server);
	assert_int_equal(resumed, SSL_session_reused(talk.client));
	/* OpenSSL's client does not report a ticket that renews one in TLS 1.2. */
	if (!newest_session && SSL_version(talk.client) == TLS1_2_VERSION)
		newest_session = SSL_get1_session(talk.client);
	talk_end(&talk);
	return resumed;
}

static void set_version(struct node *node, int version)
{
	SSL_CTX_set_min_proto_version(node->client_ctx, version);
	SSL_CTX_set_max_proto_version(node->client_ctx, version);
}

static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};

static SSL_SESSION *take_session(void)
{
	SSL_SESSION *session = newest_session;

	assert_non_null(session);
	newest_session = NULL;
	return session;
}

static void handshake_begins_with_bytes_read_before(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct talk talk;
		const unsigned char *protocol = NULL;
		unsigned size = 0;

		set_version(*state, versions[i]);
		talk_begin(&talk, *state, "a.example", "\x02h2\x08http/1.1", NULL);
		talk_meet(&talk, "a.example");
		assert_true(talk_shake(&talk));
		assert_int_equal(SSL_version(talk.server), versions[i]);
		SSL_get0_alpn_selected(talk.client, &protocol, &size);
		assert_int_equal(size, 8);
		assert_memory_equal(protocol, "http/1.1", 8);
		assert_non_null(strstr(SSL_get_cipher(talk.client),
		    versions[i] == TLS1_3_VERSION ? "AES_128_GCM" : "AES128-GCM"));
		talk_end(&talk);
	}
}

/* A client without AES in its processor puts ChaCha20 first. */
static void who_puts_chacha_first_gets_it(void **state)
{
	struct node *node = *state;

	assert_int_equal(
	    SSL_CTX_set_ciphersuites(node->client_ctx, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"),
	    1);
	assert_int_equal(SSL_CTX_set_cipher_list(
			     node->client_ctx, "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256"),
	    1);
	for (size_t i = 0; i < 2; i++) {
		struct talk talk;

		set_version(node, versions[i]);
		talk_begin(&talk, node, "a.example", http, NULL);
		talk_meet(&talk, "a.example");
		assert_true(talk_shake(&talk));
		assert_non_null(strstr(SSL_get_cipher(talk.client), "CHACHA20"));
		talk_end(&talk);
	}
}

static const char *group_for(struct node *node, const char *offered)
{
	struct talk talk;

	assert_int_equal(SSL_CTX_set1_groups_list(node->client_ctx, offered), 1);
	talk_begin(&talk, node, "a.example", http, NULL);
	talk_meet(&talk, "a.example");
	assert_true(talk_shake(&talk));
	const char *name = OBJ_nid2sn(SSL_get_negotiated_group(talk.server) & 0xffff);
	talk_end(&talk);
	return name;
}

static void groups_are_those_of_everyday_in_our_order(void **state)
{
	set_version(*state, TLS1_3_VERSION);
	assert_string_equal(group_for(*state, "P-256"), "prime256v1");
	assert_string_equal(group_for(*state, "P-384"), "secp384r1");
	/* What the client has sent a share of saves it a round trip. */
	assert_string_equal(group_for(*state, "P-256:X25519"), "prime256v1");
	assert_string_equal(group_for(*state, "X25519:P-256"), "X25519");
	set_version(*state, TLS1_2_VERSION);
	assert_string_equal(group_for(*state, "P-384:P-256:X25519"), "X25519");
	assert_string_equal(group_for(*state, "P-384:P-256"), "prime256v1");
}

/* Chrome and Firefox offer it first, with X25519 beside it. */
static void the_hybrid_is_spoken_where_openssl_has_it(void **state)
{
	struct node *node = *state;
	struct talk talk;

	if (SSL_CTX_set1_groups_list(node->client_ctx, "X25519MLKEM768:X25519") != 1)
		skip();
	set_version(node, TLS1_3_VERSION);
	talk_begin(&talk, node, "a.example", http, NULL);
	talk_meet(&talk, "a.example");
	assert_true(talk_shake(&talk));
	assert_true((SSL_get_negotiated_group(talk.server) & 0xffff) == 0x11ec);
	talk_end(&talk);
}

static void nobody_shakes_hands_twice_on_a_connection(void **state)
{
	struct talk talk;
	char byte = 0;
	int error = 0;

	set_version(*state, TLS1_2_VERSION);
	talk_begin(&talk, *state, "a.example", http, NULL);
	talk_meet(&talk, "a.example");
	assert_true(talk_shake(&talk));
	assert_int_equal(SSL_renegotiate(talk.client), 1);
	for (int i = 0; i < 4 && !error; i++) {
		step(talk.client, &error);
		talk.client_code = ERR_peek_error();
		SSL_read(talk.server, &byte, 1);
	}
	assert_int_equal(ERR_GET_REASON(talk.client_code), SSL_R_NO_RENEGOTIATION);
	talk_end(&talk);
}

static bool is_whole(EVP_PKEY *key)
{
	unsigned char *point = NULL;
	bool whole = EVP_PKEY_get1_encoded_public_key(key, &point) > 0;

	OPENSSL_free(point);
	EVP_PKEY_free(key);
	return whole;
}

static void assert_ephemeral_keys(SSL *server, bool whole)
{
	EVP_PKEY *key = NULL;

	assert_int_equal(SSL_get_tmp_key(server, &key), 1);
	assert_int_equal(is_whole(key), whole);
	assert_int_equal(SSL_get_peer_tmp_key(server, &key), 1);
	assert_int_equal(is_whole(key), whole);
}

static void assert_says(SSL *from, SSL *to, char byte)
{
	char heard = 0;

	assert_int_equal(SSL_write(from, &byte, 1), 1);
	assert_int_equal(SSL_read(to, &heard, 1), 1);
	assert_int_equal(heard, byte);
}

/* The connection goes on, by new keys where the client wants it. */
static void ephemeral_keys_are_wiped_with_the_handshake(void **state)
{
	static const char *const offered[] = {"X25519", "P-256"};
	struct node *node = *state;

	set_version(node, TLS1_3_VERSION);
	for (size_t i = 0; i < 2; i++) {
		struct talk talk;

		assert_int_equal(SSL_CTX_set1_groups_list(node->client_ctx, offered[i]), 1);
		talk_begin(&talk, node, "a.example", http, NULL);
		talk_meet(&talk, "a.example");
		assert_true(talk_shake(&talk));
		assert_ephemeral_keys(talk.server, true);
		tls_context_accepted(talk.server);
		assert_ephemeral_keys(talk.server, false);
		assert_says(talk.server, talk.client, 'a');
		assert_int_equal(SSL_key_update(talk.client, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_says(talk.client, talk.server, 'b');
		assert_says(talk.server, talk.client, 'c');
		talk_end(&talk);
	}
}

static void client_without_alpn_is_served(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state, "a.example", NULL, NULL);
	talk_meet(&talk, "a.example");
	assert_true(talk_shake(&talk));
	talk_end(&talk);
}

static void unknown_protocols_get_no_application_protocol(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state, "a.example", "\x02h2\x06spdy/3", NULL);
	talk_meet(&talk, "a.example");
	assert_false(talk_shake(&talk));
	assert_alert(&talk, 120);
	talk_end(&talk);
}

static void acme_protocol_is_not_for_visitors(void **state)
{
	struct talk talk;

	talk_begin(&talk, *state, "a.example", acme, NULL);
	talk_meet(&talk, "a.example");
	assert_false(talk_shake(&talk));
	assert_alert(&talk, 120);
	talk_end(&talk);
}

static void ticket_resumes_under_its_own_name(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		set_version(*state, versions[i]);
		assert_false(visit(*state, "a.example", NULL));
		SSL_SESSION *session = take_session();
		assert_true(visit(*state, "a.example", session));
		SSL_SESSION_free(session);
	}
}

/* A client uses a ticket of TLS 1.3 once, and gets the next one with the visit. */
static void returning_client_is_resumed_each_time(void **state)
{
	set_version(*state, TLS1_3_VERSION);
	assert_false(visit(*state, "a.example", NULL));
	for (int i = 0; i < 4; i++) {
		SSL_SESSION *session = take_session();

		assert_true(visit(*state, "a.example", session));
		SSL_SESSION_free(session);
	}
}

static void ticket_of_one_name_does_not_resume_another(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		set_version(*state, versions[i]);
		assert_false(visit(*state, "a.example", NULL));
		SSL_SESSION *session = take_session();
		assert_false(visit(*state, "b.example", session));
		/* The full handshake gave a ticket for the name that was visited. */
		SSL_SESSION *other = take_session();
		assert_true(visit(*state, "b.example", other));
		SSL_SESSION_free(session);
		SSL_SESSION_free(other);
	}
}

static void one_ticket_is_sent(void **state)
{
	struct node *node = *state;

	set_version(node, TLS1_3_VERSION);
	SSL_CTX_set_session_cache_mode(node->client_ctx, SSL_SESS_CACHE_CLIENT);
	assert_false(visit(node, "a.example", NULL));
	assert_int_equal(SSL_CTX_sess_number(node->client_ctx), 1);
}

static void ticket_of_an_older_key_resumes_and_is_renewed(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		set_version(*state, versions[i]);
		assert_false(visit(*state, "a.example", NULL));
		SSL_SESSION *session = take_session();
		clock_offset_us += 13 * 3600 * 1000000LL;
		assert_true(visit(*state, "a.example", session));
		SSL_SESSION *renewed = take_session();
		SSL_SESSION_free(session);
		/* 26 hours after the first visit the first key is still there, the renewed ticket's too. */
		clock_offset_us += 25 * 3600 * 1000000LL;
		assert_true(visit(*state, "a.example", renewed));
		SSL_SESSION_free(renewed);
		SSL_SESSION_free(newest_session);
		newest_session = NULL;
	}
}

static void ticket_of_a_forgotten_key_does_not_resume(void **state)
{
	set_version(*state, TLS1_3_VERSION);
	assert_false(visit(*state, "a.example", NULL));
	SSL_SESSION *session = take_session();
	clock_offset_us = 37 * 3600 * 1000000LL;
	assert_false(visit(*state, "a.example", session));
	SSL_SESSION_free(session);
}

static void challenge_session_speaks_acme_and_gives_no_ticket(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct talk talk;
		const unsigned char *protocol = NULL;
		unsigned size = 0;

		set_version(*state, versions[i]);
		talk_begin(&talk, *state, "a.example", acme, NULL);
		talk.session.challenge = true;
		talk_meet(&talk, "a.example");
		assert_true(talk_shake(&talk));
		SSL_get0_alpn_selected(talk.client, &protocol, &size);
		assert_int_equal(size, 10);
		assert_null(newest_session);
		talk_end(&talk);
	}
}

/* P-521, which the server has not, is the only share in the first hello: a HelloRetryRequest follows. */
static void talk_into_retry(struct talk *talk, struct node *node)
{
	set_version(node, TLS1_3_VERSION);
	talk_begin(talk, node, "a.example", http, NULL);
	assert_int_equal(SSL_set1_groups_list(talk->client, "P-521:X25519"), 1);
	talk_meet(talk, "a.example");
	step(talk->server, &talk->server_error);
	assert_int_equal(talk->server_error, 0);
}

static void retry_with_the_same_name_is_served(void **state)
{
	struct talk talk;

	talk_into_retry(&talk, *state);
	assert_true(talk_shake(&talk));
	talk_end(&talk);
}

static void retry_with_another_name_is_refused(void **state)
{
	struct talk talk;

	talk_into_retry(&talk, *state);
	SSL_set_tlsext_host_name(talk.client, "b.example");
	assert_false(talk_shake(&talk));
	assert_alert(&talk, SSL_AD_ILLEGAL_PARAMETER);
	assert_true(talk.session.hello_changed);
	assert_string_equal(tls_context_failure(&talk.session, talk.server_error), "hello_changed");
	talk_end(&talk);
}

static void retry_without_a_name_is_refused(void **state)
{
	struct talk talk;

	talk_into_retry(&talk, *state);
	SSL_set_tlsext_host_name(talk.client, NULL);
	assert_false(talk_shake(&talk));
	assert_true(talk.session.hello_changed);
	talk_end(&talk);
}

static void retry_with_other_protocols_is_refused(void **state)
{
	struct talk talk;

	talk_into_retry(&talk, *state);
	SSL_set_alpn_protos(talk.client, (const unsigned char *)acme, sizeof acme - 1);
	assert_false(talk_shake(&talk));
	assert_true(talk.session.hello_changed);
	talk_end(&talk);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(handshake_begins_with_bytes_read_before),
	    TEST(who_puts_chacha_first_gets_it),
	    TEST(groups_are_those_of_everyday_in_our_order),
	    TEST(the_hybrid_is_spoken_where_openssl_has_it),
	    TEST(nobody_shakes_hands_twice_on_a_connection),
	    TEST(ephemeral_keys_are_wiped_with_the_handshake),
	    TEST(client_without_alpn_is_served),
	    TEST(unknown_protocols_get_no_application_protocol),
	    TEST(acme_protocol_is_not_for_visitors),
	    TEST(ticket_resumes_under_its_own_name),
	    TEST(returning_client_is_resumed_each_time),
	    TEST(ticket_of_one_name_does_not_resume_another),
	    TEST(one_ticket_is_sent),
	    TEST(ticket_of_an_older_key_resumes_and_is_renewed),
	    TEST(ticket_of_a_forgotten_key_does_not_resume),
	    TEST(challenge_session_speaks_acme_and_gives_no_ticket),
	    TEST(retry_with_the_same_name_is_served),
	    TEST(retry_with_another_name_is_refused),
	    TEST(retry_without_a_name_is_refused),
	    TEST(retry_with_other_protocols_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
