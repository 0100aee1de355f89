#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "edge/conn/conn.h"
#include "edge/conn/conn_table.h"
#include "edge/edge_metrics.h"
#include "edge/edge_settings.h"
#include "edge/front/http_conn.h"
#include "edge/http_config.h"
#include "edge/pass/pass_config.h"
#include "edge/tls/ticket_keys.h"
#include "edge/upstream/upstream_pool.h"
#include "tests/support/edge_loop.h"
#include "tests/support/tls_fixture.h"

/* What stands around a connection, as these tests have it: it notes what it is told. */
static struct {
	int found, forgotten;
	bool only_looks;
	int challenges, seen;
	int64_t seen_id;
	uint64_t challenge_connection;
	enum result challenge_result;
	int http;
	struct conn_peer peer;
	int challenge_replies;
} told;

void broker_find(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	(void)broker, (void)mailbox, (void)name;
	told.found++;
	told.only_looks = only_looks;
}

void broker_forget(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	(void)broker, (void)mailbox, (void)name, (void)only_looks;
	told.forgotten++;
}

enum result challenges_find(struct challenges *challenges, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, int32_t stream,
    enum challenge_type type, const char *name, const char *token)
{
	(void)challenges, (void)mailbox, (void)deliver, (void)stream, (void)name;
	assert_int_equal(type, CHALLENGE_TLS_ALPN);
	assert_null(token);
	told.challenges++;
	told.challenge_connection = connection;
	return told.challenge_result;
}

void challenges_mark_seen(struct challenges *challenges, int64_t id)
{
	(void)challenges;
	told.seen++;
	told.seen_id = id;
}

struct upstream_pool *upstream_pool_new(struct loop *loop, struct upstreams *upstreams, OSSL_LIB_CTX *libctx)
{
	(void)loop, (void)upstreams, (void)libctx;
	return NULL;
}

void upstream_pool_free(struct upstream_pool *pool)
{
	(void)pool;
}

/* HTTP that says "served" and waits for the client's end. */
struct fake_http {
	struct http_conn base;
	struct stream stream;
	void (*on_closed)(void *owner);
	void *owner;
};

static void h1_end(struct fake_http *h1)
{
	void (*on_closed)(void *owner) = h1->on_closed;
	void *owner = h1->owner;

	stream_fini(&h1->stream);
	free(h1);
	on_closed(owner);
}

static void on_h1_ready(struct loop_io *io, uint32_t events)
{
	struct fake_http *h1 = loop_owner(io, struct fake_http, stream.io);
	char byte = 0;
	size_t got = 0;

	(void)events;
	if (stream_read(&h1->stream, &byte, 1, &got) != R_AGAIN)
		h1_end(h1);
}

struct http_conn *http_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner)
{
	struct fake_http *h1 = mem_alloc(sizeof *h1);
	size_t put = 0;

	(void)worker;
	told.http++;
	told.peer = *peer;
	h1->stream = *stream;
	h1->on_closed = on_closed;
	h1->owner = owner;
	h1->stream.io.on_ready = on_h1_ready;
	stream_watch(&h1->stream, true, false);
	assert_int_equal(stream_write(&h1->stream, "served", 6, &put), R_OK);
	return &h1->base;
}

void http_conn_drain(struct http_conn *conn)
{
	h1_end(loop_owner(conn, struct fake_http, base));
}

void http_conn_abort(struct http_conn *conn)
{
	h1_end(loop_owner(conn, struct fake_http, base));
}

void http_conn_challenge(struct http_conn *conn, const struct challenge_reply *reply)
{
	(void)conn, (void)reply;
	told.challenge_replies++;
}

void http_conn_notice(struct http_conn *conn, const struct notice_reply *reply)
{
	(void)conn, (void)reply;
}

struct world {
	struct fixture_ca ca;
	struct settings *settings;
	struct http_config http;
	struct edge_config config; /* with a reference that is never given back */
	struct edge edge;
	struct worker *worker;
	SSL_CTX *client_ctx;
};

