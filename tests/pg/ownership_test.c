/* Who owns a name, over time: takeover by a fresh proof only, quarantine, drift, suspension and its end. */
#include <stdio.h>
#include <string.h>

#include "tests/pg/database.h"
#include "verifier/claim/domain.h"

#define NAME "shop.brand.test"
#define ROLE "postern_verifier"

static struct error last;
static const struct scope everybody = {.actor = "test", .remote = "192.0.2.7"};
static const struct claim_rules rules = {.pre_issue = true,
    .reverify_s = 86400,
    .suspend_s = 7 * 86400,
    .quarantine_s = 7 * 86400,
    .quota = -1,
    .verifications = -1};

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static struct domain_claim claim_of(struct pg *pg, const char *tenant)
{
	PGresult *rows = NULL;
	struct domain_view view;
	struct domain_claim claim;
	ok(domain_find(pg, &everybody, tenant, NAME, false, &rows, &last));
	assert_int_equal(PQntuples(rows), 1);
	domain_view_read(rows, 0, &view);
	ok(domain_claim(pg, &everybody, view.id, &claim, &last));
	PQclear(rows);
	return claim;
}

static struct domain_claim add(struct pg *pg, const char *tenant)
{
	struct domain_new wanted = {.name = NAME};
	enum domain_added outcome = DOMAIN_OWNED;
	snprintf(wanted.tenant, sizeof wanted.tenant, "%s", tenant);
	ok(domain_add(pg, &everybody, -1, &wanted, 1, &outcome, &last));
	assert_int_equal(outcome, DOMAIN_ADDED);
	return claim_of(pg, tenant);
}

/* With the claim as it is now: who the rival is may have changed. */
static enum domain_settled look_by(struct pg *pg, const char *tenant, enum txt_outcome txt,
    enum routing routing, enum txt_outcome rival, const struct claim_rules *by)
{
	struct domain_claim claim = claim_of(pg, tenant);
	struct domain_verdict verdict = {.txt = txt,
	    .routing = routing,
	    .rival = rival,
	    .detail = "what was found",
	    .found = (char *)"{}",
	    .by = "poller"};
	enum domain_settled settled = DOMAIN_IS_LOST;
	ok(domain_settle(pg, &everybody, &claim, &verdict, by, &settled, &last));
	return settled;
}

static enum domain_settled look(struct pg *pg, const char *tenant, enum txt_outcome txt, enum routing routing)
{
	return look_by(pg, tenant, txt, routing, TXT_TEMPORARY, &rules);
}

static const char *status_of(struct pg *admin, const char *tenant)
{
	return database_value(admin, "SELECT status FROM domains WHERE tenant = $1 ORDER BY id DESC", tenant);
}

static const char *events_of(struct pg *admin, const char *tenant)
{
	return database_value(admin,
	    "SELECT string_agg(event, ' ' ORDER BY id) FROM domain_events WHERE tenant = $1 AND name IS NOT "
	    "NULL",
	    tenant);
}

