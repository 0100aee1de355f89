/* What each daemon's role may do to each table: the matrix of sql/README.md, tried statement by statement. A
 * table or column that is not in the list below is nobody's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"

#define ALL "*"
#define DOMAIN_STATE \
	"status points_here verified_at status_changed_at checks next_check_at check_lease_until options " \
	"owner_since first_here_at doubts gone_since suspended_by"
#define PUBLIC_HALF \
	"name version issuer serial directory not_before not_after renew_at stored_at source " \
	"revoked_at revoked_reason chain_pem tenant removed_at"
#define JOB_VIEW \
	"name state reason requested_at next_try_at attempts last_cause last_error last_try_at finished_at " \
	"lane waits_on waits_for foreseen last_actor"
#define WEBHOOK_VIEW \
	"id tenant url label events state off_reason secret_version former_until created_at created_by " \
	"failures failing_since pause_until"
#define WEBHOOK_WORK \
	"failures failing_since pause_until fence lease_owner lease_until former_sealed former_until"

static const struct right {
	const char *role;
	const char *table;
	const char *select; /* columns, separated by spaces; ALL; NULL: none */
	const char *insert;
	const char *update;
	bool remove;
} rights[] = {
    {"postern_edge", "schema_migrations", ALL, NULL, NULL, false},
    {"postern_edge", "certificates", ALL, NULL, NULL, false},
    {"postern_edge", "domains", "name status tenant options", NULL, NULL, false},
    {"postern_edge", "issuance_jobs", "name state next_try_at last_cause last_try_at attempts foreseen", NULL,
	NULL, false},
    {"postern_edge", "challenges", "id name type token key_authorization expires_at seen_at", NULL, "seen_at",
	false},
    {"postern_edge", "ticket_keys", ALL, NULL, NULL, false},

    {"postern_acme", "schema_migrations", ALL, NULL, NULL, false},
    {"postern_acme", "certificates", ALL, ALL, ALL, false},
    {"postern_acme", "issuance_jobs", ALL, ALL, ALL, false},
    {"postern_acme", "ca_accounts", ALL, ALL, ALL, false},
    {"postern_acme", "challenges", ALL, ALL, ALL, true},
    {"postern_acme", "failures", ALL, ALL, ALL, true},
    {"postern_acme", "domains", "name status tenant", NULL, NULL, false},
    {"postern_acme", "ca_budget", ALL, ALL, ALL, true},
    {"postern_acme", "ca_health", ALL, ALL, ALL, false},
    {"postern_acme", "reissues", ALL, NULL, ALL, false},
    {"postern_acme", "ca_trouble", ALL, ALL, ALL, true},
    {"postern_acme", "ca_tasks", ALL, NULL, ALL, true},
    {"postern_acme", "barred_keys", ALL, ALL, NULL, false},
    {"postern_acme", "persist_records", ALL, ALL, ALL, false},
    {"postern_acme", "ca_ceilings", ALL, ALL, ALL, true},
    {"postern_acme", "webhooks", ALL, NULL, WEBHOOK_WORK, true},
    {"postern_acme", "webhook_events", ALL, NULL, NULL, true},
    {"postern_acme", "webhook_deliveries", ALL, NULL,
	"state attempts next_try_at last_try_at status error answer took_ms", true},

    {"postern_verifier", "schema_migrations", ALL, NULL, NULL, false},
    {"postern_verifier", "tenants", ALL, ALL, "title max_domains verifications_per_hour", false},
    {"postern_verifier", "tenant_usage", ALL, ALL, ALL, false},
    {"postern_verifier", "api_tokens", ALL, ALL, ALL, false},
    {"postern_verifier", "idempotency_keys", ALL, ALL, ALL, true},
    {"postern_verifier", "import_results", ALL, ALL, NULL, true},
    {"postern_verifier", "domains", ALL, ALL, DOMAIN_STATE, true},
    {"postern_verifier", "domain_checks", ALL, ALL, NULL, true},
    {"postern_verifier", "domain_diagnoses", ALL, ALL, ALL, false},
    {"postern_verifier", "domain_events", ALL, ALL, NULL, false},
    {"postern_verifier", "sessions", ALL, ALL, NULL, true},
    {"postern_verifier", "webhooks", WEBHOOK_VIEW, "id tenant url label events secret_sealed created_by",
	"url label events state off_reason failures failing_since pause_until", false},
    {"postern_verifier", "webhook_events", ALL, "tenant type at body", NULL, false},
    {"postern_verifier", "webhook_deliveries", ALL, "webhook event next_try_at", "next_try_at", false},
    {"postern_verifier", "portal_links", ALL, ALL, "opened_at revoked_at", true},
    {"postern_verifier", "certificates", PUBLIC_HALF, NULL, NULL, false},
    {"postern_verifier", "issuance_jobs", JOB_VIEW, NULL, NULL, false},
    {"postern_verifier", "failures", ALL, NULL, NULL, false},
    {"postern_verifier", "challenges", "id type label digest expires_at", NULL, NULL, false},
    {"postern_verifier", "persist_records", ALL, NULL, NULL, false},
    {"postern_verifier", "nodes", ALL, NULL, NULL, false},
    {"postern_verifier", "handshakes", ALL, NULL, NULL, false},
    {"postern_verifier", "ca_ceilings", ALL, NULL, NULL, false},
    {"postern_verifier", "ca_budget", "directory ceiling key tokens counted_at blocked_until full_at", NULL,
	NULL, false},
    {"postern_verifier", "ca_accounts", "directory account_url status issuer_names created_at", NULL, NULL,
	false},
};

