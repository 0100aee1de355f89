/* Uploaded certificates in the database: for whose names they may be stored, which one serves a name, how
 * they are replaced and removed, when their owners are warned; and that the issuer leaves them alone. */
#include "verifier/claim/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/certificate/barred_key.h"
#include "tests/pg/database.h"
#include "tests/support/certificate.h"

#define ROLE "postern_verifier"

static struct error last;
static const struct scope operator= {.actor = "operator", .remote = "192.0.2.7"};
static const struct scope brand = {.tenant = "brand", .actor = "token:1", .remote = "192.0.2.8"};
static const struct scope other = {.tenant = "other", .actor = "token:2", .remote = "192.0.2.9"};

static struct seal_keys *seal;
static struct own_certificate own;

static int make_own(void **state)
{
	(void)state;
	char path[] = "/tmp/postern-upload.XXXXXX", file[64], public[80], pem[TEST_CHAIN_MAX];
	char *key_pem = NULL;
	EVP_PKEY *key = NULL;
	if (!mkdtemp(path))
		return -1;
	snprintf(file, sizeof file, "%s/key", path);
	snprintf(public, sizeof public, "%s.pub", file);
	bool made =
	    seal_key_create(file, &last) == R_OK && seal_keys_load_public(&seal, public, &last) == R_OK;
	unlink(public);
	unlink(file);
	rmdir(path);
	test_make_certificate("shop.brand.test", -60, 90 * 86400, &key, pem);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	long size = BIO_get_mem_data(bio, &key_pem);
	const struct own_certificate_text text = {
	    .chain = pem, .chain_size = strlen(pem), .key = key_pem, .key_size = (size_t)size};
	made = made && own_certificate_read(&own, &text, NULL, time(NULL), &last) == R_OK;
	BIO_free(bio);
	EVP_PKEY_free(key);
	return made ? 0 : -1;
}

static int drop_own(void **state)
{
	(void)state;
	own_certificate_fini(&own);
	seal_keys_free(seal);
	return 0;
}

static void ok(enum result result)
{
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), last.text);
}

static void domain(struct pg *admin, const char *tenant, const char *name, const char *status)
{
	database_run(admin, "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", tenant);
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) VALUES ($1, $2, $3, repeat('t', 32))", tenant,
	    name, status);
}

static void platform_name(struct pg *admin, const char *name)
{
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token, kind, options)"
	    " VALUES ('default', $1, 'active', repeat('t', 32), 'platform', '{\"upstream\": "
	    "\"http://a:1\"}')",
	    name);
}

