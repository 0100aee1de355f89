/* Endpoints are claimed, messages taken and recorded: in order, by one at a time, none lost, none held up by
 * another's trouble. */
#include "acme/webhook/delivery.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "acme/webhook/webhook_upkeep.h"
#include "tests/pg/database.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, ENDPOINTS_MAX = 16 };

static struct error error;
static const struct outcome taken = {
    .delivered = true, .status = 200, .kind = "delivered", .answer = "thanks"};
static const struct outcome refused = {.status = 500, .kind = "status", .error = "It answered 500."};

static void add_webhooks(struct pg *admin, const char *from, const char *to)
{
	database_run(admin,
	    "INSERT INTO webhooks (id, url, secret_sealed, created_by) SELECT i, 'https://hooks.test/' || i,"
	    " 'sealed', 'test' FROM generate_series($1::integer, $2::integer) i",
	    from, to);
}

static void happens(struct pg *pg, const char *name)
{
	database_run(pg,
	    "INSERT INTO domain_events (tenant, name, event, actor) VALUES ('default', $1, 'added', 'x')",
	    name);
}

static size_t claim(struct pg *pg, struct endpoint *out)
{
	size_t count = 0;
	if (endpoint_claim(pg, ENDPOINTS_MAX, out, &count, &error) != R_OK)
		fail_msg("%s", error.text);
	return count;
}

static struct endpoint claim_one(struct pg *pg)
{
	struct endpoint endpoint;
	size_t count = 0;
	if (endpoint_claim(pg, 1, &endpoint, &count, &error) != R_OK || count != 1)
		fail_msg("nothing is claimed: %s", error.text);
	return endpoint;
}

static struct message take(struct pg *pg, const struct endpoint *endpoint)
{
	struct message message;
	enum result result = message_next(pg, endpoint, &message, &error);
	if (result != R_OK)
		fail_msg("no message: %s %s", result_name(result), error.text);
	return message;
}

static enum result record(
    struct pg *pg, struct endpoint *endpoint, struct message *message, const struct outcome *outcome)
{
	bool too_long = false;
	enum result result =
	    delivery_record(pg, endpoint, message, outcome, (int64_t)5 * DAY_MS, &too_long, &error);
	assert_false(too_long);
	message_fini(message);
	return result;
}

static bool is_about(const struct message *message, const char *name)
{
	return strstr(message->body, name) != NULL;
}

static void messages_go_out_in_the_order_of_time(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	static const char *const names[] = {"one.test", "two.test", "three.test"};
	struct endpoint others[ENDPOINTS_MAX];
	struct message message;
	add_webhooks(admin, "1", "1");
	for (size_t i = 0; i < 3; i++)
		happens(admin, names[i]);
	struct endpoint endpoint = claim_one(pg);
	assert_string_equal(endpoint.url, "https://hooks.test/1");
	assert_int_equal(endpoint.secrets[0].size, 6);
	assert_null(endpoint.secrets[1].sealed);
	for (size_t i = 0; i < 3; i++) {
		message = take(pg, &endpoint);
		assert_true(is_about(&message, names[i]));
		assert_int_equal(strncmp(message.id, "msg_", 4), 0);
		assert_int_equal(strlen(message.id), 36);
		assert_int_equal(record(pg, &endpoint, &message, &taken), R_OK);
	}
	assert_int_equal(message_next(pg, &endpoint, &message, &error), R_NONE);
	assert_int_equal(endpoint_release(pg, &endpoint, &error), R_OK);
	assert_string_equal(
	    database_value(admin,
		"SELECT string_agg(DISTINCT state || ' ' || attempts || ' ' || status || ' ' ||"
		" answer, ',') FROM webhook_deliveries"),
	    "delivered 1 200 thanks");
	assert_int_equal(claim(pg, others), 0);
	endpoint_fini(&endpoint);
}

static void an_event_that_commits_late_is_sent_all_the_same(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *late = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	add_webhooks(admin, "1", "1");
	database_run(late, "BEGIN");
	happens(late, "late.test");
	happens(admin, "early.test");
	struct endpoint endpoint = claim_one(pg);
	struct message message = take(pg, &endpoint);
	assert_true(is_about(&message, "early.test"));
	assert_int_equal(record(pg, &endpoint, &message, &taken), R_OK);
	assert_int_equal(message_next(pg, &endpoint, &message, &error), R_NONE);
	database_run(late, "COMMIT");
	message = take(pg, &endpoint);
	assert_true(is_about(&message, "late.test"));
	message_fini(&message);
	endpoint_fini(&endpoint);
}

