/* Tokens, tenants and quotas in a real database; and that no statement sees what is another tenant's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"
#include "verifier/access/session.h"
#include "verifier/access/tenant.h"
#include "verifier/access/token.h"
#include "verifier/claim/domain.h"
#include "verifier/claim/stored_certificate.h"

#define ROLE "postern_verifier"

static struct error last;
static const unsigned char admin_hash[SESSION_ADMIN_HASH] = "the hash of an admin token";
static const struct scope operator_scope = {.actor = "admin-token", .remote = "192.0.2.7"};
static const struct scope brand_scope = {.tenant = "brand", .actor = "token:1", .remote = "192.0.2.8"};

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static void make_tenant(struct pg *pg, const char *id)
{
	const struct tenant_change none = {.title = NULL};
	ok(tenant_create(pg, &operator_scope, id, &none, &last));
}

static int64_t make_token(struct pg *pg, const char *tenant, char text[TOKEN_TEXT + 1])
{
	int64_t id = 0;
	const struct token_new wanted = {.tenant = tenant, .label = "CI"};
	ok(token_create(pg, &operator_scope, &wanted, text, &id, &last));
	return id;
}

static enum domain_added add(
    struct pg *pg, const struct scope *scope, int quota, const char *tenant, const char *name)
{
	struct domain_new claim = {.options = NULL};
	enum domain_added outcome = DOMAIN_OWNED;
	snprintf(claim.tenant, sizeof claim.tenant, "%s", tenant);
	snprintf(claim.name, sizeof claim.name, "%s", name);
	ok(domain_add(pg, scope, quota, &claim, 1, &outcome, &last));
	return outcome;
}

static void token_is_found_until_it_is_revoked(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	char text[TOKEN_TEXT + 1], other[TOKEN_TEXT + 1];
	struct token_holder holder;
	make_tenant(pg, "brand");
	int64_t id = make_token(pg, "brand", text);
	make_token(pg, NULL, other);
	assert_true(token_is_shaped(text));
	assert_string_not_equal(text, other);
	ok(token_find(pg, text, &holder, &last));
	assert_string_equal(holder.tenant, "brand");
	assert_int_equal(holder.id, id);
	ok(token_find(pg, other, &holder, &last));
	assert_string_equal(holder.tenant, "");
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*) FROM api_tokens t WHERE t::text LIKE '%' || $1 || '%'", text),
	    "0");
	text[TOKEN_TEXT - 1] ^= 1;
	assert_int_equal(token_find(pg, text, &holder, NULL), R_NONE);
	text[TOKEN_TEXT - 1] ^= 1;
	ok(token_revoke(pg, &operator_scope, id, &last));
	assert_int_equal(token_revoke(pg, &operator_scope, id, NULL), R_NONE);
	assert_int_equal(token_find(pg, text, &holder, NULL), R_NONE);
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(event, ' ' ORDER BY id) FROM domain_events"),
	    "tenant_created token_created token_created token_revoked");
}

static void expired_token_is_none(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	char text[TOKEN_TEXT + 1];
	int64_t id = 0;
	struct token_holder holder;
	make_token(pg, NULL, text);
	database_run(admin, "UPDATE api_tokens SET expires_at = now() - interval '1 second'");
	assert_int_equal(token_find(pg, text, &holder, NULL), R_NONE);
	const struct token_new late = {.expires_at = "2020-01-01T00:00:00Z"};
	assert_int_equal(token_create(pg, &operator_scope, &late, text, &id, NULL), R_INVALID);
	const struct token_new never = {.expires_at = "2030-02-31T00:00:00Z"};
	assert_int_equal(token_create(pg, &operator_scope, &never, text, &id, NULL), R_INVALID);
	const struct token_new nobodys = {.tenant = "nobody"};
	assert_int_equal(token_create(pg, &operator_scope, &nobodys, text, &id, NULL), R_NONE);
}

static void use_is_noted_once_in_a_quarter_of_an_hour(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	char text[TOKEN_TEXT + 1], written[40];
	struct token_holder holder;
	make_token(pg, NULL, text);
	ok(token_find(pg, text, &holder, &last));
	assert_string_equal(database_value(admin, "SELECT last_used_at IS NOT NULL FROM api_tokens"), "t");
	snprintf(written, sizeof written, "%s", database_value(admin, "SELECT xmin FROM api_tokens"));
	ok(token_find(pg, text, &holder, &last));
	assert_string_equal(database_value(admin, "SELECT xmin FROM api_tokens"), written);
	database_run(admin, "UPDATE api_tokens SET last_used_at = now() - interval '16 minutes'");
	ok(token_find(pg, text, &holder, &last));
	assert_string_equal(
	    database_value(admin, "SELECT last_used_at > now() - interval '1 minute' FROM api_tokens"), "t");
}

static void session_ends_with_the_admin_token_it_was_made_under(void **state)
{
	static const unsigned char next[SESSION_ADMIN_HASH] = "the hash of its successor";
	struct pg *pg = database_connect(state, ROLE);
	char cookie[SESSION_TEXT + 1];
	struct token_holder holder = {.id = 7};
	ok(session_create(pg, admin_hash, 0, cookie, &last));
	ok(session_check(pg, admin_hash, cookie, &holder, &last));
	assert_int_equal(holder.id, 0);
	assert_int_equal(session_check(pg, next, cookie, &holder, NULL), R_NONE);
}

static void session_is_its_tokens_and_ends_with_it(void **state)
{
	struct pg *pg = database_connect(state, ROLE);
	char text[TOKEN_TEXT + 1], cookie[SESSION_TEXT + 1];
	struct token_holder holder;
	make_tenant(pg, "brand");
	int64_t id = make_token(pg, "brand", text);
	ok(session_create(pg, admin_hash, id, cookie, &last));
	ok(session_check(pg, admin_hash, cookie, &holder, &last));
	assert_string_equal(holder.tenant, "brand");
	ok(token_revoke(pg, &operator_scope, id, &last));
	assert_int_equal(session_check(pg, admin_hash, cookie, &holder, NULL), R_NONE);
}

static int count_of(PGresult *rows)
{
	int count = PQntuples(rows);
	PQclear(rows);
	return count;
}

/* One row of everything for another tenant: none is seen, none is changed. */
static void scope_sees_and_changes_its_own_rows_only(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	const struct domain_filter all = {.tenant = NULL};
	const struct domain_place first = {.name = "", .tenant = ""};
	const struct stored_filter stored = {.after = "", .days = -1};
	const struct event_filter events = {.tenant = NULL};
	const struct tenant_change change = {.title = "mine"};
	struct domain_claim claim;
	char text[TOKEN_TEXT + 1];
	PGresult *rows = NULL;
	make_tenant(pg, "brand");
	make_tenant(pg, "other");
	int64_t token = make_token(pg, "other", text);
	assert_int_equal(add(pg, &operator_scope, -1, "other", "shop.other.test"), DOMAIN_ADDED);
	database_run(admin, "UPDATE domains SET status = 'active'");
	database_run(admin,
	    "INSERT INTO certificates VALUES ('shop.other.test', 1, '', '', '', 'i', 's', 'd', now(),"
	    " now(), now())");
	int64_t id = atoll(database_value(admin, "SELECT id FROM domains"));
	ok(domain_find(pg, &brand_scope, NULL, "shop.other.test", false, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	ok(domain_list(pg, &brand_scope, &all, &first, 10, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	ok(stored_certificate_list(pg, &brand_scope, &stored, 10, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	ok(stored_certificate_show(pg, &brand_scope, "shop.other.test", &rows, &last));
	assert_int_equal(count_of(rows), 0);
	ok(tenant_events(pg, &brand_scope, &events, 10, &rows, &last));
	assert_int_equal(count_of(rows), 1);
	ok(tenant_list(pg, &brand_scope, NULL, "", 10, &rows, &last));
	assert_int_equal(count_of(rows), 1);
	ok(token_list(pg, &brand_scope, NULL, 0, 10, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	ok(token_show(pg, &brand_scope, token, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	assert_int_equal(token_revoke(pg, &brand_scope, token, NULL), R_NONE);
	assert_int_equal(stored_certificate_renew(pg, &brand_scope, "shop.other.test", NULL), R_NONE);
	assert_int_equal(domain_remove(pg, &brand_scope, id, NULL), R_NONE);
	assert_int_equal(domain_set_options(pg, &brand_scope, id, "{}", NULL), R_NONE);
	assert_int_equal(domain_suspend(pg, &brand_scope, id, true, NULL), R_NONE);
	assert_int_equal(domain_claim(pg, &brand_scope, id, &claim, NULL), R_NONE);
	assert_int_equal(tenant_change(pg, &brand_scope, "other", &change, NULL), R_NONE);
	assert_int_equal(tenant_create(pg, &brand_scope, "third", &change, NULL), R_NONE);
	struct domain_new foreign = {.tenant = "other", .name = "x.other.test"};
	enum domain_added outcome;
	assert_int_equal(domain_add(pg, &brand_scope, -1, &foreign, 1, &outcome, NULL), R_ERROR);
	assert_string_equal(database_value(admin, "SELECT string_agg(status, ' ') FROM domains"), "active");
}

static void quota_of_domains_is_the_tenants_or_the_settings(void **state)
{
	struct pg *pg = database_connect(state, ROLE);
	const struct tenant_change two = {.max_domains = "2"};
	make_tenant(pg, "brand");
	assert_int_equal(add(pg, &operator_scope, 1, "brand", "a.brand.test"), DOMAIN_ADDED);
	assert_int_equal(add(pg, &operator_scope, 1, "brand", "b.brand.test"), DOMAIN_FULL);
	assert_int_equal(add(pg, &operator_scope, 1, "brand", "a.brand.test"), DOMAIN_EXISTS);
	ok(tenant_change(pg, &operator_scope, "brand", &two, &last));
	assert_int_equal(add(pg, &brand_scope, 1, "brand", "b.brand.test"), DOMAIN_ADDED);
	assert_int_equal(add(pg, &brand_scope, -1, "brand", "c.brand.test"), DOMAIN_FULL);
}

static void batch_stops_at_the_quota_and_knows_its_own_doubles(void **state)
{
	struct pg *pg = database_connect(state, ROLE);
	struct domain_new claims[4] = {{.tenant = "brand", .name = "a.brand.test"},
	    {.tenant = "brand", .name = "a.brand.test"}, {.tenant = "brand", .name = "b.brand.test"},
	    {.tenant = "brand", .name = "c.brand.test"}};
	enum domain_added outcomes[4];
	ok(domain_add(pg, &operator_scope, 2, claims, 4, outcomes, &last));
	assert_int_equal(outcomes[0], DOMAIN_ADDED);
	assert_int_equal(outcomes[1], DOMAIN_EXISTS);
	assert_int_equal(outcomes[2], DOMAIN_ADDED);
	assert_int_equal(outcomes[3], DOMAIN_FULL);
}

static void verifications_are_counted_by_the_hour(void **state)
{
	struct pg *pg = database_connect(state, ROLE), *admin = database_connect(state, NULL);
	int wait_s = -1;
	make_tenant(pg, "brand");
	for (int i = 0; i < 3; i++) {
		ok(tenant_take_verification(pg, &brand_scope, "brand", 3, &wait_s, &last));
		assert_int_equal(wait_s, 0);
	}
	ok(tenant_take_verification(pg, &brand_scope, "brand", 3, &wait_s, &last));
	assert_in_range(wait_s, 1100, 1200);
	database_run(admin, "UPDATE tenant_usage SET counted_at = counted_at - interval '20 minutes'");
	ok(tenant_take_verification(pg, &brand_scope, "brand", 3, &wait_s, &last));
	assert_int_equal(wait_s, 0);
	ok(tenant_take_verification(pg, &brand_scope, "brand", -1, &wait_s, &last));
	assert_int_equal(wait_s, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(token_is_found_until_it_is_revoked),
	    database_test(expired_token_is_none),
	    database_test(use_is_noted_once_in_a_quarter_of_an_hour),
	    database_test(session_ends_with_the_admin_token_it_was_made_under),
	    database_test(session_is_its_tokens_and_ends_with_it),
	    database_test(scope_sees_and_changes_its_own_rows_only),
	    database_test(quota_of_domains_is_the_tenants_or_the_settings),
	    database_test(batch_stops_at_the_quota_and_knows_its_own_doubles),
	    database_test(verifications_are_counted_by_the_hour),
	};
	return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
