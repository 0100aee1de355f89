/* Claims, checks and owners in a real database, as the verifier's own role: one owner whoever races, and no
 * state that changes on anything but proof. */
#include "verifier/claim/domain.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"
#include "verifier/access/session.h"
#include "verifier/claim/schedule.h"

#define NAME "shop.brand.test"
#define ROLE "postern_verifier"

static struct error last;
static const unsigned char admin_hash[SESSION_ADMIN_HASH] =
    "the hash of an admin token"; /* of the test's own thread */

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static const struct scope everybody = {.actor = "test", .remote = "192.0.2.7"};
static const struct claim_rules rules = {
    .pre_issue = true, .reverify_s = 86400, .quarantine_s = 7 * 86400, .quota = -1, .verifications = -1};

static enum domain_added add_as(
    struct pg *pg, const struct scope *scope, int quota, const char *tenant, const char *name)
{
	struct domain_new claim = {.options = NULL};
	enum domain_added outcome = DOMAIN_OWNED;
	snprintf(claim.tenant, sizeof claim.tenant, "%s", tenant);
	snprintf(claim.name, sizeof claim.name, "%s", name);
	ok(domain_add(pg, scope, quota, &claim, 1, &outcome, &last));
	return outcome;
}

static void add(struct pg *pg, const char *tenant, const char *name)
{
	assert_int_equal(add_as(pg, &everybody, -1, tenant, name), DOMAIN_ADDED);
}

static struct domain_claim claim_of(struct pg *pg, const char *tenant, const char *name)
{
	PGresult *rows = NULL;
	struct domain_view view;
	struct domain_claim claim;
	ok(domain_find(pg, &everybody, tenant, name, false, &rows, &last));
	assert_int_equal(PQntuples(rows), 1);
	domain_view_read(rows, 0, &view);
	ok(domain_claim(pg, &everybody, view.id, &claim, &last));
	PQclear(rows);
	return claim;
}

static enum domain_settled settle_as(struct pg *pg, const struct domain_claim *claim,
    const struct domain_verdict *verdict, const struct claim_rules *by)
{
	struct domain_verdict whole = *verdict;
	enum domain_settled settled = DOMAIN_IS_LOST;
	whole.found = (char *)"{}";
	whole.by = verdict->by ? verdict->by : "api";
	ok(domain_settle(pg, &everybody, claim, &whole, by, &settled, &last));
	return settled;
}

static enum domain_settled settle(
    struct pg *pg, const struct domain_claim *claim, enum txt_outcome txt, enum routing routing)
{
	const struct domain_verdict verdict = {
	    .txt = txt, .routing = routing, .rival = TXT_TEMPORARY, .detail = "d"};
	return settle_as(pg, claim, &verdict, &rules);
}

static const char *status_of(struct pg *admin, const char *tenant)
{
	return database_value(admin,
	    "SELECT coalesce(string_agg(status, ',' ORDER BY id), '') FROM domains WHERE tenant = $1",
	    tenant);
}

static void claim_is_added_once_with_a_long_token(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM tenants WHERE id = 'brand'"), "1");
	assert_string_equal(database_value(admin, "SELECT token ~ '^[0-9a-f]{32}$' FROM domains"), "t");
	char first[64];
	snprintf(first, sizeof first, "%s", database_value(admin, "SELECT token FROM domains"));
	assert_int_equal(add_as(pg, &everybody, -1, "brand", NAME), DOMAIN_EXISTS);
	assert_string_equal(database_value(admin, "SELECT token FROM domains"), first);
	add(pg, "other", NAME);
	assert_string_equal(database_value(admin, "SELECT count(DISTINCT token) FROM domains"), "2");
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domain_events WHERE event = 'added'"), "2");
}

static void proof_makes_it_active_and_orders_a_certificate(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	bool allowed = true;
	add(pg, "brand", NAME);
	ok(domains_are_allowed(pg, 1000, (const char *[]){NAME}, 1, &allowed, &last));
	assert_false(allowed);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_string_equal(status_of(admin, "brand"), "active");
	ok(domains_are_allowed(pg, 1000, (const char *[]){NAME}, 1, &allowed, &last));
	assert_true(allowed);
	assert_string_equal(
	    database_value(admin, "SELECT state || ' ' || reason FROM issuance_jobs WHERE name = $1", NAME),
	    "queued pre_issue");
	assert_string_equal(database_value(admin, "SELECT next_check_at > now() + interval '20 hours' AND "
						  "check_lease_until IS NULL FROM domains"),
	    "t");
	assert_string_equal(
	    database_value(admin, "SELECT outcome || checked_by FROM domain_checks"), "verifiedapi");
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domain_events WHERE event = 'verified'"), "1");
}

