/*
 * A broker against a database of its own, and a reader for the mailboxes that it answers to: what the tests
 * of the edge's knowing half share. One fixture at a time.
 */
#ifndef TESTS_SUPPORT_EDGE_FIXTURE_H
#define TESTS_SUPPORT_EDGE_FIXTURE_H

#include "tests/pg/database.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "edge/edge_settings.h"
#include "edge/site/broker.h"
#include "tests/support/ask_server.h"
#include "tests/support/certificate.h"

enum { FIXTURE_ARGUMENTS = 16, FIXTURE_REPLIES = 20000, FIXTURE_MAILBOXES = 128 };

static struct edge_fixture {
	struct pg *db; /* superuser */
	char directory[64];
	struct seal_keys *keys;
	struct ask_server *ask_server;
	char *arguments[FIXTURE_ARGUMENTS];
	int argument_count;
	struct settings *settings;
	struct site_cache *cache;
	struct broker *broker;
	struct loop *loop;
	struct mailbox *mailboxes[FIXTURE_MAILBOXES];
	struct broker_reply *replies[FIXTURE_REPLIES];
	size_t reply_count, read_count;
	struct loop_timer guard;
	bool timed_out;
} fixture;

/* ---- mail ---- */

static inline void fixture_deliver(struct message *message, void *receiver)
{
	(void)receiver;
	if (fixture.reply_count == FIXTURE_REPLIES)
		abort();
	fixture.replies[fixture.reply_count++] = (struct broker_reply *)(void *)message;
	loop_stop(fixture.loop);
}

static inline void fixture_on_guard(struct loop_timer *timer)
{
	(void)timer;
	fixture.timed_out = true;
	loop_stop(fixture.loop);
}

static inline const char *fixture_outcome_name(enum broker_outcome outcome)
{
	static const char *const names[] = {"PHASE", "READY", "DENIED", "TEMPORARY"};

	return names[outcome];
}

/* The next reply, in the order they came; the fixture keeps it. */
static inline const struct broker_reply *next_reply(void)
{
	fixture.timed_out = false;
	fixture.guard.on_expire = fixture_on_guard;
	loop_timer_set(fixture.loop, &fixture.guard, TEST_WAIT_MS);
	while (fixture.read_count == fixture.reply_count && !fixture.timed_out)
		loop_run(fixture.loop);
	loop_timer_clear(fixture.loop, &fixture.guard);
	if (fixture.read_count == fixture.reply_count)
		fail_msg("no reply within %d ms", TEST_WAIT_MS);
	return fixture.replies[fixture.read_count++];
}

static inline const struct broker_reply *expect_reply(enum broker_outcome outcome, const char *cause)
{
	const struct broker_reply *reply = next_reply();

	if (reply->outcome != outcome || (cause && (!reply->cause || strcmp(reply->cause, cause) != 0)))
		fail_msg("%s: %s (%s, phase %d) instead of %s (%s)", reply->name.text,
		    fixture_outcome_name(reply->outcome), reply->cause ? reply->cause : "-",
		    (int)reply->phase, fixture_outcome_name(outcome), cause ? cause : "-");
	return reply;
}

static inline void expect_phase(enum broker_phase phase)
{
	const struct broker_reply *reply = expect_reply(BROKER_PHASE, NULL);

	assert_int_equal(reply->phase, phase);
}

static inline void expect_ready(const char *name, int64_t version)
{
	const struct broker_reply *reply = expect_reply(BROKER_READY, NULL);

	assert_string_equal(reply->name.text, name);
	assert_non_null(reply->site);
	assert_int_equal(reply->site->stamp.version, version);
}

static inline void find(const char *name)
{
	broker_find(fixture.broker, fixture.mailboxes[0], name, false);
}

/* ---- rows ---- */