static void fresh_proof_takes_a_name_over_once_the_owners_record_is_gone(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "first");
	assert_int_equal(look(pg, "first", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	struct domain_claim second = add(pg, "second");
	assert_true(second.rival.id != 0);
	static const enum txt_outcome unsure[] = {TXT_VERIFIED, TXT_TEMPORARY, TXT_BOGUS};
	for (size_t i = 0; i < sizeof unsure / sizeof *unsure; i++)
		assert_int_equal(
		    look_by(pg, "second", TXT_VERIFIED, ROUTING_HERE, unsure[i], &rules), DOMAIN_IS_OWNED);
	assert_string_equal(status_of(admin, "first"), "active");
	assert_int_equal(
	    look_by(pg, "second", TXT_VERIFIED, ROUTING_HERE, TXT_MISMATCH, &rules), DOMAIN_VERIFIED);
	assert_string_equal(status_of(admin, "first"), "released");
	assert_string_equal(status_of(admin, "second"), "active");
	assert_string_equal(events_of(admin, "first"), "added verified taken_over");
	assert_string_equal(events_of(admin, "second"), "added verified");
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domain_events WHERE remote = '192.0.2.7'"), "6");
	assert_string_equal(
	    database_value(
		admin, "SELECT concat_ws(' ', actor, remote) FROM domain_events WHERE event = 'taken_over'"),
	    "other-tenant");
}

static void record_from_before_the_owner_takes_nothing_over(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "stale");
	add(pg, "owner");
	assert_int_equal(look(pg, "owner", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(
	    look_by(pg, "stale", TXT_VERIFIED, ROUTING_HERE, TXT_ABSENT, &rules), DOMAIN_IS_STALE);
	assert_string_equal(status_of(admin, "owner"), "active");
	assert_string_equal(status_of(admin, "stale"), "pending");
	/* With a new token it is another matter. */
	struct domain_claim stale = claim_of(pg, "stale");
	assert_int_equal(domain_remove(pg, &everybody, stale.id, NULL), R_OK);
	add(pg, "stale");
	assert_int_equal(
	    look_by(pg, "stale", TXT_VERIFIED, ROUTING_HERE, TXT_ABSENT, &rules), DOMAIN_VERIFIED);
	assert_string_equal(status_of(admin, "owner"), "released");
}

/* The check began when nobody owned it, or somebody else did: it says nothing about the owner of now. */
static void proof_against_another_owner_does_not_count(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "owner");
	assert_int_equal(look(pg, "owner", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	struct domain_claim claim = add(pg, "late");
	claim.rival.id += 1000;
	struct domain_verdict verdict = {
	    .txt = TXT_VERIFIED, .rival = TXT_ABSENT, .detail = "d", .found = (char *)"{}", .by = "api"};
	enum domain_settled settled = DOMAIN_SETTLED;
	ok(domain_settle(pg, &everybody, &claim, &verdict, &rules, &settled, &last));
	assert_int_equal(settled, DOMAIN_IS_OWNED);
	assert_string_equal(status_of(admin, "owner"), "active");
}

static void released_name_wants_a_record_that_is_younger(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "waiting");
	struct domain_claim owner = add(pg, "owner");
	assert_int_equal(look(pg, "owner", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	database_run(admin,
	    "INSERT INTO certificates VALUES ($1, 1, '', '', '', 'i', 's', 'd', now(),"
	    " now() + interval '9 days', now())",
	    NAME);
	assert_int_equal(domain_remove(pg, &everybody, owner.id, NULL), R_OK);
	assert_int_equal(look(pg, "waiting", TXT_VERIFIED, ROUTING_HERE), DOMAIN_IS_STALE);
	/* The owner returns with a new record, and finds the certificate that was kept. */
	database_run(admin, "DELETE FROM issuance_jobs");
	add(pg, "owner");
	assert_int_equal(look(pg, "owner", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM certificates"), "1");
}

static void quarantine_ends(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "waiting");
	struct domain_claim owner = add(pg, "owner");
	assert_int_equal(look(pg, "owner", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(domain_remove(pg, &everybody, owner.id, NULL), R_OK);
	database_run(admin, "UPDATE domains SET status_changed_at = now() - interval '8 days',"
			    " token_made_at = now() - interval '9 days'");
	assert_int_equal(look(pg, "waiting", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
}

static void name_drifts_at_the_second_look_and_recovers(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	bool allowed = false;
	add(pg, "brand");
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_HERE), DOMAIN_SETTLED);
	assert_string_equal(
	    database_value(admin, "SELECT next_check_at < now() + interval '11 minutes' FROM domains"), "t");
	assert_int_equal(look(pg, "brand", TXT_TEMPORARY, ROUTING_UNKNOWN), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_BOGUS, ROUTING_HERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_MISMATCH, ROUTING_HERE), DOMAIN_DRIFTED);
	ok(domains_are_allowed(pg, 1000, (const char *[]){NAME}, 1, &allowed, &last));
	assert_true(allowed);
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_HERE), DOMAIN_RECOVERED);
	assert_string_equal(status_of(admin, "brand"), "active");
	/* Pointing elsewhere after the cut-over is drift, too. */
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_DRIFTED);
	assert_string_equal(events_of(admin, "brand"), "added verified drifted recovered drifted");
	assert_string_equal(
	    database_value(admin, "SELECT detail FROM domain_events WHERE event = 'drifted' LIMIT 1"),
	    "what was found");
}

static void name_that_never_pointed_here_does_not_drift_by_routing(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand");
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_VERIFIED);
	for (int i = 0; i < 5; i++)
		assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_string_equal(status_of(admin, "brand"), "active");
}

static void drift_to_the_end_of_the_grace(struct pg *pg, struct pg *admin)
{
	add(pg, "brand");
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_DRIFTED);
	database_run(admin, "UPDATE domains SET gone_since = now() - interval '8 days'");
}

static void suspension_wants_both_gone_for_the_whole_grace(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	bool allowed = true;
	drift_to_the_end_of_the_grace(pg, admin);
	assert_int_equal(look(pg, "brand", TXT_TEMPORARY, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_UNKNOWN), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SUSPENDED);
	ok(domains_are_allowed(pg, 1000, (const char *[]){NAME}, 1, &allowed, &last));
	assert_false(allowed);
	assert_string_equal(
	    database_value(admin, "SELECT next_check_at <= now() + interval '1 hour' FROM domains"), "t");
	/* Routing alone is no proof. */
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_HERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_RESUMED);
	assert_string_equal(status_of(admin, "brand"), "active");
}

