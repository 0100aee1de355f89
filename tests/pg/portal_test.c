/* Portal links and their sessions in a real database; and domains found by a piece of their name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"
#include "verifier/access/portal_link.h"
#include "verifier/access/tenant.h"
#include "verifier/access/token.h"
#include "verifier/claim/domain.h"

#define ROLE "postern_verifier"

static struct error last;
static const unsigned char admin_hash[SESSION_ADMIN_HASH] = "the hash of an admin token";
static const unsigned char next_hash[SESSION_ADMIN_HASH] = "the hash of its successor";
static const struct scope operator_scope = {.actor = "admin-token", .remote = "192.0.2.7"};
static const struct scope brand_scope = {.tenant = "brand", .actor = "token:1", .remote = "192.0.2.8"};

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static struct pg *with_tenants(void **state)
{
	static const char *const ids[] = {"brand", "other"};
	const struct tenant_change none = {.title = NULL};
	struct pg *pg = database_connect(state, ROLE);
	for (size_t i = 0; i < 2; i++)
		ok(tenant_create(pg, &operator_scope, ids[i], &none, &last));
	return pg;
}

static int64_t make_link(struct pg *pg, const char *tenant, int64_t token_id, char text[PORTAL_LINK_TEXT + 1])
{
	int64_t id = 0;
	const struct portal_link_new wanted = {
	    .tenant = tenant, .return_url = "https://app.test/domains", .token_id = token_id};
	ok(portal_link_create(pg, &operator_scope, admin_hash, &wanted, text, &id, &last));
	assert_true(portal_link_is_shaped(text));
	return id;
}

static void open_link(struct pg *pg, const char *text, char cookie[SESSION_TEXT + 1])
{
	ok(portal_link_open(pg, admin_hash, text, "192.0.2.9", cookie, &last));
}

static enum result check(struct pg *pg, const char *cookie)
{
	struct token_holder holder;
	enum result result = session_check(pg, admin_hash, cookie, &holder, &last);
	if (result == R_OK) {
		assert_int_equal(holder.id, 0);
		assert_true(holder.portal > 0);
		assert_string_equal(holder.tenant, "brand");
	}
	return result;
}

static void link_opens_one_session_of_its_tenant(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1], tenant[TENANT_MAX + 1];
	make_link(pg, "brand", 0, text);
	ok(portal_link_find(pg, admin_hash, text, tenant, &last));
	ok(portal_link_find(pg, admin_hash, text, tenant, &last)); /* to look uses nothing up */
	assert_string_equal(tenant, "brand");
	open_link(pg, text, cookie);
	ok(check(pg, cookie));
	assert_int_equal(portal_link_find(pg, admin_hash, text, tenant, NULL), R_NONE);
	assert_int_equal(portal_link_open(pg, admin_hash, text, NULL, cookie, NULL), R_NONE);
	assert_int_equal(check(pg, cookie), R_NONE);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM sessions"), "1");
	assert_string_equal(database_value(admin, "SELECT string_agg(event || ' ' || actor || ' ' || remote, "
						  "', ' ORDER BY id) FROM domain_events"
						  " WHERE event LIKE 'portal%'"),
	    "portal_link_created admin-token 192.0.2.7, portal_opened portal:1 192.0.2.9");
}

static void only_hashes_are_kept(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1];
	make_link(pg, "brand", 0, text);
	open_link(pg, text, cookie);
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*) FROM portal_links l WHERE l::text LIKE '%' || $1 || '%'", text + 4),
	    "0");
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*) FROM sessions s WHERE s::text LIKE '%' || $1 || '%'", cookie),
	    "0");
}

static void link_is_good_for_five_minutes(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1];
	make_link(pg, "brand", 0, text);
	assert_string_equal(
	    database_value(admin, "SELECT expires_at - created_at FROM portal_links"), "00:05:00");
	database_run(admin, "UPDATE portal_links SET expires_at = now() - interval '1 second'");
	assert_int_equal(portal_link_open(pg, admin_hash, text, NULL, cookie, NULL), R_NONE);
}

