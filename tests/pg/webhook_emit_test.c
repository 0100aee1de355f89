/* What happens becomes messages for the webhooks that want them, in the transaction in which it happened. */
#include "acme/webhook/webhook_upkeep.h"

#include <jansson.h>
#include <string.h>

#include "tests/pg/database.h"
#include "verifier/api/api_openapi.h"
#include "verifier/webhook/webhook_types.h"

static struct error error;

/* `tenant` NULL: the operator's. */
static void add_webhook(struct pg *admin, const char *id, const char *tenant, const char *events)
{
	if (tenant)
		database_run(admin, "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", tenant);
	database_run(admin,
	    "INSERT INTO webhooks (id, tenant, url, events, secret_sealed, created_by, created_at) VALUES"
	    " ($1::bigint, NULLIF($2, ''), 'https://hooks.test/', $3::text[], '', 'test', now() - interval "
	    "'1 h')",
	    id, tenant ? tenant : "", events);
}

static void happens(struct pg *pg, const char *tenant, const char *name, const char *event)
{
	database_run(pg,
	    "INSERT INTO domain_events (tenant, name, event, actor, remote, detail)"
	    " VALUES ($1, NULLIF($2, ''), $3, 'token:7', '192.0.2.1', 'as it is')",
	    tenant, name, event);
}

/* "1 domain.added, 2 …": what each webhook is told, in order. */
static const char *told(struct pg *admin)
{
	return database_value(admin,
	    "SELECT COALESCE(string_agg(d.webhook || ' ' || e.type, ', ' ORDER BY d.webhook, d.id), '')"
	    " FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event");
}

static void each_is_told_what_it_wants_and_may_know(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *verifier = database_connect(state, "postern_verifier");
	add_webhook(admin, "1", NULL, "{}");
	add_webhook(admin, "2", "brand", "{domain.*}");
	add_webhook(admin, "3", "brand", "{domain.verified,token.revoked}");
	add_webhook(admin, "4", "other", "{}");
	add_webhook(admin, "5", "brand", "{}");
	database_run(admin, "UPDATE webhooks SET state = 'off' WHERE id = 5");
	happens(verifier, "brand", "shop.brand.test", "added");
	happens(verifier, "brand", "shop.brand.test", "verified");
	happens(verifier, "brand", "", "token_created");
	happens(verifier, "", "", "token_revoked");
	happens(verifier, "brand", "shop.brand.test", "renewal_forced");
	assert_string_equal(told(admin), "1 domain.added, 1 domain.verified, 1 token.created, 1 "
					 "token.revoked, 1 certificate.renewal_forced,"
					 " 2 domain.added, 2 domain.verified, 3 domain.verified");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM webhook_events"), "5");
	assert_string_equal(
	    database_value(admin, "SELECT body::jsonb - 'timestamp' FROM webhook_events ORDER BY id LIMIT 1"),
	    "{\"data\": {\"name\": \"shop.brand.test\", \"actor\": \"token:7\", \"detail\": \"as it is\", "
	    "\"tenant\": \"brand\", \"event_id\": 1}, \"type\": \"domain.added\"}");
}

/* An import writes hundreds with one statement. */
static void many_at_once_keep_their_order(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *verifier = database_connect(state, "postern_verifier");
	add_webhook(admin, "1", NULL, "{}");
	database_run(verifier,
	    "INSERT INTO domain_events (tenant, name, event, actor)"
	    " SELECT 'default', 'n' || i || '.test', 'imported', 'x' FROM generate_series(1, 200) i");
	assert_string_equal(
	    database_value(admin,
		"SELECT count(*) FROM (SELECT e.body::jsonb #>> '{data,name}' AS name,"
		" row_number() OVER (ORDER BY d.id) AS place FROM webhook_deliveries d"
		" JOIN webhook_events e ON e.id = d.event) o WHERE name = 'n' || place || '.test'"),
	    "200");
}

static void without_webhooks_nothing_is_kept(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	happens(database_connect(state, "postern_verifier"), "default", "shop.brand.test", "added");
	add_webhook(admin, "1", "brand", "{}");
	happens(admin, "default", "shop.brand.test", "verified");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM webhook_events"), "0");
}

static void what_is_rolled_back_is_not_told(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *verifier = database_connect(state, "postern_verifier");
	add_webhook(admin, "1", NULL, "{}");
	database_run(verifier, "BEGIN");
	happens(verifier, "default", "shop.brand.test", "verified");
	database_run(verifier, "ROLLBACK");
	assert_string_equal(told(admin), "");
}

/* ---- certificates */

