/* What a webhook's owner does by the API's statements: whose it is, its secret, its log. */
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/webhook/delivery.h"
#include "common/seal/seal.h"
#include "tests/pg/database.h"
#include "verifier/webhook/webhook.h"
#include "verifier/webhook/webhook_log.h"

#define ROLE "postern_verifier"

static struct error last;
static const struct scope operator_scope = {.actor = "admin-token", .remote = "192.0.2.7"};
static const struct scope brand_scope = {.tenant = "brand", .actor = "token:1", .remote = "192.0.2.8"};
static const struct scope other_scope = {.tenant = "other", .actor = "token:2", .remote = "192.0.2.9"};
static char secret[WEBHOOK_SECRET_SIZE];

/* The issuer's half and the verifier's. */
struct keys {
	char directory[32];
	struct seal_keys *secret, *public;
};

static void keys_open(struct keys *keys)
{
	char path[64], public[80];
	strcpy(keys->directory, "/tmp/webhook_owner.XXXXXX");
	assert_non_null(mkdtemp(keys->directory));
	snprintf(path, sizeof path, "%s/key", keys->directory);
	snprintf(public, sizeof public, "%s.pub", path);
	assert_int_equal(seal_key_create(path, &last), R_OK);
	assert_int_equal(seal_keys_load_secret(&keys->secret, path, &last), R_OK);
	assert_int_equal(seal_keys_load_public(&keys->public, public, &last), R_OK);
	unlink(public);
	unlink(path);
	rmdir(keys->directory);
}

static void keys_close(struct keys *keys)
{
	seal_keys_free(keys->secret);
	seal_keys_free(keys->public);
}

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static struct pg *prepare(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	database_run(admin, "INSERT INTO tenants (id) VALUES ('brand'), ('other')");
	return admin;
}

static enum result add(
    struct pg *pg, const struct keys *keys, const struct scope *scope, const char *tenant, int64_t *id)
{
	const struct webhook_values values = {.tenant = tenant, .url = "https://hooks.brand.test/"};
	return webhook_add(pg, scope, keys->public, &values, secret, id, &last);
}

static bool sees(struct pg *pg, const struct scope *scope, int64_t id)
{
	PGresult *rows = NULL;
	ok(webhook_show(pg, scope, id, &rows, &last));
	bool is_there = PQntuples(rows) == 1;
	PQclear(rows);
	return is_there;
}

static int count_of(struct pg *pg, const struct scope *scope)
{
	PGresult *rows = NULL;
	ok(webhook_list(pg, scope, NULL, 0, 100, &rows, &last));
	int count = PQntuples(rows);
	PQclear(rows);
	return count;
}

static void a_webhook_is_its_tenants_and_nobody_elses(void **state)
{
	struct pg *admin = prepare(state), *pg = database_connect(state, ROLE);
	const struct webhook_values off = {.is_on = "f"};
	struct keys keys;
	int64_t brands = 0, operators = 0, id = 0;
	keys_open(&keys);
	ok(add(pg, &keys, &brand_scope, "brand", &brands));
	ok(add(pg, &keys, &operator_scope, NULL, &operators));
	assert_int_equal(add(pg, &keys, &brand_scope, NULL, &id), R_DENIED);
	assert_int_equal(add(pg, &keys, &brand_scope, "other", &id), R_DENIED);
	assert_int_equal(add(pg, &keys, &operator_scope, "nobody", &id), R_NONE);
	assert_true(sees(pg, &brand_scope, brands));
	assert_false(sees(pg, &other_scope, brands));
	assert_false(sees(pg, &brand_scope, operators));
	assert_int_equal(count_of(pg, &operator_scope), 2);
	assert_int_equal(count_of(pg, &brand_scope), 1);
	assert_int_equal(count_of(pg, &other_scope), 0);
	for (int i = 0; i < 2; i++) {
		const struct scope *scope = i ? &brand_scope : &other_scope;
		int64_t target = i ? operators : brands;
		assert_int_equal(webhook_change(pg, scope, target, &off, &last), R_NONE);
		assert_int_equal(webhook_remove(pg, scope, target, &last), R_NONE);
		assert_int_equal(
		    webhook_turn_secret(pg, scope, keys.public, target, 60, secret, &last), R_NONE);
		assert_int_equal(webhook_log_test(pg, scope, target, &id, &last), R_NONE);
		assert_int_equal(webhook_log_again(pg, scope, target, 1, &id, &last), R_NONE);
	}
	ok(webhook_remove(pg, &brand_scope, brands, &last));
	assert_false(sees(pg, &operator_scope, brands));
	assert_int_equal(webhook_remove(pg, &brand_scope, brands, &last), R_NONE);
	assert_string_equal(database_value(admin,
				"SELECT string_agg(event || ' ' || tenant || ' ' || actor, ', ' ORDER BY id)"
				" FROM domain_events"),
	    "webhook_created brand token:1, webhook_created  admin-token, webhook_removed brand token:1");
	keys_close(&keys);
}

/* ---- secrets */