static void another_admin_token_ends_links_and_sessions(void **state)
{
	struct pg *pg = with_tenants(state);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1];
	struct token_holder holder;
	make_link(pg, "brand", 0, text);
	assert_int_equal(portal_link_open(pg, next_hash, text, NULL, cookie, NULL), R_NONE);
	open_link(pg, text, cookie);
	assert_int_equal(session_check(pg, next_hash, cookie, &holder, NULL), R_NONE);
}

static void what_its_token_made_ends_with_the_token(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	char token[TOKEN_TEXT + 1], text[PORTAL_LINK_TEXT + 1], unopened[PORTAL_LINK_TEXT + 1],
	    cookie[SESSION_TEXT + 1];
	int64_t id = 0;
	const struct token_new wanted = {.label = "app"};
	ok(token_create(pg, &operator_scope, &wanted, token, &id, &last));
	make_link(pg, "brand", id, text);
	make_link(pg, "brand", id, unopened);
	open_link(pg, text, cookie);
	ok(check(pg, cookie));
	database_run(admin, "UPDATE api_tokens SET expires_at = now() - interval '1 second'");
	assert_int_equal(check(pg, cookie), R_NONE);
	database_run(admin, "UPDATE api_tokens SET expires_at = NULL");
	ok(check(pg, cookie));
	ok(token_revoke(pg, &operator_scope, id, &last));
	assert_int_equal(check(pg, cookie), R_NONE);
	assert_int_equal(portal_link_open(pg, admin_hash, unopened, NULL, cookie, NULL), R_NONE);
}

static void revoked_link_ends_its_session_and_no_other(void **state)
{
	struct pg *pg = with_tenants(state);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1], second[SESSION_TEXT + 1];
	int64_t id = make_link(pg, "brand", 0, text);
	open_link(pg, text, cookie);
	make_link(pg, "brand", 0, text);
	open_link(pg, text, second);
	ok(portal_link_revoke(pg, &operator_scope, id, &last));
	assert_int_equal(portal_link_revoke(pg, &operator_scope, id, NULL), R_NONE);
	assert_int_equal(check(pg, cookie), R_NONE);
	ok(check(pg, second));
	ok(portal_link_revoke_all(pg, &operator_scope, "other", &last));
	ok(check(pg, second));
	make_link(pg, "brand", 0, text);
	ok(portal_link_revoke_all(pg, &operator_scope, "brand", &last));
	assert_int_equal(check(pg, second), R_NONE);
	assert_int_equal(portal_link_open(pg, admin_hash, text, NULL, cookie, NULL), R_NONE);
}

static int count_of(PGresult *rows)
{
	int count = PQntuples(rows);
	PQclear(rows);
	return count;
}

static void scope_sees_and_ends_its_own_links_only(void **state)
{
	struct pg *pg = with_tenants(state);
	char text[PORTAL_LINK_TEXT + 1];
	PGresult *rows = NULL;
	int64_t id = make_link(pg, "other", 0, text);
	const struct portal_link_new foreign = {.tenant = "other"}, nobodys = {.tenant = "nobody"};
	ok(portal_link_list(pg, &brand_scope, NULL, 0, 10, &rows, &last));
	assert_int_equal(count_of(rows), 0);
	assert_int_equal(portal_link_revoke(pg, &brand_scope, id, NULL), R_NONE);
	ok(portal_link_revoke_all(pg, &brand_scope, "other", &last));
	assert_int_equal(portal_link_create(pg, &brand_scope, admin_hash, &foreign, text, &id, NULL), R_NONE);
	assert_int_equal(
	    portal_link_create(pg, &operator_scope, admin_hash, &nobodys, text, &id, NULL), R_NONE);
	ok(portal_link_list(pg, &operator_scope, "other", 0, 10, &rows, &last));
	assert_int_equal(PQntuples(rows), 1);
	assert_null(pg_get(rows, 0, 7)); /* revoked_at */
	PQclear(rows);
}

static void old_links_go_and_take_no_rights_along(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	char text[PORTAL_LINK_TEXT + 1], cookie[SESSION_TEXT + 1];
	make_link(pg, "brand", 0, text);
	open_link(pg, text, cookie);
	database_run(admin, "UPDATE portal_links SET created_at = now() - interval '31 days'");
	make_link(pg, "brand", 0, text);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM portal_links"), "1");
	assert_int_equal(check(pg, cookie), R_NONE); /* and not the operator's, for want of a link */
}