static void own(struct pg *admin, const char *name, const char *tenant, const char *status)
{
	database_run(admin, "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", tenant);
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) VALUES ($1, $2, $3, repeat('t', 32))", tenant,
	    name, status);
}

/* Of so many days, so many of which are left. */
static void store(struct pg *pg, const char *name, const char *days, const char *left, const char *source)
{
	database_run(pg,
	    "INSERT INTO certificates AS c (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at, source) SELECT $1, nextval('fences'), '', '', '', 'CA', '00', "
	    "'',"
	    " t.ends - $2::integer * interval '1 d', t.ends, now(), $4"
	    " FROM (SELECT now() + $3::double precision * interval '1 d' AS ends) t"
	    " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version, not_before = EXCLUDED.not_before,"
	    "  not_after = EXCLUDED.not_after",
	    name, days, left, source);
}

static void certificates_are_told_of_to_their_names_owner(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *acme = database_connect(state, "postern_acme");
	add_webhook(admin, "1", NULL, "{certificate.*}");
	add_webhook(admin, "2", "brand", "{certificate.*}");
	own(admin, "shop.brand.test", "brand", "active");
	store(acme, "shop.brand.test", "90", "90", "acme");
	store(acme, "foreign.test", "90", "90", "acme");
	store(acme, "upload.test", "90", "90", "upload");
	store(acme, "shop.brand.test", "90", "90", "acme");
	database_run(acme, "UPDATE certificates SET key_sealed = 'anew', renew_at = now()");
	assert_string_equal(told(admin),
	    "1 certificate.issued, 1 certificate.issued, 1 certificate.issued, 2 certificate.issued,"
	    " 2 certificate.issued");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(body::jsonb #>> '{data,is_renewal}', ' ' ORDER BY id)"
				  " FROM webhook_events WHERE tenant = 'brand'"),
	    "false true");
}

static void fail_job(struct pg *acme, const char *cause, const char *actor, const char *waits_on)
{
	database_run(acme, "UPDATE issuance_jobs SET state = 'running'");
	database_run(acme,
	    "UPDATE issuance_jobs SET state = 'failed', last_cause = NULLIF($1, ''), last_actor = NULLIF($2, "
	    "''),"
	    " waits_on = NULLIF($3, ''), last_error = 'why'",
	    cause, actor, waits_on);
}

static void failing_is_told_once_and_again_when_it_is_the_customers_to_mend(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *acme = database_connect(state, "postern_acme");
	add_webhook(admin, "1", NULL, "{certificate.failing}");
	database_run(admin, "SELECT enqueue_issuance('shop.brand.test', 'first_hit')");
	fail_job(acme, "", "", "budget");
	assert_string_equal(told(admin), "");
	fail_job(acme, "ca", "ca", "");
	fail_job(acme, "network", "ca", "");
	fail_job(acme, "dns", "customer", "");
	fail_job(acme, "dns", "customer", "");
	fail_job(acme, "caa", "customer", "");
	fail_job(acme, "ca", "ca", "");
	database_run(acme, "UPDATE issuance_jobs SET state = 'idle', last_cause = NULL, last_actor = NULL");
	database_run(admin, "SELECT enqueue_issuance('shop.brand.test', 'renewal')");
	fail_job(acme, "connection", "customer", "");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(body::jsonb #>> '{data,cause}', ' ' ORDER BY id) FROM "
				  "webhook_events"),
	    "ca dns caa connection");
}

static void warn(struct pg *acme)
{
	bool more = true;
	for (int step = 0; more && step < 10; step++)
		if (webhook_upkeep_warn(acme, &more, &error) != R_OK)
			fail_msg("%s", error.text);
}

static const char *warned(struct pg *admin)
{
	return database_value(admin, "SELECT COALESCE(string_agg(w.name || ' ' || w.days, ', ' ORDER BY "
				     "w.name, w.id), '') FROM (SELECT id,"
				     " body::jsonb #>> '{data,name}' AS name, body::jsonb #>> "
				     "'{data,days_left}' AS days FROM webhook_events"
				     " WHERE type = 'certificate.expiring') w");
}

static void certificates_that_nobody_replaces_are_warned_of(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *acme = database_connect(state, "postern_acme");
	add_webhook(admin, "1", NULL, "{certificate.expiring}");
	own(admin, "gone.test", "brand", "released");
	own(admin, "held.test", "brand", "suspended");
	store(acme, "due.test", "90", "29.5", "acme");     /* its renewal has hardly begun */
	store(acme, "late.test", "90", "14.5", "acme");    /* the last sixth */
	store(acme, "later.test", "90", "2.5", "acme");    /* one warning, not one for each that was missed */
	store(acme, "short.test", "6", "2.5", "acme");     /* of six days */
	store(acme, "shortlate.test", "6", "0.5", "acme"); /* the last of six days */
	store(acme, "yearly.test", "365", "29.5", "upload"); /* nobody but the customer replaces it */
	store(acme, "calm.test", "365", "31", "upload");
	store(acme, "over.test", "90", "-1", "acme");
	store(acme, "gone.test", "90", "2", "acme");
	store(acme, "held.test", "90", "2", "acme");
	warn(acme);
	assert_string_equal(warned(admin), "late.test 14, later.test 2, shortlate.test 0, yearly.test 29");
	warn(acme);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM webhook_events"), "4");
}