static inline char *hex_of(const struct buf *buf)
{
	const unsigned char *bytes = (const unsigned char *)buf_bytes(buf);
	char *hex = mem_alloc(buf_size(buf) * 2 + 3);

	strcpy(hex, "\\x");
	for (size_t i = 0; i < buf_size(buf); i++)
		snprintf(hex + 2 + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

/* A row as the issuer would write it, of parts that need not fit each other. */
static inline void store_row(
    const char *name, int64_t version, const char *pem, const EVP_PKEY *key, const char *sealed_for)
{
	const struct seal_place place = {.kind = "certificate_key", .name = sealed_for, .version = version};
	struct buf plain, sealed;
	struct error error;
	char number[24];

	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	buf_init(&sealed, SEAL_PLAINTEXT_MAX);
	if (certificate_key_export(key, &plain, &error) != R_OK ||
	    seal_bytes(fixture.keys, &place, buf_bytes(&plain), buf_size(&plain), &sealed, &error) != R_OK)
		fail_msg("%s", error.text);
	char *hex = hex_of(&sealed);
	database_run(fixture.db,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at) VALUES ($1, $2, $3, $4, 'id', 'Test', '00', 'test', now(), "
	    "now(), now())"
	    " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version, chain_pem = EXCLUDED.chain_pem,"
	    " key_sealed = EXCLUDED.key_sealed",
	    name, pg_int_text(number, version), pem, hex);
	free(hex);
	buf_fini(&plain);
	buf_fini(&sealed);
}

static inline void store_certificate(const char *name, int64_t version)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;

	test_make_certificate(name, -60, 3600, &key, pem);
	store_row(name, version, pem, key, name);
	EVP_PKEY_free(key);
}

/* A row whose chain ends in the middle. */
static inline void store_truncated(const char *name, int64_t version)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;

	test_make_certificate(name, -60, 3600, &key, pem);
	pem[strlen(pem) / 2] = '\0';
	store_row(name, version, pem, key, name);
	EVP_PKEY_free(key);
}

static inline void add_domain(const char *name, const char *status)
{
	database_run(fixture.db,
	    "INSERT INTO domains (tenant, name, status, token) VALUES ('default', $1, $2, $3)", name, status,
	    "0123456789abcdef0123456789abcdef");
}

static inline const char *job_of(const char *name)
{
	return database_value(
	    fixture.db, "SELECT state || ' ' || reason FROM issuance_jobs WHERE name = $1", name);
}

/* Notifications of changes are lost from here on. */
static inline void lose_notifications(void)
{
	database_run(fixture.db, "ALTER TABLE certificates DISABLE TRIGGER USER");
	database_run(fixture.db, "ALTER TABLE domains DISABLE TRIGGER USER");
	database_run(fixture.db, "ALTER TABLE issuance_jobs DISABLE TRIGGER USER");
}

/* ---- the database's moods ---- */

static inline void end_connections(const char *application)
{
	database_run(fixture.db,
	    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1"
	    " AND datname = current_database()",
	    application);
}

/* The edge's role can neither go on nor log in. */
static inline void take_database_away(void)
{
	database_run(fixture.db, "ALTER ROLE postern_edge NOLOGIN");
	end_connections("postern-edge");
	end_connections("postern-edge-listen");
	end_connections("postern-edge-challenges");
}

static inline void bring_database_back(void)
{
	database_run(fixture.db, "ALTER ROLE postern_edge LOGIN");
}

/* Every look at certificates hangs until the end of the transaction. */
static inline void make_database_silent(void)
{
	database_run(fixture.db, "BEGIN");
	database_run(fixture.db, "LOCK TABLE certificates, challenges IN ACCESS EXCLUSIVE MODE");
}

static inline void let_database_speak(void)
{
	database_run(fixture.db, "ROLLBACK");
}

/* ---- start and end ---- */

static inline void add_argument(const char *name, const char *value)
{
	assert_true(fixture.argument_count < FIXTURE_ARGUMENTS);
	if (asprintf(&fixture.arguments[fixture.argument_count++], "--%s=%s", name, value) < 0)
		abort();
}