/* `names` separated by spaces. */
static enum result find(struct pg *pg, const struct scope *scope, const char *tenant, const char *names,
    bool asked, struct upload_rows *rows)
{
	struct hostname list[16];
	size_t count = 0;
	char *text = mem_string(names), *rest = NULL;
	for (char *name = strtok_r(text, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		snprintf(list[count++].text, sizeof list[0].text, "%s", name);
	enum result result = upload_find_rows(pg, scope, tenant, list, count, asked, rows, &last);
	free(text);
	return result;
}

/* `wanted`: name=tenant, separated by spaces. */
static void finds(struct pg *pg, const struct scope *scope, const char *tenant, const char *names, bool asked,
    const char *wanted)
{
	struct upload_rows rows;
	char got[1024] = "";
	ok(find(pg, scope, tenant, names, asked, &rows));
	for (size_t i = 0; i < rows.count; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s=%s", i ? " " : "",
		    rows.rows[i].name.text, rows.rows[i].tenant);
	upload_rows_fini(&rows);
	assert_string_equal(got, wanted);
}

static enum upload_stored store(struct pg *pg, const struct scope *scope, const char *names, bool asked)
{
	struct upload_rows rows;
	enum upload_stored stored = UPLOAD_LOST;
	ok(find(pg, scope, NULL, names, asked, &rows));
	assert_true(rows.count > 0);
	ok(upload_store(pg, scope, &own, seal, &rows, &stored, &last));
	upload_rows_fini(&rows);
	return stored;
}

static enum upload_removed remove_it(struct pg *pg, const struct scope *scope, const char *name, bool at_once)
{
	enum upload_removed removed = UPLOAD_NONE;
	ok(upload_remove(pg, scope, name, NULL, at_once, &removed, &last));
	return removed;
}

static int tend(struct pg *pg)
{
	int warned = 0;
	ok(upload_tend(pg, &warned, &last));
	return warned;
}

static void issued(struct pg *admin, const char *name)
{
	database_run(admin,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at, ari_next_poll_at) VALUES ($1, nextval('fences'), '', '', '', "
	    "'CA', '01',"
	    " 'ca', now(), now() + interval '90 days', now() + interval '60 days', now())",
	    name);
}

/* All certificates, after eighty days. */
static void end_in(struct pg *admin, const char *interval)
{
	database_run(admin,
	    "UPDATE certificates SET not_before = now() - interval '80 days', not_after = now() + "
	    "$1::interval",
	    interval);
}

static void names_are_for_those_who_have_proven_them(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "brand", "b.brand.test", "drifted");
	domain(admin, "brand", "c.brand.test", "suspended");
	domain(admin, "brand", "d.brand.test", "pending");
	domain(admin, "brand", "e.brand.test", "released");
	domain(admin, "other", "f.brand.test", "active");
	domain(admin, "other", "d.brand.test", "active");
	const char *all =
	    "a.brand.test b.brand.test c.brand.test d.brand.test e.brand.test f.brand.test g.brand.test";
	finds(pg, &brand, NULL, all, false, "a.brand.test=brand b.brand.test=brand c.brand.test=brand");
	finds(pg, &other, NULL, all, false, "d.brand.test=other f.brand.test=other");
	finds(pg, &brand, "other", all, false, "");
	finds(pg, &operator, "other", all, false, "d.brand.test=other f.brand.test=other");
	finds(pg, &operator, NULL, all, false,
	    "a.brand.test=brand b.brand.test=brand c.brand.test=brand d.brand.test=other f.brand.test=other");
	/* What nobody has is the operator's to ask for, by name. */
	finds(pg, &operator, NULL, "g.brand.test", false, "");
	finds(pg, &operator, NULL, "g.brand.test", true, "g.brand.test=");
	finds(pg, &operator, "brand", "g.brand.test", true, "");
	finds(pg, &brand, NULL, "g.brand.test e.brand.test", true, "");
}

static void a_wildcard_is_for_what_stands_above_or_under_it(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "brand", "deep.a.brand.test", "active");
	domain(admin, "other", "f.brand.test", "active");
	finds(pg, &brand, NULL, "*.brand.test", false, "a.brand.test=brand");
	finds(pg, &brand, NULL, "*.brand.test", true, "");
	finds(pg, &brand, NULL, "*.a.brand.test *.brand.test", false,
	    "*.a.brand.test=brand a.brand.test=brand");
	domain(admin, "other", "brand.test", "active");
	finds(pg, &brand, NULL, "*.brand.test", false, "a.brand.test=brand");
	finds(pg, &other, NULL, "*.brand.test brand.test", false, "*.brand.test=other brand.test=other");
	finds(pg, &operator, NULL, "*.brand.test", false, "*.brand.test=other");
}

static void the_platforms_names_are_the_operators(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	const struct scope standard = {.tenant = "default", .actor = "token:3"};
	platform_name(admin, "*.sandbox.saas.test");
	platform_name(admin, "dashboard.saas.test");
	finds(pg, &standard, NULL, "*.sandbox.saas.test dashboard.saas.test", false, "");
	finds(pg, &standard, NULL, "*.saas.test", false, "");
	finds(pg, &operator, NULL, "*.sandbox.saas.test dashboard.saas.test", false,
	    "*.sandbox.saas.test= dashboard.saas.test=");
	assert_int_equal(store(pg, &operator, "*.sandbox.saas.test", false), UPLOAD_ADDED);
	assert_int_equal(remove_it(pg, &standard, "*.sandbox.saas.test", true), UPLOAD_NONE);
	assert_int_equal(remove_it(pg, &operator, "*.sandbox.saas.test", true), UPLOAD_REMOVED);
}

static void the_operators_wildcard_is_nobodys_to_replace(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	assert_int_equal(store(pg, &operator, "*.brand.test", true), UPLOAD_ADDED);
	domain(admin, "brand", "brand.test", "active");
	domain(admin, "brand", "a.brand.test", "active");
	finds(pg, &brand, NULL, "*.brand.test", false, "a.brand.test=brand");
	assert_int_equal(remove_it(pg, &brand, "*.brand.test", true), UPLOAD_NONE);
	/* What was found a moment ago is looked at again when it is stored. */
	struct upload_row row = {.name = {"*.brand.test"}, .tenant = "brand"};
	struct upload_rows rows = {&row, 1, 1000};
	enum upload_stored stored = UPLOAD_ADDED;
	ok(upload_store(pg, &brand, &own, seal, &rows, &stored, &last));
	assert_int_equal(stored, UPLOAD_LOST);
}

