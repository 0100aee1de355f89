#include "verifier/claim/domain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/process.h"
#include "verifier/claim/schedule.h"

enum { QUERY_MS = 2000 };

/* Closes "to_char(column". */
#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* A certificate belongs to the owner of a name: another tenant's pending claim shows none. */
#define VIEW \
	"SELECT d.id, d.tenant, d.name, d.status, d.token, d.points_here, to_char(d.created_at" UTC "," \
	" to_char(d.verified_at" UTC ", to_char(d.next_check_at" UTC "," \
	" CASE WHEN d.status NOT IN ('active', 'drifted', 'suspended') THEN 'none'" \
	"      WHEN c.not_after > now() THEN 'issued'" \
	"      WHEN j.state IN ('queued', 'running') OR j.waits_on IS NOT NULL THEN 'issuing'" \
	"      WHEN j.state = 'failed' THEN 'failed' ELSE 'none' END AS certificate," \
	" COALESCE(j.waits_for, j.last_error), c.issuer, to_char(c.not_after" UTC \
	", to_char(j.next_try_at" UTC "," \
	" k.outcome, k.detail, k.found, to_char(k.checked_at" UTC ", k.checked_by" \
	" FROM domains d" \
	" LEFT JOIN certificates c ON c.name = d.name" \
	" LEFT JOIN issuance_jobs j ON j.name = d.name" \
	" LEFT JOIN LATERAL" \
	" (SELECT * FROM domain_checks WHERE domain_id = d.id ORDER BY id DESC LIMIT 1) k ON true"

void domain_view_read(const PGresult *rows, int row, struct domain_view *view)
{
	int column = 0;
	*view = (struct domain_view){.id = pg_get_int(rows, row, column)};
	const char **const fields[] = {&view->tenant, &view->name, &view->status, &view->token,
	    &view->points_here, &view->created_at, &view->verified_at, &view->next_check_at,
	    &view->certificate, &view->certificate_reason, &view->certificate_issuer, &view->not_after,
	    &view->next_try_at, &view->check_outcome, &view->check_detail, &view->check_found,
	    &view->checked_at, &view->checked_by};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		*fields[i] = pg_get(rows, row, ++column);
}