static void an_endpoint_is_one_process_own_until_its_lease_ends(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *first = database_connect(state, "postern_acme");
	struct pg *second = database_connect(state, "postern_acme");
	struct endpoint others[ENDPOINTS_MAX];
	add_webhooks(admin, "1", "2");
	happens(admin, "shop.test");
	struct endpoint endpoint = claim_one(first);
	struct message message = take(first, &endpoint);
	assert_int_equal(claim(second, others), 1);
	assert_true(others[0].id != endpoint.id);
	assert_int_equal(claim(second, others + 1), 0);
	/* It hangs, and wakes up when the other one has sent the message again. */
	database_run(
	    admin, "UPDATE webhooks SET lease_until = now() - interval '1 s' WHERE lease_owner IS NOT NULL");
	assert_int_equal(claim(second, others + 1), 2);
	assert_int_equal(record(first, &endpoint, &message, &refused), R_LOST);
	assert_int_equal(message_next(first, &endpoint, &message, &error), R_LOST);
	assert_int_equal(endpoint_release(first, &endpoint, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM webhooks WHERE lease_until > now()"), "2");
	assert_string_equal(database_value(admin, "SELECT max(attempts) FROM webhook_deliveries"), "0");
	endpoint_fini(&endpoint);
	for (int i = 0; i < 3; i++)
		endpoint_fini(&others[i]);
}

static void a_dead_endpoint_waits_and_the_others_go_on(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct endpoint endpoints[ENDPOINTS_MAX];
	add_webhooks(admin, "1", "3");
	for (int i = 0; i < 50; i++)
		happens(admin, "shop.test");
	struct endpoint dead = claim_one(pg);
	struct message message = take(pg, &dead);
	assert_int_equal(record(pg, &dead, &message, &refused), R_OK);
	assert_int_equal(claim(pg, endpoints), 2);
	assert_int_equal(claim(pg, endpoints + 2), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(endpoints[i].id != dead.id);
		endpoint_fini(&endpoints[i]);
	}
	assert_string_equal(
	    database_value(admin, "SELECT failures || ' ' || (pause_until > now() + interval '1 s') || ' ' ||"
				  " (failing_since IS NOT NULL) FROM webhooks WHERE failures > 0"),
	    "1 true true");
	/* The pause is over: what was refused has its own time, and holds up nothing. */
	database_run(admin, "UPDATE webhooks SET pause_until = now()");
	endpoint_fini(&dead);
	dead = claim_one(pg);
	message = take(pg, &dead);
	assert_int_equal(message.attempts, 0);
	assert_int_equal(record(pg, &dead, &message, &taken), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM webhooks WHERE failing_since IS NOT NULL"), "0");
	endpoint_fini(&dead);
}

/* Who has much that waits, or lets it be sent again, takes nobody's turn. */
static void endpoints_take_turns(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	int64_t ids[4];
	add_webhooks(admin, "1", "2");
	for (int i = 0; i < 4; i++)
		happens(admin, "shop.test");
	database_run(admin, "UPDATE webhook_deliveries SET next_try_at = to_timestamp(0) WHERE webhook = 1");
	for (int i = 0; i < 4; i++) {
		struct endpoint endpoint = claim_one(pg);
		struct message message = take(pg, &endpoint);
		ids[i] = endpoint.id;
		assert_int_equal(record(pg, &endpoint, &message, &taken), R_OK);
		assert_int_equal(endpoint_release(pg, &endpoint, &error), R_OK);
		endpoint_fini(&endpoint);
	}
	assert_int_equal(ids[0], 1);
	assert_int_equal(ids[1], 2);
	assert_int_equal(ids[2], 1);
	assert_int_equal(ids[3], 2);
}

static void a_message_is_given_up_after_eleven_tries(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	add_webhooks(admin, "1", "1");
	happens(admin, "shop.test");
	for (int i = 0; i < 11; i++) {
		database_run(admin, "UPDATE webhooks SET pause_until = now()");
		database_run(admin, "UPDATE webhook_deliveries SET next_try_at = now()");
		struct endpoint endpoint = claim_one(pg);
		struct message message = take(pg, &endpoint);
		assert_int_equal(message.attempts, i);
		assert_int_equal(record(pg, &endpoint, &message, &refused), R_OK);
		endpoint_fini(&endpoint);
	}
	assert_string_equal(database_value(admin, "SELECT state || ' ' || attempts || ' ' || error FROM "
						  "webhook_deliveries"),
	    "failed 11 It answered 500.");
}

static void an_endpoint_that_fails_for_days_is_switched_off_and_said_to_be(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct endpoint endpoint;
	bool too_long = false;
	add_webhooks(admin, "1", "2");
	database_run(admin, "UPDATE webhooks SET events = '{webhook.*}' WHERE id = 2");
	happens(admin, "shop.test");
	database_run(admin,
	    "UPDATE webhooks SET failures = 9, failing_since = now() - interval '6 days' WHERE id = 1");
	endpoint = claim_one(pg);
	struct message message = take(pg, &endpoint);
	assert_int_equal(
	    delivery_record(pg, &endpoint, &message, &refused, (int64_t)5 * DAY_MS, &too_long, &error), R_OK);
	assert_true(too_long);
	assert_int_equal(endpoint_switch_off(pg, &endpoint, "failing", "nothing was taken", &error), R_OK);
	assert_int_equal(endpoint_switch_off(pg, &endpoint, "failing", "nothing was taken", &error), R_LOST);
	happens(admin, "other.test");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(d.webhook || ' ' || e.type, ', ' ORDER BY d.id) FROM"
				  " webhook_deliveries d JOIN webhook_events e ON e.id = d.event"),
	    "1 domain.added, 2 webhook.disabled");
	assert_string_equal(
	    database_value(admin, "SELECT event || ' ' || actor || ' ' || detail FROM domain_events"
				  " WHERE event LIKE 'webhook%'"),
	    "webhook_disabled issuer webhook 1: nothing was taken");
	assert_int_equal(webhook_upkeep_sweep(pg, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT state || ' ' || error FROM webhook_deliveries WHERE "
				  "webhook = 1"),
	    "failed It answered 500. The webhook is switched off.");
	message_fini(&message);
	endpoint_fini(&endpoint);
}

static void what_its_owner_changes_counts_for_the_next_message(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	static const char *const changes[] = {"UPDATE webhooks SET url = 'https://elsewhere.test/'",
	    "UPDATE webhooks SET secret_version = secret_version + 1", "UPDATE webhooks SET state = 'off'"};
	struct message message;
	add_webhooks(admin, "1", "1");
	happens(admin, "shop.test");
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct endpoint endpoint = claim_one(pg);
		message = take(pg, &endpoint);
		message_fini(&message);
		database_run(admin, changes[i]);
		assert_int_equal(message_next(pg, &endpoint, &message, &error), R_NONE);
		assert_int_equal(endpoint_release(pg, &endpoint, &error), R_OK);
		endpoint_fini(&endpoint);
	}
}