static void nothing_but_proof_makes_a_claim_active(void **state)
{
	static const enum txt_outcome weak[] = {TXT_ABSENT, TXT_MISMATCH, TXT_TEMPORARY, TXT_BOGUS};
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
		assert_int_equal(settle(pg, &claim, weak[i], ROUTING_HERE), DOMAIN_SETTLED);
		assert_string_equal(status_of(admin, "brand"), "pending");
	}
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_UNKNOWN), DOMAIN_VERIFIED);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM domain_checks"), "5");
}

static void check_of_an_older_token_is_kept_and_decides_nothing(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	database_run(admin, "UPDATE domains SET token = repeat('f', 32)");
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_HERE), DOMAIN_IS_LOST);
	assert_string_equal(status_of(admin, "brand"), "pending");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM domain_checks"), "1");
	assert_int_equal(domain_remove(pg, &everybody, claim.id, NULL), R_OK);
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_HERE), DOMAIN_IS_LOST);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void second_owner_is_denied_and_his_check_kept(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "first", NAME);
	add(pg, "second", NAME);
	struct domain_claim first = claim_of(pg, "first", NAME), second = claim_of(pg, "second", NAME);
	assert_int_equal(settle(pg, &first, TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(settle(pg, &second, TXT_VERIFIED, ROUTING_HERE), DOMAIN_IS_OWNED);
	assert_string_equal(status_of(admin, "second"), "pending");
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domain_checks WHERE outcome = 'verified'"), "2");
	assert_string_equal(
	    database_value(admin, "SELECT next_check_at > now() FROM domains WHERE tenant = 'second'"), "t");
}

struct racer {
	struct pg *pg;
	struct domain_claim claim;
	pthread_barrier_t *barrier;
	enum result result;
	enum domain_settled settled;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	struct domain_verdict verdict = {.txt = TXT_VERIFIED, .found = (char *)"{}", .by = "api"};
	pthread_barrier_wait(racer->barrier);
	racer->result =
	    domain_settle(racer->pg, &everybody, &racer->claim, &verdict, &rules, &racer->settled, NULL);
	return NULL;
}

static void of_tenants_that_race_one_owns_the_name(void **state)
{
	enum { RACERS = 2, ROUNDS = 1000 };
	struct pg *admin = database_connect(state, NULL);
	struct racer racers[RACERS];
	pthread_barrier_t barrier;
	pthread_barrier_init(&barrier, NULL, RACERS);
	for (int i = 0; i < RACERS; i++)
		racers[i] = (struct racer){.pg = database_connect(state, ROLE), .barrier = &barrier};
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[RACERS];
		char name[40], tenant[16];
		snprintf(name, sizeof name, "shop%d.brand.test", round);
		for (int i = 0; i < RACERS; i++) {
			snprintf(tenant, sizeof tenant, "t%d", i);
			add(racers[i].pg, tenant, name);
			racers[i].claim = claim_of(racers[i].pg, tenant, name);
		}
		for (int i = 0; i < RACERS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
		int owners = 0, denied = 0;
		for (int i = 0; i < RACERS; i++) {
			pthread_join(threads[i], NULL);
			assert_int_equal(racers[i].result, R_OK);
			owners += racers[i].settled == DOMAIN_VERIFIED;
			denied += racers[i].settled == DOMAIN_IS_OWNED;
		}
		assert_int_equal(owners, 1);
		assert_int_equal(denied, RACERS - 1);
	}
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domains WHERE status = 'active'"), "1000");
	pthread_barrier_destroy(&barrier);
}

static void owner_is_released_and_a_claim_deleted(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	bool allowed = true;
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(domain_remove(pg, &everybody, claim.id, NULL), R_OK);
	assert_string_equal(status_of(admin, "brand"), "released");
	ok(domains_are_allowed(pg, 1000, (const char *[]){NAME}, 1, &allowed, &last));
	assert_false(allowed);
	assert_int_equal(domain_remove(pg, &everybody, claim.id, NULL), R_NONE);
	add(pg, "brand", NAME);
	assert_string_equal(status_of(admin, "brand"), "released,pending");
	struct domain_claim again = claim_of(pg, "brand", NAME);
	assert_string_not_equal(again.token, claim.token);
	assert_int_equal(domain_remove(pg, &everybody, again.id, NULL), R_OK);
	assert_string_equal(status_of(admin, "brand"), "released");
}

static void due_claims_are_taken_by_one_only(void **state)
{
	enum { DOMAINS = 10 };
	struct pg *one = database_connect(state, ROLE), *two = database_connect(state, ROLE);
	struct pg *admin = database_connect(state, NULL);
	struct domain_claim claims[DOMAINS];
	int count = 0;
	for (int i = 0; i < DOMAINS; i++) {
		char name[40];
		snprintf(name, sizeof name, "shop%d.brand.test", i);
		add(one, "brand", name);
	}
	ok(domain_claim_due(one, 4, claims, &count, &last));
	assert_int_equal(count, 4);
	ok(domain_claim_due(two, DOMAINS, claims, &count, &last));
	assert_int_equal(count, 6);
	ok(domain_claim_due(two, DOMAINS, claims, &count, &last));
	assert_int_equal(count, 0);
	database_run(admin, "UPDATE domains SET check_lease_until = now() - interval '1 second' WHERE name = "
			    "'shop3.brand.test'");
	ok(domain_claim_due(two, DOMAINS, claims, &count, &last));
	assert_int_equal(count, 1);
	assert_string_equal(claims[0].name, "shop3.brand.test");
	database_run(admin, "UPDATE domains SET check_lease_until = NULL, status = 'suspended'");
	ok(domain_claim_due(two, DOMAINS, claims, &count, &last));
	assert_int_equal(count, 0);
}

static void claim_locked_by_somebody_else_is_passed_over(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_claim claims[2];
	int count = 0;
	add(pg, "brand", NAME);
	add(pg, "brand", "other.brand.test");
	database_run(admin, "BEGIN");
	database_run(admin, "SELECT 1 FROM domains WHERE name = $1 FOR UPDATE", NAME);
	ok(domain_claim_due(pg, 2, claims, &count, &last));
	assert_int_equal(count, 1);
	assert_string_equal(claims[0].name, "other.brand.test");
	database_run(admin, "ROLLBACK");
}

/* Checked by the poller, a claim comes back later and later, and at last no more; a click starts anew. */
static void schedule_goes_on_and_ends_and_restarts(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	static const char seconds_sql[] =
	    "SELECT round(extract(epoch FROM next_check_at - now()))::text FROM domains";
	struct domain_verdict verdict = {
	    .txt = TXT_ABSENT, .routing = ROUTING_ELSEWHERE, .found = (char *)"{}", .by = "poller"};
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	settle_as(pg, &claim, &verdict, &rules);
	assert_string_equal(database_value(admin, seconds_sql), "15");
	assert_string_equal(database_value(admin, "SELECT checks FROM domains"), "1");
	claim.checks = 300;
	settle_as(pg, &claim, &verdict, &rules);
	assert_string_equal(database_value(admin, seconds_sql), "3600");
	claim.checks = 2000;
	settle_as(pg, &claim, &verdict, &rules);
	assert_string_equal(database_value(admin, "SELECT next_check_at IS NULL FROM domains"), "t");
	claim = claim_of(pg, "brand", NAME);
	assert_int_equal(claim.checks, 0);
	assert_int_equal(settle(pg, &claim, TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_string_equal(database_value(admin, seconds_sql), "15");
}

static void active_name_is_watched_until_it_points_here(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_VERIFIED);
	assert_string_equal(
	    database_value(admin, "SELECT status || points_here FROM domains"), "activefalse");
	assert_string_equal(database_value(admin, "SELECT next_check_at > now() FROM domains"), "t");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
	/* The TXT record may be gone by then: ownership was proven. */
	assert_int_equal(settle(pg, &claim, TXT_ABSENT, ROUTING_HERE), DOMAIN_SETTLED);
	assert_string_equal(database_value(admin, "SELECT status FROM domains"), "active");
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "queued");
}

static void routing_that_is_unknown_keeps_what_was_seen(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	assert_int_equal(settle(pg, &claim, TXT_ABSENT, ROUTING_HERE), DOMAIN_SETTLED);
	assert_int_equal(settle(pg, &claim, TXT_TEMPORARY, ROUTING_UNKNOWN), DOMAIN_SETTLED);
	assert_string_equal(database_value(admin, "SELECT points_here FROM domains"), "t");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void no_certificate_is_ordered_without_need_or_against_the_setting(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_verdict verdict = {
	    .txt = TXT_VERIFIED, .routing = ROUTING_HERE, .found = (char *)"{}", .by = "api"};
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	struct claim_rules without = rules;
	without.pre_issue = false;
	settle_as(pg, &claim, &verdict, &without);
	assert_string_equal(status_of(admin, "brand"), "active");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
	database_run(admin,
	    "INSERT INTO certificates VALUES ($1, 1, '', '', '', 'i', 's', 'd', now(), now() + interval '9 "
	    "days', now())",
	    NAME);
	settle_as(pg, &claim, &verdict, &rules);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void certificate_shows_with_its_owner_only(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_view view;
	PGresult *rows = NULL;
	add(pg, "owner", NAME);
	add(pg, "stranger", NAME);
	struct domain_claim claim = claim_of(pg, "owner", NAME);
	assert_int_equal(settle(pg, &claim, TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	database_run(admin, "UPDATE issuance_jobs SET state = 'failed', last_error = 'CAA forbids it'");
	ok(domain_find(pg, &everybody, NULL, NAME, false, &rows, &last));
	assert_int_equal(PQntuples(rows), 2);
	domain_view_read(rows, 0, &view);
	assert_string_equal(view.certificate, "failed");
	assert_string_equal(view.certificate_reason, "CAA forbids it");
	domain_view_read(rows, 1, &view);
	assert_string_equal(view.certificate, "none");
	PQclear(rows);
}

static void list_goes_on_after_the_cursor(void **state)
{
	const struct domain_place first = {.name = "", .tenant = ""};
	const struct domain_filter all = {.tenant = NULL};
	struct pg *pg = database_connect(state, ROLE);
	struct domain_view view;
	PGresult *rows = NULL;
	add(pg, "a", "b.test");
	add(pg, "b", "a.test");
	add(pg, "a", "a.test");
	ok(domain_list(pg, &everybody, &all, &first, 2, &rows, &last));
	assert_int_equal(PQntuples(rows), 2);
	domain_view_read(rows, 1, &view);
	assert_string_equal(view.tenant, "b");
	const struct domain_place place = {.name = "a.test", .tenant = "b", .id = view.id};
	PQclear(rows);
	ok(domain_list(pg, &everybody, &all, &place, 2, &rows, &last));
	assert_int_equal(PQntuples(rows), 1);
	domain_view_read(rows, 0, &view);
	assert_string_equal(view.name, "b.test");
	PQclear(rows);
	const struct domain_filter active = {.tenant = "a", .status = "active"};
	ok(domain_list(pg, &everybody, &active, &first, 10, &rows, &last));
	assert_int_equal(PQntuples(rows), 0);
	PQclear(rows);
}

static void pages_lose_no_claim_of_many_released(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_place place = {.name = "", .tenant = ""};
	const struct domain_filter released = {.status = "released"};
	struct domain_view view;
	PGresult *rows = NULL;
	add(pg, "brand", NAME);
	ok(pg_query(admin, 1000, NULL, &last,
	    "INSERT INTO domains (tenant, name, token, status)"
	    " SELECT tenant, name, token, 'released' FROM domains, generate_series(1, 3)",
	    NULL, 0));
	for (int i = 0; i < 3; i++) {
		ok(domain_list(pg, &everybody, &released, &place, 1, &rows, &last));
		assert_int_equal(PQntuples(rows), 1);
		domain_view_read(rows, 0, &view);
		place = (struct domain_place){.name = NAME, .tenant = "brand", .id = view.id};
		PQclear(rows);
	}
	ok(domain_list(pg, &everybody, &released, &place, 1, &rows, &last));
	assert_int_equal(PQntuples(rows), 0);
	PQclear(rows);
}

static void hostile_text_stays_text(void **state)
{
	static const char evil[] = "'; DROP TABLE domains; --";
	struct pg *pg = database_connect(state, ROLE);
	PGresult *rows = NULL;
	bool allowed = true;
	add(pg, "brand", NAME);
	ok(domain_find(pg, &everybody, evil, evil, false, &rows, &last));
	PQclear(rows);
	const struct scope scope = {.tenant = evil, .actor = evil, .remote = evil};
	ok(domain_find(pg, &scope, evil, evil, true, &rows, &last));
	assert_int_equal(PQntuples(rows), 0);
	PQclear(rows);
	const struct domain_place place = {.name = evil, .tenant = evil};
	const struct domain_filter hostile = {
	    .tenant = evil, .status = evil, .certificate = evil, .within = evil};
	ok(domain_list(pg, &scope, &hostile, &place, 10, &rows, &last));
	PQclear(rows);
	ok(domains_are_allowed(pg, 1000, (const char *[]){evil}, 1, &allowed, &last));
	assert_false(allowed);
	claim_of(pg, "brand", NAME);
}

static void only_the_newest_checks_are_kept(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand", NAME);
	struct domain_claim claim = claim_of(pg, "brand", NAME);
	database_run(admin, "INSERT INTO domain_checks (domain_id, checked_by, outcome, took_ms)"
			    " SELECT id, 'poller', 'absent', n FROM domains, generate_series(1, 500) n");
	assert_int_equal(settle(pg, &claim, TXT_MISMATCH, ROUTING_UNKNOWN), DOMAIN_SETTLED);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM domain_checks"), "200");
	assert_string_equal(
	    database_value(admin, "SELECT outcome FROM domain_checks ORDER BY id DESC LIMIT 1"), "mismatch");
}

static void session_lives_until_it_ends_or_expires(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	char cookie[SESSION_TEXT + 1], other[SESSION_TEXT + 1];
	struct token_holder holder;
	ok(session_create(pg, admin_hash, 0, cookie, &last));
	ok(session_create(pg, admin_hash, 0, other, &last));
	assert_string_not_equal(cookie, other);
	assert_int_equal(session_check(pg, admin_hash, cookie, &holder, NULL), R_OK);
	assert_string_equal(database_value(admin,
				"SELECT count(*) FROM sessions WHERE encode(token_hash, 'hex') = $1", cookie),
	    "0");
	ok(session_end(pg, admin_hash, cookie, &last));
	assert_int_equal(session_check(pg, admin_hash, cookie, &holder, NULL), R_NONE);
	assert_int_equal(session_check(pg, admin_hash, other, &holder, NULL), R_OK);
	database_run(admin, "UPDATE sessions SET expires_at = now() - interval '1 second'");
	assert_int_equal(session_check(pg, admin_hash, other, &holder, NULL), R_NONE);
	assert_int_equal(session_check(pg, admin_hash, "", &holder, NULL), R_NONE);
	ok(session_create(pg, admin_hash, 0, cookie, &last));
	assert_string_equal(database_value(admin, "SELECT count(*) FROM sessions"), "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(claim_is_added_once_with_a_long_token),
	    database_test(proof_makes_it_active_and_orders_a_certificate),
	    database_test(nothing_but_proof_makes_a_claim_active),
	    database_test(check_of_an_older_token_is_kept_and_decides_nothing),
	    database_test(second_owner_is_denied_and_his_check_kept),
	    database_test(of_tenants_that_race_one_owns_the_name),
	    database_test(owner_is_released_and_a_claim_deleted),
	    database_test(due_claims_are_taken_by_one_only),
	    database_test(claim_locked_by_somebody_else_is_passed_over),
	    database_test(schedule_goes_on_and_ends_and_restarts),
	    database_test(active_name_is_watched_until_it_points_here),
	    database_test(routing_that_is_unknown_keeps_what_was_seen),
	    database_test(no_certificate_is_ordered_without_need_or_against_the_setting),
	    database_test(certificate_shows_with_its_owner_only),
	    database_test(list_goes_on_after_the_cursor),
	    database_test(pages_lose_no_claim_of_many_released),
	    database_test(hostile_text_stays_text),
	    database_test(only_the_newest_checks_are_kept),
	    database_test(session_lives_until_it_ends_or_expires),
	};
	return cmocka_run_group_tests_name("domain", tests, NULL, NULL);
}