static void make_token(char token[DOMAIN_TOKEN + 1])
{
	unsigned char random[DOMAIN_TOKEN / 2];
	process_random(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
}

enum result domain_add(
    struct pg *pg, const char *tenant, const char *name, const char *actor, struct error *error)
{
	char token[DOMAIN_TOKEN + 1];
	make_token(token);
	enum result result = pg_run(pg, QUERY_MS, NULL, error,
	    "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", pg_text(tenant));
	if (result != R_OK)
		return result;
	PGresult *rows = NULL;
	result = pg_run(pg, QUERY_MS, &rows, error,
	    "WITH d AS (INSERT INTO domains (tenant, name, token) VALUES ($1, $2, $3)"
	    "           ON CONFLICT (tenant, name) WHERE status <> 'released' DO NOTHING RETURNING id, "
	    "tenant, name),"
	    " e AS (INSERT INTO domain_events (tenant, name, event, actor) SELECT tenant, name, 'added', $4 "
	    "FROM d)"
	    " SELECT id FROM d",
	    pg_text(tenant), pg_text(name), pg_text(token), pg_text(actor));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

enum result domain_find(
    struct pg *pg, const char *tenant, const char *name, PGresult **rows, struct error *error)
{
	return pg_run(pg, QUERY_MS, rows, error,
	    VIEW " WHERE d.name = $1 AND d.status <> 'released' AND ($2::text IS NULL OR d.tenant = $2)"
		 " ORDER BY d.tenant LIMIT 16",
	    pg_text(name), pg_text(tenant));
}

enum result domain_list(struct pg *pg, const char *tenant, const char *status,
    const struct domain_place *after, int limit, PGresult **rows, struct error *error)
{
	return pg_run(pg, QUERY_MS, rows, error,
	    VIEW " WHERE ($1::text IS NULL OR d.tenant = $1)"
		 " AND (d.status = $2 OR ($2::text IS NULL AND d.status <> 'released'))"
		 " AND (d.name, d.tenant, d.id) > ($3, $4, $5::bigint)"
		 " ORDER BY d.name, d.tenant, d.id LIMIT $6::int",
	    pg_text(tenant), pg_text(status), pg_text(after->name), pg_text(after->tenant), pg_int(after->id),
	    pg_int(limit));
}

static enum result remove_once(struct pg *pg, int64_t id, const char *actor, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "WITH gone AS (DELETE FROM domains WHERE id = $1 AND status = 'pending' RETURNING tenant, name),"
	    " released AS (UPDATE domains SET status = 'released', status_changed_at = now(), points_here = "
	    "NULL,"
	    "              next_check_at = NULL, check_lease_until = NULL"
	    "              WHERE id = $1 AND status IN ('active', 'drifted', 'suspended') RETURNING tenant, "
	    "name),"
	    " e AS (INSERT INTO domain_events (tenant, name, event, actor)"
	    "       SELECT tenant, name, 'deleted', $2 FROM gone UNION ALL SELECT tenant, name, 'released', "
	    "$2 FROM released)"
	    " SELECT 1 FROM gone UNION ALL SELECT 1 FROM released",
	    pg_int(id), pg_text(actor));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

/* Twice: a check that makes the claim active at this very moment hides it from both halves of the statement.
 */
enum result domain_remove(struct pg *pg, int64_t id, const char *actor, struct error *error)
{
	enum result result = remove_once(pg, id, actor, error);
	return result == R_NONE ? remove_once(pg, id, actor, error) : result;
}

static_assert(DOMAIN_LEASE_S == 15, "the statements below say 15 seconds");

static void read_claim(const PGresult *rows, int row, struct domain_claim *claim)
{
	*claim =
	    (struct domain_claim){.id = pg_get_int(rows, row, 0), .checks = (int)pg_get_int(rows, row, 5)};
	snprintf(claim->tenant, sizeof claim->tenant, "%s", pg_get(rows, row, 1));
	snprintf(claim->name, sizeof claim->name, "%s", pg_get(rows, row, 2));
	snprintf(claim->status, sizeof claim->status, "%s", pg_get(rows, row, 3));
	snprintf(claim->token, sizeof claim->token, "%s", pg_get(rows, row, 4));
}

enum result domain_claim(struct pg *pg, int64_t id, struct domain_claim *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "UPDATE domains SET check_lease_until = clock_timestamp() + interval '15 seconds', checks = 0"
	    " WHERE id = $1 AND status <> 'released' RETURNING id, tenant, name, status, token, checks",
	    pg_int(id));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	if (result == R_OK)
		read_claim(rows, 0, out);
	PQclear(rows);
	return result;
}

enum result domain_claim_due(
    struct pg *pg, int limit, struct domain_claim *out, int *count, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "WITH due AS MATERIALIZED (SELECT id FROM domains WHERE next_check_at <= clock_timestamp()"
	    "  AND (check_lease_until IS NULL OR check_lease_until < clock_timestamp())"
	    "  AND status IN ('pending', 'active') ORDER BY next_check_at LIMIT $1::int FOR UPDATE SKIP "
	    "LOCKED)"
	    " UPDATE domains d SET check_lease_until = clock_timestamp() + interval '15 seconds'"
	    " FROM due WHERE d.id = due.id"
	    " RETURNING d.id, d.tenant, d.name, d.status, d.token, d.checks",
	    pg_int(limit));
	*count = result == R_OK ? PQntuples(rows) : 0;
	for (int i = 0; i < *count; i++)
		read_claim(rows, i, &out[i]);
	PQclear(rows);
	return result;
}

/* $1 id, $2 token, $3 outcome, $4 detail, $5 found, $6 took_ms, $7 by, $8 activate, $9 points here, $10
 * checks, $11 seconds until the next check, $12 pre-issue. A name that is active, points here and needs no
 * more watching has no next check. A certificate that is good for another day needs no order. */