static void each_version_and_step_is_warned_of_once(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *acme = database_connect(state, "postern_acme");
	static const char *const left[] = {"14.9", "14.1", "9.9", "9.1", "2.9", "0.9", "0.1"};
	add_webhook(admin, "1", NULL, "{certificate.expiring}");
	store(acme, "shop.test", "90", "15.1", "acme");
	warn(acme);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		/* Time passes: all of its times move back, and nothing else of it changes. */
		database_run(admin, "ALTER TABLE certificates DISABLE TRIGGER USER");
		database_run(admin,
		    "UPDATE certificates SET expiry_notice_at = expiry_notice_at - m.move, not_before = "
		    "not_before -"
		    " m.move, not_after = not_after - m.move FROM (SELECT not_after - now() -"
		    " $1::double precision * interval '1 d' AS move FROM certificates) m",
		    left[i]);
		database_run(admin, "ALTER TABLE certificates ENABLE TRIGGER USER");
		warn(acme);
	}
	assert_string_equal(warned(admin), "shop.test 14, shop.test 9, shop.test 2, shop.test 0");
	store(acme, "shop.test", "90", "14.5", "acme");
	warn(acme);
	assert_string_equal(
	    warned(admin), "shop.test 14, shop.test 9, shop.test 2, shop.test 0, shop.test 14");
}

/* The first webhook is made: what was there before it is told of, once, as it is now. */
static void old_certificates_are_found_by_the_first_webhook(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *acme = database_connect(state, "postern_acme");
	store(acme, "late.test", "90", "14.5", "acme");
	store(acme, "fresh.test", "90", "90", "acme");
	database_run(
	    admin, "UPDATE certificates SET expiry_notice_at = now()"); /* as the migration leaves them */
	warn(acme);
	assert_string_equal(
	    database_value(admin, "SELECT bool_and(expiry_notice_at <= now()) FROM certificates"), "t");
	add_webhook(admin, "1", NULL, "{}");
	warn(acme);
	assert_string_equal(warned(admin), "late.test 14");
	assert_string_equal(
	    database_value(admin, "SELECT round(extract(epoch FROM not_after - expiry_notice_at)"
				  " / 86400) FROM certificates WHERE name = 'fresh.test'"),
	    "15");
}

static json_t *described_events(json_t *document)
{
	size_t index = 0;
	json_t *parameters = NULL, *parameter, *list = NULL;
	json_unpack(document, "{s:{s:{s:{s:o}}}}", "paths", "/v1/events", "get", "parameters", &parameters);
	json_array_foreach(parameters, index, parameter)
	{
		const char *name = json_string_value(json_object_get(parameter, "name"));
		if (name && strcmp(name, "event") == 0)
			json_unpack(parameter, "{s:{s:o}}", "schema", "enum", &list);
	}
	return list;
}

static void every_event_of_the_audit_trail_can_be_asked_for(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	json_t *document = json_loads(api_openapi_text, 0, NULL), *value;
	json_t *events = described_events(document);
	size_t index = 0;
	assert_true(json_array_size(events) > 20);
	json_array_foreach(events, index, value)
	{
		const char *type = database_value(admin, "SELECT webhook_type($1)", json_string_value(value));
		if (!webhook_types_has(type))
			fail_msg("no webhook can ask for %s", type);
	}
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(each_is_told_what_it_wants_and_may_know),
	    database_test(many_at_once_keep_their_order),
	    database_test(without_webhooks_nothing_is_kept),
	    database_test(what_is_rolled_back_is_not_told),
	    database_test(certificates_are_told_of_to_their_names_owner),
	    database_test(failing_is_told_once_and_again_when_it_is_the_customers_to_mend),
	    database_test(every_event_of_the_audit_trail_can_be_asked_for),
	    database_test(certificates_that_nobody_replaces_are_warned_of),
	    database_test(each_version_and_step_is_warned_of_once),
	    database_test(old_certificates_are_found_by_the_first_webhook),
	};
	return cmocka_run_group_tests_name("webhook_emit", tests, NULL, NULL);
}