static void too_many_names_are_none(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	struct upload_rows rows;
	domain(admin, "brand", "first.brand.test", "active");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) SELECT 'brand', n || '.brand.test',"
	    " 'active', repeat('t', 32) FROM generate_series(1, 500) AS n");
	assert_int_equal(find(pg, &brand, NULL, "*.brand.test", false, &rows), R_LIMIT);
	assert_int_equal(find(pg, &brand, NULL, "7.brand.test", false, &rows), R_OK);
	assert_int_equal(rows.count, 1);
	upload_rows_fini(&rows);
	database_run(admin, "DELETE FROM domains WHERE name = 'first.brand.test'");
	assert_int_equal(store(pg, &brand, "*.brand.test", false), UPLOAD_ADDED);
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "500");
}

static void all_rows_are_stored_or_none(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	struct upload_rows rows;
	enum upload_stored stored = UPLOAD_ADDED;
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "brand", "b.brand.test", "active");
	issued(admin, "a.brand.test");
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(store(pg, &brand, "a.brand.test b.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(store(pg, &brand, "a.brand.test b.brand.test", false), UPLOAD_REPLACED);
	assert_string_equal(
	    database_value(admin, "SELECT concat_ws(' ', count(*), min(source), min(tenant), min(renew_at),"
				  " count(ari_next_poll_at)) FROM certificates"),
	    "2 upload brand infinity 0");

	/* A newer one of one of them came in between. */
	ok(find(pg, &brand, NULL, "a.brand.test b.brand.test", false, &rows));
	const char *before =
	    database_value(admin, "SELECT version::text FROM certificates WHERE name LIKE 'a.%'");
	char version[24];
	snprintf(version, sizeof version, "%s", before);
	database_run(admin, "UPDATE certificates SET version = 1000 WHERE name = 'b.brand.test'");
	ok(upload_store(pg, &brand, &own, seal, &rows, &stored, &last));
	assert_int_equal(stored, UPLOAD_LATE);
	assert_string_equal(
	    database_value(admin, "SELECT version::text FROM certificates WHERE name LIKE 'a.%'"), version);

	/* One of them is another's by now. */
	database_run(admin, "UPDATE certificates SET version = 1 WHERE name = 'b.brand.test'");
	database_run(admin, "UPDATE domains SET status = 'released' WHERE name = 'b.brand.test'");
	ok(upload_store(pg, &brand, &own, seal, &rows, &stored, &last));
	assert_int_equal(stored, UPLOAD_LOST);
	upload_rows_fini(&rows);
	assert_string_equal(
	    database_value(admin,
		"SELECT count(*)::text FROM domain_events WHERE event = 'certificate_uploaded'"
		" AND tenant = 'brand' AND actor = 'token:1' AND remote = '192.0.2.8'"),
	    "5");
}

static void a_key_that_others_know_is_not_stored(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	domain(admin, "brand", "a.brand.test", "active");
	ok(barred_key_add(admin, own.key, &last));
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_BARRED);
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "0");
}

/* The owner's row is locked until the upload is there or not: who takes the name over finds it, and it goes.
 */
static void a_takeover_never_leaves_the_former_owners_certificate(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	struct pg *second = database_connect(state, NULL);
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "other", "a.brand.test", "pending");
	database_run(pg, "BEGIN");
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	database_run(second, "SET lock_timeout = '100ms'");
	database_refused(second, "55P03", "UPDATE domains SET status = 'released' WHERE tenant = 'brand'");
	database_run(pg, "COMMIT");
	database_run(second, "UPDATE domains SET status = 'released' WHERE tenant = 'brand'");
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "1");
	database_run(second, "UPDATE domains SET status = 'active' WHERE tenant = 'other'");
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "0");
	/* Their own stays with them, and what the issuer made with whoever comes. */
	assert_int_equal(store(pg, &other, "a.brand.test", false), UPLOAD_ADDED);
	database_run(admin, "UPDATE domains SET status = 'drifted' WHERE tenant = 'other'");
	database_run(admin, "UPDATE domains SET status = 'active' WHERE tenant = 'other'");
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "1");
	domain(admin, "brand", "b.brand.test", "pending");
	issued(admin, "b.brand.test");
	database_run(admin, "UPDATE domains SET status = 'active' WHERE name = 'b.brand.test'");
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "2");
}