static void found(struct pg *pg, const struct scope *scope, const char *text, const char *names)
{
	struct name_search search;
	const struct domain_filter filter = {.search = &search};
	const struct domain_place first = {.name = "", .tenant = ""};
	struct domain_view view;
	char all[400] = "";
	PGresult *rows = NULL;
	assert_true(name_search_read(&search, text));
	ok(domain_list(pg, scope, &filter, &first, 10, &rows, &last));
	for (int i = 0; i < PQntuples(rows); i++) {
		size_t used = strlen(all);
		domain_view_read(rows, i, &view);
		snprintf(all + used, sizeof all - used, "%s%s", used ? " " : "", view.name);
	}
	PQclear(rows);
	if (strcmp(all, names) != 0)
		fail_msg("\"%s\" finds \"%s\", not \"%s\"", text, all, names);
}

static void names_are_found_by_their_words(void **state)
{
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	database_run(admin, "INSERT INTO domains (tenant, name, token) SELECT CASE WHEN n LIKE '%other%' "
			    "THEN 'other' ELSE 'brand'"
			    " END, n, repeat('t', 32) FROM "
			    "unnest('{shop.client-brand.com,www.client-brand.com,shop.other.org,"
			    "xn--bcher-kva.de,brand-new.shop}'::text[]) n");
	found(pg, &operator_scope, "shop", "brand-new.shop shop.client-brand.com shop.other.org");
	found(pg, &brand_scope, "shop", "brand-new.shop shop.client-brand.com");
	found(pg, &operator_scope, "client-br", "shop.client-brand.com www.client-brand.com");
	found(pg, &operator_scope, "brand", "brand-new.shop shop.client-brand.com www.client-brand.com");
	found(pg, &operator_scope, "brand-", "brand-new.shop");
	found(pg, &operator_scope, "shop.client-brand.com", "shop.client-brand.com");
	found(pg, &operator_scope, "brand.client", "");
	found(pg, &operator_scope, "rand", "");
	found(pg, &operator_scope,
	    "b\xc3\xbc"
	    "cher.de",
	    "xn--bcher-kva.de");
}

/* Rare and common words, with and without a tenant: PostgreSQL's counters say that no search reads the table
 * from its beginning to its end, and few rows are touched. */
static void search_among_many_reads_few(void **state)
{
	static const char *const texts[] = {"n4711x", "n4711", "shop", "test", "zz-none", "shop.n99"};
	struct pg *pg = with_tenants(state), *admin = database_connect(state, NULL);
	database_run(admin, "SET session_replication_role = replica");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, token) SELECT 'brand', 'shop.n' || i || 'x.test',"
	    " repeat('t', 32) FROM generate_series(1, 30000) i");
	database_run(admin, "ANALYZE domains");
	database_run(admin, "SELECT pg_stat_force_next_flush()");
	int64_t before = atoll(
	    database_value(admin, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'domains'"));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct name_search search;
		const struct domain_filter filter = {.search = &search};
		const struct domain_place first = {.name = "", .tenant = ""};
		PGresult *rows = NULL;
		assert_true(name_search_read(&search, texts[i]));
		ok(domain_list(pg, &operator_scope, &filter, &first, 101, &rows, &last));
		assert_int_equal(count_of(rows) > 0, strcmp(texts[i], "zz-none") != 0);
	}
	database_run(pg, "SELECT pg_stat_force_next_flush()");
	int64_t after = atoll(
	    database_value(admin, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'domains'"));
	assert_int_equal(after, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(link_opens_one_session_of_its_tenant),
	    database_test(only_hashes_are_kept),
	    database_test(link_is_good_for_five_minutes),
	    database_test(another_admin_token_ends_links_and_sessions),
	    database_test(what_its_token_made_ends_with_the_token),
	    database_test(revoked_link_ends_its_session_and_no_other),
	    database_test(scope_sees_and_ends_its_own_links_only),
	    database_test(old_links_go_and_take_no_rights_along),
	    database_test(names_are_found_by_their_words),
	    database_test(search_among_many_reads_few),
	};
	return cmocka_run_group_tests_name("portal", tests, NULL, NULL);
}