static int setup(void **state)
{
	static char arguments[][64] = {"postern-edge", "--database=host=127.0.0.1",
	    "--seal-key-file=/dev/null", "--upstream=http://127.0.0.1:1", "--ask-url=http://127.0.0.1:1/"};
	char *argv[] = {arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], NULL};
	struct world *world = mem_alloc(sizeof *world);
	struct error error = {""};

	fake_clock_begin();
	memset(&told, 0, sizeof told);
	fixture_ca_init(&world->ca);
	if (settings_load(&world->settings, &edge_settings, 5, argv, &error) != R_OK)
		fail_msg("%s", error.text);
	world->config.settings = world->settings;
	world->config.http = &world->http;
	world->config.limits = (struct edge_limits){.max_connections = 1000,
	    .max_memory = INT64_MAX,
	    .max_waiting = 1000,
	    .max_waiting_bytes = 1 << 30,
	    .hello_timeout_ms = 5000,
	    .handshake_timeout_ms = 10000};
	if (pass_config_load(&world->config.pass, world->settings, &error) != R_OK)
		fail_msg("%s", error.text);
	world->edge.config = edge_config_ref(&world->config);
	world->edge.sites = site_cache_new(1 << 20, 100);
	world->edge.ticket_keys = ticket_keys_new();
	if (worker_new(&world->worker, &world->edge, 0, &error) != R_OK)
		fail_msg("%s", error.text);
	world->client_ctx = SSL_CTX_new(TLS_client_method());
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	conn_abort_all(world->worker);
	assert_int_equal(conn_table_count(world->worker->conns), 0);
	assert_int_equal(atomic_load(&world->edge.connections), 0);
	assert_int_equal(atomic_load(&world->edge.waiting), 0);
	assert_int_equal(atomic_load(&world->edge.waiting_bytes), 0);
	worker_free(world->worker);
	ticket_keys_free(world->edge.ticket_keys);
	site_cache_free(world->edge.sites);
	pass_config_free(world->config.pass);
	settings_free(world->settings);
	SSL_CTX_free(world->client_ctx);
	fixture_ca_fini(&world->ca);
	free(world);
	clock_replace(NULL, NULL);
	return 0;
}

static void rounds(struct world *world, int count)
{
	while (count-- > 0)
		loop_round(world->worker->loop);
}

/* The client's descriptor of a new connection, from an address that the socket is made to have. */
static int dial_from(struct world *world, const char *address, bool tls)
{
	struct net_address client;
	int fds[2];

	assert_int_equal(net_parse_address(&client, address, NULL), R_OK);
	fixture_socketpair(fds);
	conn_accept(world->worker, fds[0], &client,
	    (struct listen_point){.kind = tls ? LISTEN_HTTPS : LISTEN_HTTP, .port = 443});
	return fds[1];
}

static int dial(struct world *world, bool tls)
{
	return dial_from(world, "127.0.0.1:1", tls);
}

struct visitor {
	int fd;
	SSL *ssl;
};

static struct visitor call(struct world *world, const char *name, const char *alpn)
{
	struct visitor client = {.fd = dial(world, true)};

	client.ssl = fixture_client(world->client_ctx, client.fd, name, alpn, NULL);
	SSL_do_handshake(client.ssl);
	rounds(world, 1);
	return client;
}

/* Goes on as far as it gets; true: the handshake is done and "served" came. */
static bool is_served(struct world *world, struct visitor *client)
{
	char bytes[16];

	for (int i = 0; i < 10; i++) {
		ERR_clear_error();
		rounds(world, 1);
		if (SSL_read(client->ssl, bytes, sizeof bytes) == 6)
			return memcmp(bytes, "served", 6) == 0;
	}
	return false;
}

static void hang_up(struct visitor *client)
{
	SSL_free(client->ssl);
	if (client->fd >= 0)
		close(client->fd);
	ERR_clear_error();
}

/* The next seven bytes are this alert, and then comes the end. */
static void assert_refused(int fd, int alert)
{
	unsigned char bytes[16];
	const unsigned char expected[] = {21, 3, 3, 0, 2, 2, (unsigned char)alert};

	assert_int_equal(read(fd, bytes, sizeof bytes), 7);
	assert_memory_equal(bytes, expected, 7);
	assert_int_equal(read(fd, bytes, sizeof bytes), 0);
}

static size_t connections(const struct world *world)
{
	return conn_table_count(world->worker->conns);
}

static void put_site(struct world *world, const char *name)
{
	struct site *site = fixture_site(&world->ca, name, 1, time(NULL) + 3600);

	site_cache_put(world->edge.sites, site);
	site_unref(site);
}