static void the_rank_says_which_one_serves(void **state)
{
	static const char *const kinds[] = {"true, 'upload', NULL, NULL, now() + '1 day'",
	    "false, 'upload', 'brand', NULL, now() + '1 day'", "true, 'acme', NULL, NULL, now() + '1 day'",
	    "false, 'acme', NULL, NULL, now() + '1 day'", "true, 'upload', 'brand', now(), now() + '1 day'",
	    "false, 'upload', 'brand', now(), now() + '1 day'",
	    "true, 'acme', 'brand', now(), now() + '1 day'", "true, 'upload', 'brand', NULL, now()",
	    "false, 'upload', 'brand', now(), now()", "true, 'acme', NULL, NULL, now()"};
	struct pg *pg = database_connect(state, ROLE);
	char sql[300];
	int before = -1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		snprintf(sql, sizeof sql, "SELECT certificate_rank(%s)", kinds[i]);
		int rank = atoi(database_value(pg, sql));
		if (rank <= before)
			fail_msg("%s has the rank %d, as low as what goes before it", kinds[i], rank);
		before = rank;
	}
}

static void the_issuer_leaves_alone_what_is_brought(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	struct pg *acme = database_connect(state, "postern_acme");
	static const char sql[] =
	    "SELECT string_agg(n || '=' || site_has_upload(n || '.brand.test'), ' ' ORDER BY n)"
	    " FROM unnest(ARRAY['a', 'b', 'c', 'd']) AS n";
	domain(admin, "brand", "brand.test", "active");
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "other", "b.brand.test", "active");
	domain(admin, "brand", "c.brand.test", "pending");
	assert_string_equal(database_value(acme, sql), "a=false b=false c=false d=false");
	assert_int_equal(store(pg, &brand, "*.brand.test", false), UPLOAD_ADDED);
	assert_string_equal(database_value(acme, sql), "a=true b=false c=false d=false");
	assert_int_equal(store(pg, &operator, "d.brand.test", true), UPLOAD_ADDED);
	assert_string_equal(database_value(acme, sql), "a=true b=false c=false d=true");
	end_in(admin, "0");
	assert_string_equal(database_value(acme, sql), "a=false b=false c=false d=false");
}

static void what_is_removed_is_served_until_it_is_replaced(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	enum upload_removed removed = UPLOAD_NONE;
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "brand", "b.brand.test", "active");
	issued(admin, "b.brand.test");
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(remove_it(pg, &brand, "nothing.brand.test", false), UPLOAD_NONE);
	assert_int_equal(remove_it(pg, &other, "a.brand.test", true), UPLOAD_NONE);
	assert_int_equal(remove_it(pg, &brand, "b.brand.test", true), UPLOAD_ISSUED);
	ok(upload_remove(pg, &brand, "a.brand.test", "1", false, &removed, &last));
	assert_int_equal(removed, UPLOAD_CHANGED);
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", false), UPLOAD_REPLACING);
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", false), UPLOAD_REPLACING);
	assert_string_equal(
	    database_value(admin,
		"SELECT concat_ws(' ', source, tenant, removed_at IS NOT NULL, renew_at <= now(),"
		" site_has_upload(name), (SELECT state || ' ' || reason FROM issuance_jobs j"
		" WHERE j.name = c.name)) FROM certificates c WHERE name = 'a.brand.test'"),
	    "acme brand t t f queued renewal");
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*)::text FROM domain_events WHERE event = 'certificate_removed'"),
	    "1");
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", true), UPLOAD_REMOVED);
	/* Another tenant's wildcard is none to fall back on. */
	domain(admin, "other", "brand.test", "active");
	assert_int_equal(store(pg, &other, "*.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", false), UPLOAD_REPLACING);
	/* Where nobody would notice it goes at once. */
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	database_run(admin, "UPDATE domains SET status = 'suspended' WHERE name = 'a.brand.test'");
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", false), UPLOAD_REMOVED);
}

static void a_removed_wildcard_stays_for_those_who_need_it(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	static const char jobs[] =
	    "SELECT string_agg(name || '=' || reason, ' ' ORDER BY name) FROM issuance_jobs";
	domain(admin, "brand", "brand.test", "active");
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "brand", "b.brand.test", "active");
	domain(admin, "other", "c.brand.test", "active");
	domain(admin, "brand", "d.brand.test", "active");
	issued(admin, "b.brand.test");
	database_run(admin,
	    "UPDATE domains SET options = '{\"passthrough\": \"192.0.2.1:443\"}' WHERE name LIKE 'd.%'");
	assert_int_equal(store(pg, &brand, "*.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(remove_it(pg, &brand, "*.brand.test", false), UPLOAD_REPLACING);
	assert_string_equal(database_value(admin, jobs), "a.brand.test=renewal");
	tend(pg);
	assert_string_equal(database_value(admin, "SELECT count(*)::text FROM certificates"), "2");
	/* A job that is gone is made again; and when all have something of their own, it goes. */
	database_run(admin, "DELETE FROM issuance_jobs");
	tend(pg);
	assert_string_equal(database_value(admin, jobs), "a.brand.test=first_hit");
	issued(admin, "a.brand.test");
	tend(pg);
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(name, ' ' ORDER BY name) FROM certificates"),
	    "a.brand.test b.brand.test");
}