static void assert_opens(const struct keys *keys, const struct endpoint *endpoint, int at, const char *text)
{
	char name[24], shown[WEBHOOK_SECRET_SIZE] = "whsec_";
	struct buf plain;
	snprintf(name, sizeof name, "%lld", (long long)endpoint->id);
	const struct seal_place place = {"webhook_secret", name, endpoint->secrets[at].version};
	buf_init(&plain, 64);
	assert_non_null(endpoint->secrets[at].sealed);
	if (seal_open(keys->secret, &place, endpoint->secrets[at].sealed, endpoint->secrets[at].size, &plain,
		&last))
		fail_msg("%s", last.text);
	EVP_EncodeBlock(
	    (unsigned char *)shown + 6, (const unsigned char *)buf_bytes(&plain), (int)buf_size(&plain));
	assert_string_equal(shown, text);
	buf_wipe(&plain);
}

static struct endpoint claim(struct pg *admin, struct pg *acme)
{
	struct endpoint endpoint;
	size_t count = 0;
	database_run(admin, "UPDATE webhooks SET lease_until = NULL");
	ok(endpoint_claim(acme, 1, &endpoint, &count, &last));
	assert_int_equal(count, 1);
	return endpoint;
}

static void secret_is_the_issuers_to_open_and_the_former_one_too_for_a_while(void **state)
{
	struct pg *admin = prepare(state), *pg = database_connect(state, ROLE);
	struct pg *acme = database_connect(state, "postern_acme");
	struct keys keys;
	char first[WEBHOOK_SECRET_SIZE];
	int64_t id = 0, delivery = 0;
	keys_open(&keys);
	ok(add(pg, &keys, &brand_scope, "brand", &id));
	strcpy(first, secret);
	assert_int_equal(strlen(first), 50);
	ok(webhook_log_test(pg, &brand_scope, id, &delivery, &last));
	struct endpoint endpoint = claim(admin, acme);
	assert_opens(&keys, &endpoint, 0, first);
	assert_null(endpoint.secrets[1].sealed);
	endpoint_fini(&endpoint);

	ok(webhook_turn_secret(pg, &brand_scope, keys.public, id, 3600, secret, &last));
	assert_string_not_equal(secret, first);
	endpoint = claim(admin, acme);
	assert_opens(&keys, &endpoint, 0, secret);
	assert_opens(&keys, &endpoint, 1, first);
	endpoint_fini(&endpoint);

	ok(webhook_turn_secret(pg, &brand_scope, keys.public, id, 0, secret, &last));
	endpoint = claim(admin, acme);
	assert_opens(&keys, &endpoint, 0, secret);
	assert_null(endpoint.secrets[1].sealed);
	endpoint_fini(&endpoint);
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*) FROM webhooks w WHERE w::text LIKE '%' || $1 || '%'", secret + 6),
	    "0");
	/* The function looks whose it is by itself, too, and takes a version once. */
	assert_string_equal(
	    database_value(pg, "SELECT webhook_rotate('other', id, secret_version, 'x', 1) FROM webhooks"),
	    "f");
	assert_string_equal(
	    database_value(
		pg, "SELECT webhook_rotate('brand', id, secret_version - 1, 'x', 1) FROM webhooks"),
	    "f");
	database_refused(pg, "42501", "SELECT secret_sealed FROM webhooks");
	database_refused(pg, "42501", "SELECT former_sealed FROM webhooks");
	keys_close(&keys);
}

/* ---- quota */

struct adder {
	const char *conninfo;
	const struct keys *keys;
	pthread_t thread;
	int added, refused;
};

static void *add_many(void *arg)
{
	struct adder *adder = arg;
	char text[WEBHOOK_SECRET_SIZE];
	int64_t id = 0;
	struct pg *pg = pg_new(adder->conninfo, "adder");
	const struct webhook_values values = {.tenant = "brand", .url = "https://hooks.brand.test/"};
	bool is_ready = pg_wait_ready(pg, TEST_WAIT_MS, NULL) == R_OK;
	for (int i = 0; is_ready && i < 5; i++) {
		enum result result =
		    webhook_add(pg, &brand_scope, adder->keys->public, &values, text, &id, NULL);
		adder->added += result == R_OK;
		adder->refused += result == R_LIMIT;
	}
	pg_free(pg);
	return NULL;
}

static void ten_are_the_most_however_many_come_at_once(void **state)
{
	struct pg *admin = prepare(state), *pg = database_connect(state, ROLE);
	struct adder adders[4];
	struct keys keys;
	int64_t id = 0;
	int added = 0, refused = 0;
	keys_open(&keys);
	for (int i = 0; i < 4; i++) {
		adders[i] = (struct adder){.conninfo = database_conninfo(state, ROLE), .keys = &keys};
		assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(adders[i].thread, NULL);
		added += adders[i].added;
		refused += adders[i].refused;
	}
	assert_int_equal(added, WEBHOOKS_MAX);
	assert_int_equal(refused, 20 - WEBHOOKS_MAX);
	ok(add(pg, &keys, &other_scope, "other", &id));
	ok(add(pg, &keys, &operator_scope, NULL, &id));
	database_run(
	    admin, "UPDATE webhooks SET state = 'removed' WHERE id = (SELECT min(id) FROM webhooks)");
	ok(add(pg, &keys, &brand_scope, "brand", &id));
	keys_close(&keys);
}