/* Before start_broker; the settings a test wants otherwise come after it, and win. */
static inline void fixture_arguments(void **state)
{
	char path[128], url[128];

	snprintf(path, sizeof path, "%s/seal.key", fixture.directory);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/ask", fixture.ask_server->port);
	fixture.arguments[fixture.argument_count++] = mem_string("postern-edge");
	add_argument("database", database_conninfo(state, "postern_edge"));
	add_argument("seal-key-file", path);
	add_argument("upstream", "http://127.0.0.1:1");
	add_argument("ask-url", url);
	add_argument("cache-max-age", "1h");
}

static inline int fixture_setup(void **state)
{
	struct error error;
	char path[128];

	database_setup(state);
	fixture.db = database_connect(state, NULL);
	bring_database_back();
	strcpy(fixture.directory, "/tmp/postern-broker.XXXXXX");
	assert_non_null(mkdtemp(fixture.directory));
	snprintf(path, sizeof path, "%s/seal.key", fixture.directory);
	if (seal_key_create(path, &error) != R_OK ||
	    seal_keys_load_secret(&fixture.keys, path, &error) != R_OK)
		fail_msg("%s", error.text);
	fixture.ask_server = ask_server_start(200);
	fixture_arguments(state);
	fixture.loop = loop_new();
	for (int i = 0; i < FIXTURE_MAILBOXES; i++)
		fixture.mailboxes[i] = mailbox_new(fixture.loop, NULL);
	fixture.cache = site_cache_new(16 * 1024 * 1024, 65536);
	return 0;
}

static inline void load_settings(void)
{
	struct error error;

	if (settings_load(
		&fixture.settings, &edge_settings, fixture.argument_count, fixture.arguments, &error) != R_OK)
		fail_msg("%s", error.text);
}

static inline bool is_ready(void)
{
	char reason[600];

	return broker_is_ready(fixture.broker, reason, sizeof reason);
}

static inline void wait_until(bool (*holds)(void), const char *what)
{
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;

	while (!holds()) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("never came true: %s", what);
		poll(NULL, 0, 5);
	}
}

static inline void start_broker_unready(void)
{
	struct error error;

	load_settings();
	const struct broker_config config = {.settings = fixture.settings,
	    .keys = fixture.keys,
	    .cache = fixture.cache,
	    .deliver = fixture_deliver};
	if (broker_new(&fixture.broker, &config, &error) != R_OK)
		fail_msg("%s", error.text);
}

/* Says that a name changed, until the broker has heard it. */
static inline bool hears_notifications(void)
{
	static const char probe[] = "probe.example.org";

	database_run(fixture.db, "SELECT pg_notify('postern_site', $1)", probe);
	return site_cache_epoch(fixture.cache, probe) > 0;
}

/* With its listener listening, so that a test's notification finds it. */
static inline void start_broker(void)
{
	start_broker_unready();
	wait_until(is_ready, "broker_is_ready");
	wait_until(hears_notifications, "the broker hears a notification");
}

static inline int fixture_teardown(void **state)
{
	char path[128];

	broker_free(fixture.broker);
	for (int i = 0; i < FIXTURE_MAILBOXES; i++)
		mailbox_free(fixture.mailboxes[i]);
	loop_free(fixture.loop);
	for (size_t i = 0; i < fixture.reply_count; i++) {
		site_unref(fixture.replies[i]->site);
		free(fixture.replies[i]);
	}
	site_cache_free(fixture.cache);
	settings_free(fixture.settings);
	ask_server_stop(fixture.ask_server);
	seal_keys_free(fixture.keys);
	for (int i = 0; i < fixture.argument_count; i++)
		free(fixture.arguments[i]);
	snprintf(path, sizeof path, "%s/seal.key", fixture.directory);
	unlink(path);
	strcat(path, ".pub");
	unlink(path);
	rmdir(fixture.directory);
	pg_rollback(fixture.db);
	bring_database_back();
	memset(&fixture, 0, sizeof fixture);
	return database_teardown(state);
}

#define broker_test(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