static void search_says(struct world *world, const char *name, bool only_looks, enum broker_outcome outcome)
{
	struct broker_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = conn_deliver_site;
	snprintf(reply->name.text, sizeof reply->name.text, "%s", name);
	reply->only_looks = only_looks;
	reply->outcome = outcome;
	reply->cause = "test";
	reply->site = outcome == BROKER_READY ? site_cache_find(world->edge.sites, name) : NULL;
	mailbox_send(world->worker->mailbox, &reply->message);
	rounds(world, 1);
}

static void broker_says(struct world *world, const char *name, enum broker_outcome outcome)
{
	search_says(world, name, false, outcome);
}

static void challenge_says(struct world *world, uint64_t connection, enum result result)
{
	struct challenge_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = conn_deliver_challenge;
	reply->connection = connection;
	reply->result = result;
	reply->id = 42;
	snprintf(reply->key_authorization, sizeof reply->key_authorization, "token.thumbprint");
	mailbox_send(world->worker->mailbox, &reply->message);
	rounds(world, 1);
}

static void stored_site_is_served(void **state)
{
	put_site(*state, "shop.example");
	struct visitor client = call(*state, "shop.example", "\x08http/1.1");
	assert_true(is_served(*state, &client));
	assert_int_equal(told.found, 0);
	assert_string_equal(told.peer.sni, "shop.example");
	assert_true(told.peer.tls);
	hang_up(&client);
	rounds(*state, 1);
	assert_int_equal(connections(*state), 0);
}

/* P-521, which the server has not, is the only share in the first hello: a HelloRetryRequest follows. The
 * certificate is wanted by the second. */
static void retry_is_served_though_the_site_has_gone_meanwhile(void **state)
{
	struct world *world = *state;

	put_site(world, "shop.example");
	SSL_CTX_set1_groups_list(world->client_ctx, "P-521:X25519");
	struct visitor client = call(world, "shop.example", "\x08http/1.1");
	site_cache_remove(world->edge.sites, "shop.example");
	/* Its place in the worker's own tier is given up when the name is asked for again. */
	struct visitor other = call(world, "shop.example", "\x08http/1.1");
	assert_int_equal(told.found, 1);
	hang_up(&other);
	assert_true(is_served(world, &client));
	hang_up(&client);
	rounds(world, 1);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **kept = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(*kept);
	*kept = session;
	return 1;
}