/* ---- what its owner changes and asks for */

static const char *standing(struct pg *admin)
{
	return database_value(admin, "SELECT state || ' ' || COALESCE(off_reason, '-') || ' ' || failures || "
				     "' ' || (pause_until > now())"
				     " FROM webhooks");
}

static void one_that_is_switched_on_again_begins_without_failures(void **state)
{
	struct pg *admin = prepare(state), *pg = database_connect(state, ROLE);
	const struct webhook_values on = {.is_on = "t"}, off = {.is_on = "f"},
				    labelled = {.label = "shop", .events = "{domain.*}"},
				    moved = {.url = "https://hooks.other.test/", .clears_label = true};
	struct keys keys;
	int64_t id = 0;
	keys_open(&keys);
	ok(add(pg, &keys, &brand_scope, "brand", &id));
	database_run(admin,
	    "UPDATE webhooks SET state = 'off', off_reason = 'failing', failures = 12, failing_since ="
	    " now(), pause_until = now() + interval '1 h'");
	ok(webhook_change(pg, &brand_scope, id, &off, &last));
	assert_string_equal(standing(admin), "off failing 12 true");
	ok(webhook_change(pg, &brand_scope, id, &on, &last));
	assert_string_equal(standing(admin), "on - 0 false");
	database_run(admin, "UPDATE webhooks SET failures = 3, pause_until = now() + interval '1 h'");
	ok(webhook_change(pg, &brand_scope, id, &labelled, &last));
	assert_string_equal(standing(admin), "on - 3 true");
	ok(webhook_change(pg, &brand_scope, id, &moved, &last));
	assert_string_equal(standing(admin), "on - 0 false");
	assert_string_equal(
	    database_value(
		admin, "SELECT url || ' ' || COALESCE(label, '-') || ' ' || events::text FROM webhooks"),
	    "https://hooks.other.test/ - {domain.*}");
	ok(webhook_change(pg, &brand_scope, id, &off, &last));
	assert_string_equal(standing(admin), "off asked 0 false");
	keys_close(&keys);
}

static void what_is_asked_for_goes_first(void **state)
{
	struct pg *admin = prepare(state), *pg = database_connect(state, ROLE);
	struct pg *acme = database_connect(state, "postern_acme");
	struct keys keys;
	struct message message;
	int64_t id = 0, old = 0, test = 0, again = 0;
	keys_open(&keys);
	ok(add(pg, &keys, &brand_scope, "brand", &id));
	for (int i = 0; i < 3; i++)
		database_run(admin,
		    "INSERT INTO domain_events (tenant, name, event, actor) VALUES ('brand', 'a.test',"
		    " 'added', 'x')");
	old = strtoll(database_value(admin, "SELECT max(id) FROM webhook_deliveries"), NULL, 10);
	database_run(admin, "UPDATE webhooks SET pause_until = now() + interval '1 h'");
	ok(webhook_log_test(pg, &brand_scope, id, &test, &last));
	struct endpoint endpoint = claim(admin, acme);
	ok(message_next(acme, &endpoint, &message, &last));
	assert_int_equal(message.delivery, test);
	assert_non_null(strstr(message.body, "webhook.test"));
	message_fini(&message);
	/* One that waits is hurried; one that is done is sent anew, with the same message. */
	ok(webhook_log_again(pg, &brand_scope, id, old, &again, &last));
	assert_int_equal(again, old);
	database_run(admin, "UPDATE webhook_deliveries SET state = 'failed', next_try_at = NULL");
	ok(webhook_log_again(pg, &brand_scope, id, old, &again, &last));
	assert_true(again > test);
	assert_string_equal(
	    database_value(admin,
		"SELECT count(*) FROM webhook_deliveries a JOIN webhook_deliveries b USING (event)"
		" WHERE a.id < b.id AND b.state = 'waiting'"),
	    "1");
	assert_int_equal(webhook_log_again(pg, &brand_scope, id, 999, &again, &last), R_NONE);
	database_run(admin, "UPDATE webhooks SET state = 'off'");
	assert_int_equal(webhook_log_test(pg, &brand_scope, id, &test, &last), R_NONE);
	assert_int_equal(webhook_log_again(pg, &brand_scope, id, old, &again, &last), R_NONE);
	endpoint_fini(&endpoint);
	keys_close(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(a_webhook_is_its_tenants_and_nobody_elses),
	    database_test(secret_is_the_issuers_to_open_and_the_former_one_too_for_a_while),
	    database_test(ten_are_the_most_however_many_come_at_once),
	    database_test(one_that_is_switched_on_again_begins_without_failures),
	    database_test(what_is_asked_for_goes_first),
	};
	return cmocka_run_group_tests_name("webhook_owner", tests, NULL, NULL);
}