static const char *const roles[] = {"postern_edge", "postern_acme", "postern_verifier"};

static bool lists(const char *columns, const char *column)
{
	if (!columns || !strcmp(columns, ALL))
		return columns != NULL;
	size_t size = strlen(column);
	for (const char *at = strstr(columns, column); at; at = strstr(at + 1, column)) {
		bool starts = at == columns || at[-1] == ' ';
		if (starts && (at[size] == ' ' || at[size] == 0))
			return true;
	}
	return false;
}

static const struct right *right_of(const char *role, const char *table)
{
	static const struct right none;
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
		if (!strcmp(rights[i].role, role) && !strcmp(rights[i].table, table))
			return &rights[i];
	}
	return &none;
}

/* A statement that is let through may still fail for its content: only the refusal counts. */
static void try_statement(struct pg *pg, const char *role, const char *sql, bool allowed)
{
	struct error error;
	database_run(pg, "BEGIN");
	enum result result = pg_query(pg, 5000, NULL, &error, sql, NULL, 0);
	bool denied = result == R_ERROR && !strcmp(pg_sqlstate(pg), "42501");
	database_run(pg, "ROLLBACK");
	if (result != R_OK && result != R_ERROR)
		fail_msg("%s: %s", sql, error.text);
	if (denied == allowed)
		fail_msg(
		    "%s %s: %s", role, allowed ? "should be allowed to" : "should not be allowed to", sql);
}

static void try_column(struct pg *pg, const char *role, const char *table, const char *column, bool generated)
{
	const struct right *right = right_of(role, table);
	char sql[512];
	snprintf(sql, sizeof sql, "SELECT %s FROM %s LIMIT 0", column, table);
	try_statement(pg, role, sql, lists(right->select, column));
	snprintf(sql, sizeof sql, "INSERT INTO %s (%s) %s VALUES (DEFAULT)", table, column,
	    generated ? "OVERRIDING USER VALUE" : "");
	try_statement(pg, role, sql, lists(right->insert, column));
	snprintf(sql, sizeof sql, "UPDATE %s SET %s = DEFAULT WHERE false", table, column);
	try_statement(pg, role, sql, lists(right->update, column));
}

static void try_table(struct pg *pg, const char *role, const char *table)
{
	char sql[512];
	snprintf(sql, sizeof sql, "DELETE FROM %s WHERE false", table);
	try_statement(pg, role, sql, right_of(role, table)->remove);
	snprintf(sql, sizeof sql, "TRUNCATE %s", table);
	try_statement(pg, role, sql, false);
	snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN sneaked int", table);
	try_statement(pg, role, sql, false);
	snprintf(sql, sizeof sql, "CREATE TRIGGER sneaked AFTER INSERT ON %s EXECUTE FUNCTION notify_name()",
	    table);
	try_statement(pg, role, sql, false);
}

static void roles_do_what_the_matrix_says_and_nothing_else(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	PGresult *columns = NULL;
	struct error error;
	assert_int_equal(
	    pg_query(admin, 5000, &columns, &error,
		"SELECT table_name, column_name, is_identity = 'YES' FROM information_schema.columns"
		" WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
		NULL, 0),
	    R_OK);
	assert_true(PQntuples(columns) > 80);
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		struct pg *pg = database_connect(state, roles[i]);
		const char *last = "";
		for (int row = 0; row < PQntuples(columns); row++) {
			const char *table = pg_get(columns, row, 0);
			if (strcmp(table, last) != 0)
				try_table(pg, roles[i], table);
			try_column(
			    pg, roles[i], table, pg_get(columns, row, 1), pg_get_bool(columns, row, 2));
			last = table;
		}
	}
	PQclear(columns);
}

/* A right in the list for a table or column that does not exist would make the test above say nothing. */
static void matrix_names_what_exists(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
		const char *const lists_of[] = {rights[i].select, rights[i].insert, rights[i].update};
		for (size_t j = 0; j < 3; j++) {
			char names[256];
			char *rest = NULL;
			snprintf(names, sizeof names, "%s",
			    lists_of[j] && strcmp(lists_of[j], ALL) ? lists_of[j] : "");
			for (char *name = strtok_r(names, " ", &rest); name;
			     name = strtok_r(NULL, " ", &rest)) {
				if (strcmp(database_value(admin,
					       "SELECT count(*) FROM information_schema.columns WHERE "
					       "table_schema = 'public'"
					       " AND table_name = $1 AND column_name = $2",
					       rights[i].table, name),
					"1") != 0)
					fail_msg("there is no %s.%s", rights[i].table, name);
			}
		}
		assert_string_equal(
		    database_value(admin, "SELECT to_regclass($1) IS NOT NULL", rights[i].table), "t");
	}
}