static void returning_visitor_is_served(struct world *world, int version)
{
	SSL_SESSION *session = NULL;

	put_site(world, "shop.example");
	SSL_CTX_set_max_proto_version(world->client_ctx, version);
	SSL_CTX_set_session_cache_mode(world->client_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_set_app_data(world->client_ctx, &session);
	SSL_CTX_sess_set_new_cb(world->client_ctx, keep_session);
	struct visitor client = call(world, "shop.example", "\x08http/1.1");
	assert_true(is_served(world, &client));
	SSL_set_shutdown(client.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	hang_up(&client);
	assert_non_null(session);
	client = (struct visitor){.fd = dial(world, true)};
	client.ssl = fixture_client(world->client_ctx, client.fd, "shop.example", "\x08http/1.1", NULL);
	SSL_set_session(client.ssl, session);
	SSL_do_handshake(client.ssl);
	assert_true(is_served(world, &client));
	assert_true(SSL_session_reused(client.ssl));
	hang_up(&client);
	rounds(world, 2);
	SSL_SESSION_free(session);
}

static void returning_visitor_is_served_in_both_versions(void **state)
{
	returning_visitor_is_served(*state, TLS1_3_VERSION);
	returning_visitor_is_served(*state, TLS1_2_VERSION);
}

static void name_is_normalised(void **state)
{
	put_site(*state, "shop.example");
	struct visitor client = call(*state, "SHOP.Example", "\x08http/1.1");
	assert_true(is_served(*state, &client));
	assert_string_equal(told.peer.sni, "shop.example");
	hang_up(&client);
}

static void plain_connection_goes_to_http(void **state)
{
	char bytes[16];
	int fd = dial(*state, false);

	assert_int_equal(read(fd, bytes, sizeof bytes), 6);
	assert_false(told.peer.tls);
	assert_string_equal(told.peer.sni, "");
	close(fd);
}

/* ---- the PROXY protocol */

#define PROXY_LINE "PROXY TCP4 203.0.113.9 198.51.100.1 4242 443\r\n"
#define PROXY_LOCAL "\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0cxxxxxxxxxxxx"

static void require_proxy(struct world *world)
{
	static struct ip_range balancer = {.family = AF_INET, .bytes = {10, 0, 0, 7}, .bits = 32};

	world->config.trust =
	    (struct trust){.proxy_required = true, .proxy_timeout_ms = 5000, .proxies = {&balancer, 1}};
}

static int dial_by_balancer(struct world *world, bool tls)
{
	require_proxy(world);
	return dial_from(world, "10.0.0.7:1", tls);
}

static int64_t refusals(const char *cause)
{
	char label[64];

	return metric_get(metrics_counter(
	    "postern_edge_refused_total", metrics_label(label, sizeof label, "cause", cause), NULL));
}

static void expect_peer(const char *client, const char *local)
{
	char text[NET_ADDRESS_TEXT];

	assert_string_equal(net_format_address(&told.peer.client, text), client);
	if (local)
		assert_string_equal(net_format_address(&told.peer.local, text), local);
	else
		assert_int_equal(told.peer.local.size, 0);
}

static void expect_closed(int fd)
{
	char bytes[16];

	assert_true(read(fd, bytes, sizeof bytes) <= 0);
	close(fd);
}

static void proxied_client_is_the_one_of_the_header(void **state)
{
	struct world *world = *state;

	put_site(world, "shop.example");
	struct visitor client = {.fd = dial_by_balancer(world, true)};
	assert_int_equal(write(client.fd, PROXY_LINE, sizeof PROXY_LINE - 1), sizeof PROXY_LINE - 1);
	client.ssl = fixture_client(world->client_ctx, client.fd, "shop.example", NULL, NULL);
	SSL_do_handshake(client.ssl);
	rounds(world, 2);
	assert_true(is_served(world, &client));
	expect_peer("203.0.113.9:4242", "198.51.100.1:443");
	hang_up(&client);
}

static void proxy_header_a_byte_at_a_time_before_plain_http(void **state)
{
	struct world *world = *state;
	char bytes[16];
	int fd = dial_by_balancer(world, false);

	for (size_t i = 0; i < sizeof PROXY_LINE - 1; i++) {
		assert_int_equal(told.http, 0);
		assert_int_equal(write(fd, &PROXY_LINE[i], 1), 1);
		rounds(world, 1);
	}
	assert_int_equal(told.http, 1);
	expect_peer("203.0.113.9:4242", "198.51.100.1:443");
	assert_int_equal(read(fd, bytes, sizeof bytes), 6);
	close(fd);
}

static void nothing_behind_a_proxy_header_is_lost(void **state)
{
	struct world *world = *state;
	struct visitor client = {.fd = dial_by_balancer(world, true)};
	int between[2];
	char bytes[2000] = PROXY_LOCAL;

	put_site(world, "shop.example");
	fixture_socketpair(between);
	client.ssl = fixture_client(world->client_ctx, between[0], "shop.example", NULL, NULL);
	SSL_do_handshake(client.ssl);
	ssize_t hello = read(between[1], bytes + sizeof PROXY_LOCAL - 1, sizeof bytes - sizeof PROXY_LOCAL);
	size_t size = sizeof PROXY_LOCAL - 1 + (size_t)hello;
	assert_int_equal(write(client.fd, bytes, size), size);
	rounds(world, 2);
	SSL_set_fd(client.ssl, client.fd);
	assert_true(is_served(world, &client));
	expect_peer("10.0.0.7:1", NULL);
	hang_up(&client);
	close(between[0]);
	close(between[1]);
}

static void peers_that_may_not_name_clients_are_closed(void **state)
{
	struct world *world = *state;

	require_proxy(world);
	int64_t before = refusals("proxy_untrusted");
	expect_closed(dial_from(world, "10.0.0.8:1", true));
	expect_closed(dial_from(world, "10.0.0.8:1", false));
	assert_int_equal(refusals("proxy_untrusted"), before + 2);
}

static void what_is_no_proxy_header_is_closed_and_counted(void **state)
{
	static const struct {
		const char *bytes, *cause;
	} cases[] = {
	    {"GET / HTTP/1.1\r\n", "proxy_missing"},
	    {"\x16\x03\x01", "proxy_missing"},
	    {"PROXY TCP4 x\r\n", "proxy_line"},
	    {"PROXY UNKN", "proxy_timeout"},
	    {"", "proxy_timeout"},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t before = refusals(cases[i].cause);
		int fd = dial_by_balancer(world, i % 2);

		assert_int_equal(write(fd, cases[i].bytes, strlen(cases[i].bytes)), strlen(cases[i].bytes));
		rounds(world, 2);
		if (strcmp(cases[i].cause, "proxy_timeout") == 0)
			loop_pass(world->worker->loop, 5000);
		expect_closed(fd);
		assert_int_equal(refusals(cases[i].cause), before + 1);
	}
	assert_int_equal(told.http, 0);
}

static void knocking_without_a_word_is_not_counted(void **state)
{
	struct world *world = *state;
	int64_t before = refusals("client_left");

	close(dial_by_balancer(world, true));
	rounds(world, 2);
	assert_int_equal(refusals("client_left"), before);
	int fd = dial_by_balancer(world, true);
	assert_int_equal(write(fd, "PROXY", 5), 5);
	rounds(world, 2);
	close(fd);
	rounds(world, 2);
	assert_int_equal(refusals("client_left"), before + 1);
}

static void hello_a_byte_at_a_time_is_served(void **state)
{
	struct world *world = *state;
	struct visitor client = {.fd = dial(world, true)};
	int between[2];
	char bytes[2000];

	put_site(world, "shop.example");
	fixture_socketpair(between);
	client.ssl = fixture_client(world->client_ctx, between[0], "shop.example", NULL, NULL);
	SSL_do_handshake(client.ssl);
	ssize_t size = read(between[1], bytes, sizeof bytes);
	for (ssize_t i = 0; i < size; i++) {
		assert_int_equal(write(client.fd, bytes + i, 1), 1);
		rounds(world, 1);
	}
	SSL_set_fd(client.ssl, client.fd);
	assert_true(is_served(world, &client));
	hang_up(&client);
	close(between[0]);
	close(between[1]);
}

static void nameless_and_impossible_names_are_refused_alike(void **state)
{
	static char label[64], too_long[260];
	const char *names[] = {NULL, "192.0.2.1", "localhost", "com", "a..example", "-a.example", label,
	    too_long, "a b.example"};

	memset(label, 'a', 63);
	for (int i = 0; i < 255; i++)
		too_long[i] = i % 50 == 49 ? '.' : 'a';
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct visitor client = call(*state, names[i], NULL);

		assert_refused(client.fd, 112);
		hang_up(&client);
		rounds(*state, 1);
	}
	assert_int_equal(told.found, 0);
	assert_int_equal(connections(*state), 0);
}

static void strangers_to_tls_get_an_alert(void **state)
{
	int fd = dial(*state, true);

	assert_int_equal(write(fd, "GET / HTTP/1.1\r\n", 16), 16);
	rounds(*state, 1);
	assert_refused(fd, 50);
	close(fd);
}

static void refused_client_that_stays_is_closed_soon(void **state)
{
	struct world *world = *state;
	int fd = dial(world, true);

	assert_int_equal(write(fd, "GET", 3), 3);
	rounds(world, 1);
	assert_int_equal(connections(world), 1);
	assert_int_equal(write(fd, " more", 5), 5);
	rounds(world, 1);
	assert_int_equal(connections(world), 1);
	loop_pass(world->worker->loop, 1000);
	assert_int_equal(connections(world), 0);
	close(fd);
}

static void refused_client_cannot_send_for_ever(void **state)
{
	struct world *world = *state;
	static char bytes[128 * 1024];
	int fd = dial(world, true);

	assert_int_equal(write(fd, "GET", 3), 3);
	rounds(world, 1);
	for (int i = 0; i < 100 && connections(world) > 0; i++) {
		if (send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		rounds(world, 1);
	}
	assert_int_equal(connections(world), 0);
	close(fd);
}

static void silent_client_is_closed_at_the_hello_deadline(void **state)
{
	struct world *world = *state;
	int fd = dial(world, true);

	loop_pass(world->worker->loop, 4999);
	assert_int_equal(connections(world), 1);
	loop_pass(world->worker->loop, 1);
	assert_int_equal(connections(world), 0);
	close(fd);
}

static void trickle_does_not_move_the_hello_deadline(void **state)
{
	struct world *world = *state;
	int fd = dial(world, true);

	for (int i = 0; i < 5; i++) {
		assert_int_equal(write(fd, &"\x16\x03\x01\x01\x00"[i], 1), 1);
		loop_pass(world->worker->loop, 1000);
	}
	assert_int_equal(connections(world), 0);
	close(fd);
}

static void stalled_handshake_is_closed_at_its_deadline(void **state)
{
	struct world *world = *state;

	put_site(world, "shop.example");
	struct visitor client = call(world, "shop.example", NULL);
	loop_pass(world->worker->loop, 9999);
	assert_int_equal(connections(world), 1);
	loop_pass(world->worker->loop, 1);
	assert_int_equal(connections(world), 0);
	hang_up(&client);
}

static void unknown_name_waits_and_is_served_in_place(void **state)
{
	struct world *world = *state;
	struct visitor client = call(world, "new.example", NULL);

	assert_int_equal(told.found, 1);
	assert_int_equal(atomic_load(&world->edge.waiting), 1);
	broker_says(world, "new.example", BROKER_PHASE);
	assert_int_equal(connections(world), 1);
	put_site(world, "new.example");
	broker_says(world, "new.example", BROKER_READY);
	assert_true(is_served(world, &client));
	assert_int_equal(atomic_load(&world->edge.waiting), 0);
	hang_up(&client);
}

static void a_hundred_waiters_are_one_question_and_all_are_served(void **state)
{
	enum { COUNT = 100 };
	struct world *world = *state;
	struct visitor clients[COUNT];

	for (int i = 0; i < COUNT; i++)
		clients[i] = call(world, "new.example", NULL);
	assert_int_equal(told.found, 1);
	put_site(world, "new.example");
	broker_says(world, "new.example", BROKER_READY);
	for (int i = 0; i < COUNT; i++) {
		assert_true(is_served(world, &clients[i]));
		hang_up(&clients[i]);
	}
}

static void denied_name_is_refused(void **state)
{
	struct visitor client = call(*state, "new.example", NULL);

	broker_says(*state, "new.example", BROKER_DENIED);
	assert_refused(client.fd, 112);
	hang_up(&client);
}

static void trouble_is_an_internal_error(void **state)
{
	struct visitor client = call(*state, "new.example", NULL);

	broker_says(*state, "new.example", BROKER_TEMPORARY);
	assert_refused(client.fd, 80);
	hang_up(&client);
}

static void frozen_broker_ends_in_an_internal_error(void **state)
{
	struct world *world = *state;
	struct visitor client = call(world, "new.example", NULL);

	loop_pass(world->worker->loop, 1000);
	assert_refused(client.fd, 80);
	assert_int_equal(told.forgotten, 1);
	hang_up(&client);
}

static void known_refusal_asks_nobody(void **state)
{
	struct world *world = *state;
	static const struct {
		enum refusal refusal;
		int alert;
	} cases[] = {{REFUSAL_DENIED, 112}, {REFUSAL_TEMPORARY, 80}};

	for (size_t i = 0; i < 2; i++) {
		site_cache_refuse(world->edge.sites, "no.example", cases[i].refusal, 1000,
		    site_cache_epoch(world->edge.sites, "no.example"), "denied");
		struct visitor client = call(world, "no.example", NULL);
		assert_refused(client.fd, cases[i].alert);
		hang_up(&client);
	}
	assert_int_equal(told.found, 0);
}

static void waiting_client_that_leaves_frees_its_place(void **state)
{
	struct world *world = *state;
	struct visitor first = call(world, "new.example", NULL), second = call(world, "new.example", NULL);

	hang_up(&first);
	rounds(world, 1);
	assert_int_equal(atomic_load(&world->edge.waiting), 1);
	assert_int_equal(told.forgotten, 0);
	/* What a waiting client sends is not read, and wakes nobody. */
	assert_int_equal(write(second.fd, "early", 5), 5);
	rounds(world, 3);
	assert_int_equal(connections(world), 1);
	hang_up(&second);
	rounds(world, 1);
	assert_int_equal(connections(world), 0);
	assert_int_equal(told.forgotten, 1);
}

static void waiting_client_that_half_closes_has_left(void **state)
{
	struct visitor client = call(*state, "new.example", NULL);

	assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
	rounds(*state, 1);
	assert_int_equal(connections(*state), 0);
	hang_up(&client);
}

static void who_leaves_while_queued_for_its_handshake_harms_nobody(void **state)
{
	struct world *world = *state;
	struct visitor clients[40];

	for (int i = 0; i < 40; i++)
		clients[i] = call(world, "new.example", NULL);
	put_site(world, "new.example");
	for (int i = 0; i < 40; i += 2)
		hang_up(&clients[i]);
	broker_says(world, "new.example", BROKER_READY);
	for (int i = 1; i < 40; i += 2) {
		assert_true(is_served(world, &clients[i]));
		hang_up(&clients[i]);
	}
}

static void newest_above_the_waiting_limit_is_shed(void **state)
{
	struct world *world = *state;

	world->config.limits.max_waiting = 1;
	struct visitor first = call(world, "new.example", NULL), second = call(world, "other.example", NULL);
	assert_refused(second.fd, 80);
	assert_int_equal(told.found, 1);
	put_site(world, "new.example");
	broker_says(world, "new.example", BROKER_READY);
	assert_true(is_served(world, &first));
	hang_up(&first);
	hang_up(&second);
}

static void bytes_that_wait_are_bounded(void **state)
{
	struct world *world = *state;

	world->config.limits.max_waiting_bytes = 2000;
	struct visitor first = call(world, "new.example", NULL), second = call(world, "other.example", NULL);
	assert_refused(second.fd, 80);
	hang_up(&first);
	hang_up(&second);
}

static void newest_above_the_connection_limit_is_shed(void **state)
{
	struct world *world = *state;

	world->config.limits.max_connections = 1;
	int first = dial(world, true), second = dial(world, true);
	assert_refused(second, 80);
	assert_int_equal(connections(world), 1);
	close(first);
	close(second);
	rounds(world, 1);
	int third = dial(world, true);
	assert_int_equal(connections(world), 1);
	close(third);
}

/* The CA's side of a validation: ALPN, the identifier, and then the end. */
static void live_challenge_is_answered(void **state)
{
	struct world *world = *state;
	struct visitor client = call(world, "new.example",
	    "\x0a"
	    "acme-tls/1");
	const unsigned char *protocol = NULL;
	unsigned size = 0;
	char byte = 0;

	assert_int_equal(told.challenges, 1);
	assert_int_equal(told.found, 0);
	challenge_says(world, told.challenge_connection, R_OK);
	for (int i = 0; i < 5 && !SSL_is_init_finished(client.ssl); i++) {
		SSL_do_handshake(client.ssl);
		rounds(world, 1);
	}
	assert_true(SSL_is_init_finished(client.ssl));
	SSL_get0_alpn_selected(client.ssl, &protocol, &size);
	assert_int_equal(size, 10);
	X509 *x509 = SSL_get1_peer_certificate(client.ssl);
	assert_int_equal(X509_check_host(x509, "new.example", 0, 0, NULL), 1);
	X509_free(x509);
	assert_int_equal(told.seen, 1);
	assert_int_equal(told.seen_id, 42);
	assert_int_equal(SSL_read(client.ssl, &byte, 1), 0);
	assert_int_equal(SSL_get_error(client.ssl, 0), SSL_ERROR_ZERO_RETURN);
	assert_int_equal(told.http, 0);
	hang_up(&client);
}

static void challenge_that_is_not_live_is_refused(void **state)
{
	struct visitor client = call(*state, "new.example",
	    "\x0a"
	    "acme-tls/1");

	challenge_says(*state, told.challenge_connection, R_NONE);
	assert_int_equal(told.found, 1);
	assert_true(told.only_looks);
	search_says(*state, "new.example", true, BROKER_DENIED);
	assert_refused(client.fd, 112);
	assert_int_equal(told.seen, 0);
	hang_up(&client);
}

static void challenge_that_cannot_be_looked_up_is_temporary(void **state)
{
	struct world *world = *state;
	struct visitor client = call(world, "new.example",
	    "\x0a"
	    "acme-tls/1");

	challenge_says(world, told.challenge_connection, R_DOWN);
	assert_refused(client.fd, 80);
	hang_up(&client);
	told.challenge_result = R_LIMIT;
	client = call(world, "new.example",
	    "\x0a"
	    "acme-tls/1");
	assert_refused(client.fd, 80);
	hang_up(&client);
	told.challenge_result = R_OK;
	client = call(world, "new.example",
	    "\x0a"
	    "acme-tls/1");
	loop_pass(world->worker->loop, 3000);
	assert_refused(client.fd, 80);
	hang_up(&client);
}

static void acme_among_other_protocols_is_no_challenge(void **state)
{
	put_site(*state, "shop.example");
	struct visitor client = call(*state, "shop.example",
	    "\x0a"
	    "acme-tls/1\x08http/1.1");
	assert_true(is_served(*state, &client));
	assert_int_equal(told.challenges, 0);
	hang_up(&client);
}

static void replies_to_who_has_gone_are_dropped(void **state)
{
	struct world *world = *state;
	struct visitor client = call(world, "new.example",
	    "\x0a"
	    "acme-tls/1");

	hang_up(&client);
	rounds(world, 1);
	assert_int_equal(connections(world), 0);
	int fd = dial(world, false);
	challenge_says(world, told.challenge_connection, R_OK);
	assert_int_equal(told.challenge_replies, 0);
	challenge_says(world, told.peer.id, R_OK);
	assert_int_equal(told.challenge_replies, 1);
	close(fd);
}

static void drain_ends_http_and_leaves_those_who_wait(void **state)
{
	struct world *world = *state;

	put_site(world, "shop.example");
	struct visitor served = call(world, "shop.example", NULL), waiting = call(world, "new.example", NULL);
	assert_true(is_served(world, &served));
	conn_drain_all(world->worker);
	assert_int_equal(connections(world), 1);
	put_site(world, "new.example");
	broker_says(world, "new.example", BROKER_READY);
	assert_true(is_served(world, &waiting));
	hang_up(&served);
	hang_up(&waiting);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(stored_site_is_served),
	    TEST(retry_is_served_though_the_site_has_gone_meanwhile),
	    TEST(returning_visitor_is_served_in_both_versions),
	    TEST(name_is_normalised),
	    TEST(plain_connection_goes_to_http),
	    TEST(proxied_client_is_the_one_of_the_header),
	    TEST(proxy_header_a_byte_at_a_time_before_plain_http),
	    TEST(nothing_behind_a_proxy_header_is_lost),
	    TEST(peers_that_may_not_name_clients_are_closed),
	    TEST(what_is_no_proxy_header_is_closed_and_counted),
	    TEST(knocking_without_a_word_is_not_counted),
	    TEST(hello_a_byte_at_a_time_is_served),
	    TEST(nameless_and_impossible_names_are_refused_alike),
	    TEST(strangers_to_tls_get_an_alert),
	    TEST(refused_client_that_stays_is_closed_soon),
	    TEST(refused_client_cannot_send_for_ever),
	    TEST(silent_client_is_closed_at_the_hello_deadline),
	    TEST(trickle_does_not_move_the_hello_deadline),
	    TEST(stalled_handshake_is_closed_at_its_deadline),
	    TEST(unknown_name_waits_and_is_served_in_place),
	    TEST(a_hundred_waiters_are_one_question_and_all_are_served),
	    TEST(denied_name_is_refused),
	    TEST(trouble_is_an_internal_error),
	    TEST(frozen_broker_ends_in_an_internal_error),
	    TEST(known_refusal_asks_nobody),
	    TEST(waiting_client_that_leaves_frees_its_place),
	    TEST(waiting_client_that_half_closes_has_left),
	    TEST(who_leaves_while_queued_for_its_handshake_harms_nobody),
	    TEST(newest_above_the_waiting_limit_is_shed),
	    TEST(bytes_that_wait_are_bounded),
	    TEST(newest_above_the_connection_limit_is_shed),
	    TEST(live_challenge_is_answered),
	    TEST(challenge_that_is_not_live_is_refused),
	    TEST(challenge_that_cannot_be_looked_up_is_temporary),
	    TEST(acme_among_other_protocols_is_no_challenge),
	    TEST(replies_to_who_has_gone_are_dropped),
	    TEST(drain_ends_http_and_leaves_those_who_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