static const char settle_sql[] =
    "WITH old AS (SELECT id, status FROM domains WHERE id = $1 AND token = $2 AND status <> 'released' FOR "
    "UPDATE),"
    " k AS (INSERT INTO domain_checks (domain_id, checked_by, outcome, detail, found, took_ms)"
    "       SELECT id, $7, $3, $4, $5::jsonb, $6::int FROM domains WHERE id = $1),"
    " d AS (UPDATE domains SET"
    "   status = CASE WHEN $8::bool AND old.status = 'pending' THEN 'active' ELSE old.status END,"
    "   status_changed_at = CASE WHEN $8::bool AND old.status = 'pending' THEN now() ELSE status_changed_at "
    "END,"
    "   verified_at = CASE WHEN $8::bool THEN now() ELSE verified_at END,"
    "   points_here = COALESCE($9::bool, points_here), checks = $10::int, check_lease_until = NULL,"
    "   next_check_at = CASE WHEN ($8::bool OR old.status = 'active') AND COALESCE($9::bool, points_here)"
    "     THEN NULL ELSE clock_timestamp() + $11::int * interval '1 second' END"
    "   FROM old WHERE domains.id = old.id"
    "   RETURNING domains.tenant, domains.name, domains.status, domains.points_here,"
    "     old.status = 'pending' AND domains.status = 'active' AS activated),"
    " e AS (INSERT INTO domain_events (tenant, name, event, actor) SELECT tenant, name, 'verified', $7 FROM d"
    "       WHERE activated),"
    " old_checks AS (DELETE FROM domain_checks WHERE domain_id = $1 AND id <= (SELECT id FROM domain_checks"
    "       WHERE domain_id = $1 ORDER BY id DESC OFFSET 200 LIMIT 1))"
    " SELECT CASE WHEN $12::bool AND d.points_here AND d.status = 'active' AND NOT EXISTS"
    "   (SELECT 1 FROM certificates c WHERE c.name = d.name AND c.not_after > now() + interval '1 day')"
    "   THEN enqueue_issuance(d.name, 'pre_issue') END FROM d";
static_assert(DOMAIN_CHECKS_KEPT == 200, "the statement above says 200");

static enum result settle(struct pg *pg, const struct domain_claim *claim,
    const struct domain_verdict *verdict, bool activate, bool pre_issue, struct error *error)
{
	static const char *const routing_words[] = {
	    [ROUTING_UNKNOWN] = NULL, [ROUTING_HERE] = "t", [ROUTING_ELSEWHERE] = "f"};
	bool fresh = strcmp(verdict->by, "api") == 0 || (activate && strcmp(claim->status, "pending") == 0);
	int checks = fresh ? 0 : claim->checks + 1;
	int next_s = schedule_next_s(checks);
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error, settle_sql, pg_int(claim->id),
	    pg_text(claim->token), pg_text(txt_outcome_name(verdict->txt)), pg_text(verdict->detail),
	    pg_text(verdict->found), pg_int(verdict->took_ms), pg_text(verdict->by),
	    pg_text(activate ? "t" : "f"), pg_text(routing_words[verdict->routing]), pg_int(checks),
	    next_s >= 0 ? pg_int(next_s) : pg_text(NULL), pg_text(pre_issue ? "t" : "f"));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

enum result domain_settle(struct pg *pg, const struct domain_claim *claim,
    const struct domain_verdict *verdict, bool pre_issue, struct error *error)
{
	static const char unique_violation[] = "23505";
	bool proven = verdict->txt == TXT_VERIFIED;
	enum result result = settle(pg, claim, verdict, proven, pre_issue, error);
	if (result != R_ERROR || !proven || strcmp(pg_sqlstate(pg), unique_violation) != 0)
		return result;
	result = settle(pg, claim, verdict, false, pre_issue, error);
	return result == R_OK ? R_DENIED : result;
}

enum result domain_is_allowed(
    struct pg *pg, int timeout_ms, const char *name, bool *allowed, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, timeout_ms, &rows, error,
	    "SELECT EXISTS (SELECT 1 FROM domains WHERE name = $1 AND status IN ('active', 'drifted'))",
	    pg_text(name));
	*allowed = result == R_OK && pg_get_bool(rows, 0, 0);
	PQclear(rows);
	return result;
}