static void functions_and_sequences_are_for_whom_they_are_for(void **state)
{
	static const char *const uploads[] = {"SELECT upload_names(NULL, NULL, '{}', false)",
	    "SELECT upload_version()",
	    "SELECT upload_store(NULL, '', '', '{}', '{}', '{}', 1, '', '', '', '', '', 0, 0)",
	    "SELECT upload_remove(NULL, '', '', '', NULL, false)", "SELECT upload_tend()"};
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		struct pg *pg = database_connect(state, roles[i]);
		try_statement(pg, roles[i], "SELECT enqueue_issuance('a.example.com', 'first_hit')", true);
		try_statement(pg, roles[i], "SELECT site_blocked('a.example.com')", true);
		try_statement(pg, roles[i], "SELECT site_is_passed('a.example.com')",
		    !strcmp(roles[i], "postern_acme"));
		try_statement(pg, roles[i], "SELECT site_exceptions('*.example.com')",
		    !strcmp(roles[i], "postern_edge"));
		try_statement(pg, roles[i], "SELECT certificate_rank(true, 'acme', NULL, NULL, now())",
		    strcmp(roles[i], "postern_acme") != 0);
		try_statement(pg, roles[i], "SELECT site_has_upload('a.example.com')",
		    strcmp(roles[i], "postern_edge") != 0);
		try_statement(pg, roles[i], "SELECT upload_needed_by('a.example.com', NULL)", false);
		for (size_t j = 0; j < sizeof uploads / sizeof *uploads; j++)
			try_statement(pg, roles[i], uploads[j], !strcmp(roles[i], "postern_verifier"));
		try_statement(
		    pg, roles[i], "SELECT add_ticket_key(1, '')", !strcmp(roles[i], "postern_edge"));
		try_statement(pg, roles[i], "SELECT node_leave('a')", true);
		try_statement(pg, roles[i], "SELECT handshakes_answer('a', '{}', '{}')",
		    !strcmp(roles[i], "postern_edge"));
		try_statement(pg, roles[i], "SELECT count_about('nodes', 'true')",
		    !strcmp(roles[i], "postern_verifier"));
		try_statement(pg, roles[i], "SELECT nextval('fences')", !strcmp(roles[i], "postern_acme"));
		try_statement(pg, roles[i], "SELECT setval('fences', 1)", false);
		try_statement(
		    pg, roles[i], "SELECT breaker_enter('ca', 1)", !strcmp(roles[i], "postern_acme"));
		try_statement(pg, roles[i], "SELECT budget_block('ca', 'orders', '', 1)",
		    !strcmp(roles[i], "postern_acme"));
		try_statement(
		    pg, roles[i], "SELECT nextval('webhook_ids')", !strcmp(roles[i], "postern_verifier"));
		try_statement(pg, roles[i], "SELECT webhook_rotate(NULL, 1, 1, '', 1)",
		    !strcmp(roles[i], "postern_verifier"));
		try_statement(pg, roles[i], "SELECT webhook_switch_off(1, 1, 'gone', '')",
		    !strcmp(roles[i], "postern_acme"));
		try_statement(
		    pg, roles[i], "SELECT webhook_expiry_step(1)", !strcmp(roles[i], "postern_acme"));
		try_statement(pg, roles[i], "SELECT webhook_emit('{}', '{}', '{}', '{}')", false);
		try_statement(pg, roles[i], "SELECT domain_words('a.example.com')",
		    !strcmp(roles[i], "postern_verifier"));
		try_statement(pg, roles[i], "CREATE TABLE public.mine (id int)", false);
		try_statement(pg, roles[i],
		    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", false);
		try_statement(pg, roles[i], "CREATE ROLE mine", false);
		try_statement(pg, roles[i], "SET ROLE postgres", false);
	}
}

/* Triggers run as the caller, without a grant on their function. */
static void triggers_fire_for_the_roles_that_write(void **state)
{
	struct pg *verifier = database_connect(state, "postern_verifier");
	struct pg *acme = database_connect(state, "postern_acme");
	database_run(verifier, "INSERT INTO domains (tenant, name, token) VALUES ('default', 'a.example.com',"
			       " 'tttttttttttttttttttttttttttttttttttt')");
	database_run(verifier, "UPDATE domains SET status = 'active'");
	database_run(verifier, "DELETE FROM domains");
	database_run(acme, "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, "
			   "serial, directory,"
			   " not_before, not_after, renew_at) VALUES ('a.example.com', 1, '', '', '', '', "
			   "'', '', now(), now(),"
			   " now())");
	database_run(acme, "UPDATE certificates SET version = 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(roles_do_what_the_matrix_says_and_nothing_else),
	    database_test(matrix_names_what_exists),
	    database_test(functions_and_sequences_are_for_whom_they_are_for),
	    database_test(triggers_fire_for_the_roles_that_write),
	};
	return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