static void what_has_had_its_time_goes(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	add_webhooks(admin, "1", "2");
	happens(admin, "old.test");
	database_run(admin, "UPDATE webhook_events SET at = now() - interval '31 days'");
	happens(admin, "new.test");
	database_run(admin, "UPDATE webhooks SET state = 'removed' WHERE id = 2");
	database_run(admin, "UPDATE webhooks SET former_sealed = 'x', former_until = now() - interval '1 s'");
	assert_int_equal(webhook_upkeep_sweep(pg, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(d.webhook || ' ' || (e.body::jsonb #>>"
				  " '{data,name}'), ',') FROM webhook_deliveries d JOIN webhook_events e"
				  " ON e.id = d.event"),
	    "1 new.test");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM webhook_events"), "1");
	assert_string_equal(
	    database_value(
		admin, "SELECT string_agg(id || COALESCE(former_sealed::text, ''), ',') FROM webhooks"),
	    "1");
	assert_int_equal(webhook_upkeep_show(pg, &error), R_OK);
}

/* More of everything than one statement takes. */
static void a_sweep_keeps_up(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	add_webhooks(admin, "1", "2");
	database_run(admin, "INSERT INTO domain_events (tenant, name, event, actor)"
			    " SELECT 'default', 'shop.test', 'added', 'x' FROM generate_series(1, 2500)");
	database_run(admin, "UPDATE webhooks SET state = CASE id WHEN 1 THEN 'off' ELSE 'removed' END");
	assert_int_equal(webhook_upkeep_sweep(pg, &error), R_OK);
	assert_string_equal(
	    database_value(admin,
		"SELECT count(*) FILTER (WHERE state = 'failed') || ' ' || count(*) FROM webhook_deliveries"),
	    "2500 2500");
	database_run(admin, "UPDATE webhook_events SET at = now() - interval '31 days'");
	assert_int_equal(webhook_upkeep_sweep(pg, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM webhook_events"), "0");
}

/* ---- all at once */

enum { WRITERS = 3, COURIERS = 4, EVENTS = 60 };

struct crowd {
	const char *conninfo;
	atomic_bool stop;
	atomic_int failures;
};

static void *write_events(void *arg)
{
	struct crowd *crowd = arg;
	struct pg *pg = pg_new(crowd->conninfo, "writer");
	bool ok = pg_wait_ready(pg, TEST_WAIT_MS, NULL) == R_OK;
	for (int i = 0; ok && i < EVENTS; i++) {
		ok = pg_query(pg, TEST_WAIT_MS, NULL, NULL, "BEGIN", NULL, 0) == R_OK &&
		     pg_query(pg, TEST_WAIT_MS, NULL, NULL,
			 "INSERT INTO domain_events (tenant, name, event, actor) SELECT 'default', 'n.test', "
			 "'added',"
			 " 'x' FROM generate_series(1, 1 + floor(random() * 2)::integer)",
			 NULL, 0) == R_OK &&
		     pg_query(pg, TEST_WAIT_MS, NULL, NULL, "SELECT pg_sleep(random() / 100)", NULL, 0) ==
			 R_OK &&
		     pg_query(pg, TEST_WAIT_MS, NULL, NULL, "COMMIT", NULL, 0) == R_OK;
	}
	atomic_fetch_add(&crowd->failures, !ok);
	pg_free(pg);
	return NULL;
}

/* One in three messages is refused the first time. */
static void deliver_all(struct crowd *crowd, struct pg *pg, struct endpoint *endpoint)
{
	struct message message;
	bool too_long = false, goes_on = true;
	while (goes_on && message_next(pg, endpoint, &message, NULL) == R_OK) {
		bool refuse = message.attempts == 0 && message.delivery % 3 == 0;
		enum result result = delivery_record(
		    pg, endpoint, &message, refuse ? &refused : &taken, DAY_MS, &too_long, NULL);
		atomic_fetch_add(&crowd->failures, result != R_OK);
		goes_on = !refuse && result == R_OK;
		message_fini(&message);
	}
	endpoint_release(pg, endpoint, NULL);
}

static void *deliver(void *arg)
{
	struct crowd *crowd = arg;
	struct pg *pg = pg_new(crowd->conninfo, "courier");
	bool ok = pg_wait_ready(pg, TEST_WAIT_MS, NULL) == R_OK;
	while (ok && !atomic_load(&crowd->stop)) {
		struct endpoint endpoint;
		size_t count = 0;
		ok = endpoint_claim(pg, 1, &endpoint, &count, NULL) == R_OK;
		if (count == 1) {
			deliver_all(crowd, pg, &endpoint);
			endpoint_fini(&endpoint);
		}
	}
	atomic_fetch_add(&crowd->failures, !ok);
	pg_free(pg);
	return NULL;
}

static void many_at_once_lose_none_and_double_none(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct crowd crowd = {.conninfo = database_conninfo(state, NULL)};
	pthread_t threads[WRITERS + COURIERS];
	add_webhooks(admin, "1", "6");
	for (int i = 0; i < WRITERS + COURIERS; i++)
		assert_int_equal(
		    pthread_create(&threads[i], NULL, i < WRITERS ? write_events : deliver, &crowd), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	/* Pauses and second tries need not be waited for here. */
	for (int i = 0;
	     i < 1000 && strcmp(database_value(admin, "SELECT count(*) FROM webhook_deliveries WHERE state ="
						      " 'waiting'"),
			     "0") != 0;
	     i++) {
		database_run(admin, "UPDATE webhooks SET pause_until = now() WHERE pause_until > now()");
		database_run(admin,
		    "UPDATE webhook_deliveries SET next_try_at = now() WHERE attempts = 1 AND state ="
		    " 'waiting' AND next_try_at > now()");
		database_run(admin, "SELECT pg_sleep(0.01)");
	}
	atomic_store(&crowd.stop, true);
	for (int i = WRITERS; i < WRITERS + COURIERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.failures), 0);
	assert_string_equal(
	    database_value(admin,
		"SELECT count(*) = 6 * (SELECT count(*) FROM domain_events) AND bool_and(state ="
		" 'delivered' AND attempts = CASE WHEN id % 3 = 0 THEN 2 ELSE 1 END)"
		" FROM webhook_deliveries"),
	    "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(messages_go_out_in_the_order_of_time),
	    database_test(an_event_that_commits_late_is_sent_all_the_same),
	    database_test(an_endpoint_is_one_process_own_until_its_lease_ends),
	    database_test(a_dead_endpoint_waits_and_the_others_go_on),
	    database_test(endpoints_take_turns),
	    database_test(a_message_is_given_up_after_eleven_tries),
	    database_test(an_endpoint_that_fails_for_days_is_switched_off_and_said_to_be),
	    database_test(what_its_owner_changes_counts_for_the_next_message),
	    database_test(what_has_had_its_time_goes),
	    database_test(a_sweep_keeps_up),
	    database_test(many_at_once_lose_none_and_double_none),
	};
	return cmocka_run_group_tests_name("webhook_delivery", tests, NULL, NULL);
}