static void what_a_wildcard_hides_is_renewed_when_that_is_gone(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	static const char renewals[] =
	    "SELECT string_agg(CASE WHEN renew_at = 'infinity' THEN 'never' WHEN renew_at >"
	    " now() + interval '59 days' THEN 'later' ELSE 'soon' END, ' ' ORDER BY name)"
	    " FROM certificates WHERE source = 'acme'";
	domain(admin, "brand", "brand.test", "active");
	domain(admin, "brand", "a.brand.test", "active");
	domain(admin, "other", "b.brand.test", "active");
	issued(admin, "a.brand.test");
	issued(admin, "b.brand.test");
	assert_int_equal(store(pg, &brand, "*.brand.test", false), UPLOAD_ADDED);
	tend(pg);
	assert_string_equal(database_value(admin, renewals), "never later");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(name, ' ') FROM certificates WHERE ari_next_poll_at"
				  " IS NOT NULL"),
	    "b.brand.test");
	tend(pg);
	assert_string_equal(database_value(admin, renewals), "never later");
	assert_int_equal(remove_it(pg, &brand, "*.brand.test", false), UPLOAD_REMOVED);
	tend(pg);
	assert_string_equal(database_value(admin, renewals), "later later");
}

static void owners_are_warned_once_for_each_step(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	static const char events[] =
	    "SELECT string_agg(event || '/' || tenant || '/' || actor, ' ' ORDER BY id)"
	    " FROM domain_events WHERE event LIKE 'certificate_exp%'";
	domain(admin, "brand", "a.brand.test", "active");
	issued(admin, "b.brand.test");
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(tend(pg), 0);
	end_in(admin, "9 days");
	assert_int_equal(tend(pg), 1);
	assert_int_equal(tend(pg), 0);
	end_in(admin, "0");
	assert_int_equal(tend(pg), 1);
	assert_int_equal(tend(pg), 0);
	assert_string_equal(database_value(admin, events),
	    "certificate_expiring/brand/uploads certificate_expired/brand/uploads");
	/* Its successor begins anew; of what is not served, or to be removed, nobody is warned. */
	assert_int_equal(store(pg, &brand, "a.brand.test", false), UPLOAD_REPLACED);
	end_in(admin, "9 days");
	assert_int_equal(tend(pg), 1);
	end_in(admin, "1 hour");
	database_run(admin, "UPDATE domains SET status = 'released'");
	assert_int_equal(tend(pg), 0);
	database_run(admin, "UPDATE domains SET status = 'active'");
	assert_int_equal(remove_it(pg, &brand, "a.brand.test", false), UPLOAD_REPLACING);
	assert_int_equal(tend(pg), 0);
	domain(admin, "brand", "brand.test", "active");
	domain(admin, "brand", "c.brand.test", "active");
	assert_int_equal(store(pg, &brand, "*.brand.test", false), UPLOAD_ADDED);
	assert_int_equal(remove_it(pg, &brand, "*.brand.test", false), UPLOAD_REPLACING);
	end_in(admin, "1 hour");
	assert_int_equal(tend(pg), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(names_are_for_those_who_have_proven_them),
	    database_test(a_wildcard_is_for_what_stands_above_or_under_it),
	    database_test(the_platforms_names_are_the_operators),
	    database_test(the_operators_wildcard_is_nobodys_to_replace),
	    database_test(too_many_names_are_none),
	    database_test(all_rows_are_stored_or_none),
	    database_test(a_key_that_others_know_is_not_stored),
	    database_test(a_takeover_never_leaves_the_former_owners_certificate),
	    database_test(the_rank_says_which_one_serves),
	    database_test(the_issuer_leaves_alone_what_is_brought),
	    database_test(what_is_removed_is_served_until_it_is_replaced),
	    database_test(a_removed_wildcard_stays_for_those_who_need_it),
	    database_test(what_a_wildcard_hides_is_renewed_when_that_is_gone),
	    database_test(owners_are_warned_once_for_each_step),
	};
	return cmocka_run_group_tests_name("upload", tests, make_own, drop_own);
}