static void one_that_is_there_again_begins_the_grace_anew(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	drift_to_the_end_of_the_grace(pg, admin);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_HERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_string_equal(status_of(admin, "brand"), "drifted");
}

static void nothing_is_suspended_where_the_setting_is_off(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct claim_rules off = rules;
	off.suspend_s = 0;
	drift_to_the_end_of_the_grace(pg, admin);
	assert_int_equal(
	    look_by(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE, TXT_TEMPORARY, &off), DOMAIN_SETTLED);
	assert_string_equal(status_of(admin, "brand"), "drifted");
}

static void nothing_is_suspended_before_its_first_cut_over(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	add(pg, "brand");
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_ELSEWHERE), DOMAIN_VERIFIED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_DRIFTED);
	assert_string_equal(database_value(admin, "SELECT gone_since IS NULL FROM domains"), "t");
	assert_int_equal(look(pg, "brand", TXT_ABSENT, ROUTING_ELSEWHERE), DOMAIN_SETTLED);
	assert_string_equal(status_of(admin, "brand"), "drifted");
}

static void what_the_operator_suspended_no_proof_brings_back(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_claim claims[4];
	int count = 0;
	struct domain_claim claim = add(pg, "brand");
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_HERE), DOMAIN_VERIFIED);
	assert_int_equal(domain_suspend(pg, &everybody, claim.id, true, &last), R_OK);
	assert_int_equal(domain_suspend(pg, &everybody, claim.id, true, &last), R_NONE);
	assert_int_equal(look(pg, "brand", TXT_VERIFIED, ROUTING_HERE), DOMAIN_SETTLED);
	add(pg, "other");
	assert_int_equal(
	    look_by(pg, "other", TXT_VERIFIED, ROUTING_HERE, TXT_ABSENT, &rules), DOMAIN_IS_OWNED);
	database_run(admin, "UPDATE domains SET next_check_at = now(), check_lease_until = NULL"
			    " WHERE tenant = 'brand'");
	ok(domain_claim_due(pg, 4, claims, &count, &last));
	for (int i = 0; i < count; i++)
		assert_string_not_equal(claims[i].tenant, "brand");
	assert_int_equal(domain_suspend(pg, &everybody, claim.id, false, &last), R_OK);
	assert_int_equal(domain_suspend(pg, &everybody, claim.id, false, &last), R_NONE);
	assert_string_equal(status_of(admin, "brand"), "active");
}

static void platform_name_is_served_at_once_and_never_taken(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	struct domain_new names[2] = {{.tenant = "default",
					  .name = NAME,
					  .is_platform = true,
					  .is_active = true,
					  .options = (char *)"{\"upstream\": \"http://10.0.0.1\"}"},
	    {.tenant = "default",
		.name = "*.sandbox.saas.test",
		.is_platform = true,
		.is_active = true,
		.options = (char *)"{\"upstream\": \"http://10.0.0.1\"}"}};
	enum domain_added outcomes[2];
	ok(domain_add(pg, &everybody, -1, names, 2, outcomes, &last));
	assert_int_equal(outcomes[0], DOMAIN_ADDED);
	assert_int_equal(outcomes[1], DOMAIN_ADDED);
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM issuance_jobs WHERE state = 'queued'"), "2");
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM domains WHERE next_check_at IS NULL"), "2");
	add(pg, "brand");
	assert_int_equal(
	    look_by(pg, "brand", TXT_VERIFIED, ROUTING_HERE, TXT_ABSENT, &rules), DOMAIN_IS_OWNED);
	names[0].options = NULL;
	snprintf(names[0].name, sizeof names[0].name, "panel.saas.test");
	assert_int_equal(domain_add(pg, &everybody, -1, names, 1, outcomes, NULL), R_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(fresh_proof_takes_a_name_over_once_the_owners_record_is_gone),
	    database_test(record_from_before_the_owner_takes_nothing_over),
	    database_test(proof_against_another_owner_does_not_count),
	    database_test(released_name_wants_a_record_that_is_younger),
	    database_test(quarantine_ends),
	    database_test(name_drifts_at_the_second_look_and_recovers),
	    database_test(name_that_never_pointed_here_does_not_drift_by_routing),
	    database_test(suspension_wants_both_gone_for_the_whole_grace),
	    database_test(one_that_is_there_again_begins_the_grace_anew),
	    database_test(nothing_is_suspended_where_the_setting_is_off),
	    database_test(nothing_is_suspended_before_its_first_cut_over),
	    database_test(what_the_operator_suspended_no_proof_brings_back),
	    database_test(platform_name_is_served_at_once_and_never_taken),
	};
	return cmocka_run_group_tests_name("ownership", tests, NULL, NULL);
}
