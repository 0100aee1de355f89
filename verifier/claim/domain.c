#include "verifier/claim/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/process.h"

/* Closes "to_char(column". */
#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* A certificate belongs to the owner of a name: another tenant's pending claim shows none. */
#define CERTIFICATE \
	" CASE WHEN d.status NOT IN ('active', 'drifted', 'suspended') THEN 'none'" \
	"      WHEN c.not_after > now() THEN 'issued'" \
	"      WHEN j.state IN ('queued', 'running') OR j.waits_on IS NOT NULL THEN 'issuing'" \
	"      WHEN j.state = 'failed' THEN 'failed' ELSE 'none' END"
/* What a lasting record says, a line for each CA of ours that offers dns-persist-01. */
#define LASTING \
	" (SELECT string_agg(issuer_names[1] || '; accounturi=' || account_url, E'\n' ORDER BY directory)" \
	"  FROM ca_accounts WHERE status = 'valid' AND account_url IS NOT NULL AND issuer_names <> '{}')"
/* Of its own certificate and its tenant's wildcard the one that serves the name; a row that is not there has
 * the highest rank. What its owner removed is still what was uploaded. */
#define SERVED(row, is_own) \
	row ".issuer, " row ".not_after, CASE WHEN " row ".removed_at IS NULL THEN " row \
	    ".source ELSE 'upload' END, CASE WHEN " row \
	    ".name IS NULL THEN 99 ELSE certificate_rank(" is_own ", " row ".source, " row ".tenant, " row \
	    ".removed_at, " row ".not_after) END"
#define VIEW \
	"SELECT d.id, d.tenant, d.name, d.status, d.token, d.txt_label, d.kind, d.points_here," \
	" to_char(d.created_at" UTC ", to_char(d.verified_at" UTC ", to_char(d.next_check_at" UTC "," \
	" d.options, d.suspended_by," CERTIFICATE " AS certificate," \
	" COALESCE(j.waits_for, j.last_error), c.issuer, to_char(c.not_after" UTC ", c.source," \
	" to_char(j.next_try_at" UTC ", j.last_actor," \
	" k.outcome, k.detail, k.found, to_char(k.checked_at" UTC ", k.checked_by, g.diagnosis," LASTING \
	" FROM domains d" \
	" LEFT JOIN certificates o ON o.name = d.name" \
	" LEFT JOIN certificates w ON w.name = '*' || substr(d.name, strpos(d.name, '.'))" \
	"  AND w.tenant = d.tenant" \
	" CROSS JOIN LATERAL (SELECT x.* FROM (VALUES (" SERVED("o", "true") "), (" SERVED( \
	    "w", "false") "))" \
			  "  AS x (issuer, not_after, source, rank) ORDER BY x.rank LIMIT 1) c" \
			  " LEFT JOIN issuance_jobs j ON j.name = d.name" \
			  " LEFT JOIN domain_diagnoses g ON g.domain_id = d.id" \
			  " LEFT JOIN LATERAL" \
			  " (SELECT * FROM domain_checks WHERE domain_id = d.id ORDER BY id DESC LIMIT 1) " \
			  "k ON true"

void domain_view_read(const PGresult *rows, int row, struct domain_view *view)
{
	int column = 0;
	*view = (struct domain_view){.id = pg_get_int(rows, row, column)};
	const char **const fields[] = {&view->tenant, &view->name, &view->status, &view->token,
	    &view->txt_label, &view->kind, &view->points_here, &view->created_at, &view->verified_at,
	    &view->next_check_at, &view->options, &view->suspended_by, &view->certificate,
	    &view->certificate_reason, &view->certificate_issuer, &view->not_after, &view->certificate_source,
	    &view->next_try_at, &view->certificate_actor, &view->check_outcome, &view->check_detail,
	    &view->check_found, &view->checked_at, &view->checked_by, &view->diagnosis, &view->lasting};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		*fields[i] = pg_get(rows, row, ++column);
}

static void make_token(char token[TXT_TOKEN_MAX + 1])
{
	unsigned char random[DOMAIN_TOKEN / 2];
	process_random(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(token + 2 * i, 3, "%02x", random[i]);
}

enum { TENANTS, NAMES, TOKENS, LABELS, KINDS, STATUSES, OPTIONS, ARRAYS };

static void make_arrays(struct domain_new *claims, int count, char *arrays[ARRAYS])
{
	const char **texts = mem_alloc_array((size_t)count + 1, sizeof *texts);
	for (int column = 0; column < ARRAYS; column++) {
		for (int i = 0; i < count; i++) {
			struct domain_new *claim = &claims[i];
			if (!claim->token[0])
				make_token(claim->token);
			const char *const values[ARRAYS] = {[TENANTS] = claim->tenant,
			    [NAMES] = claim->name,
			    [TOKENS] = claim->token,
			    [LABELS] = claim->txt_label,
			    [KINDS] = claim->is_platform ? "platform" : "customer",
			    [STATUSES] = claim->is_active ? "active" : "pending",
			    [OPTIONS] = claim->options ? claim->options : "{}"};
			texts[i] = values[column];
		}
		arrays[column] = pg_text_array(texts, (size_t)count);
	}
	free(texts);
}

static enum domain_added read_added(const char *word)
{
	static const char *const words[] = {
	    [DOMAIN_ADDED] = "added", [DOMAIN_EXISTS] = "exists", [DOMAIN_FULL] = "full"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum domain_added)i;
	return DOMAIN_OWNED;
}

enum result domain_add(struct pg *pg, const struct scope *scope, int quota, struct domain_new *claims,
    int count, enum domain_added *outcomes, struct error *error)
{
	PGresult *rows = NULL;
	char *arrays[ARRAYS];
	make_arrays(claims, count, arrays);
	enum result result = scope_run(pg, scope, &rows, error,
	    "SELECT line, outcome FROM claims_add(" SCOPE_TENANT
	    ", $2::int, $3, $4, $5, $6, $7, (SELECT array_agg(NULLIF(l, '') ORDER BY n)"
	    " FROM unnest($8::text[]) WITH ORDINALITY AS t (l, n)), $9, $10, $11)",
	    quota >= 0 ? pg_int(quota) : pg_text(NULL), pg_text(scope->actor), pg_text(scope->remote),
	    pg_text(arrays[TENANTS]), pg_text(arrays[NAMES]), pg_text(arrays[TOKENS]),
	    pg_text(arrays[LABELS]), pg_text(arrays[KINDS]), pg_text(arrays[STATUSES]),
	    pg_text(arrays[OPTIONS]));
	for (int i = 0; result == R_OK && i < PQntuples(rows) && i < count; i++)
		outcomes[i] = read_added(pg_get(rows, i, 1));
	for (int i = 0; i < ARRAYS; i++)
		free(arrays[i]);
	PQclear(rows);
	return result;
}

enum result domain_find(struct pg *pg, const struct scope *scope, const char *tenant, const char *name,
    bool lock, PGresult **rows, struct error *error)
{
#define FIND \
	VIEW " WHERE " SCOPE_OF("d") " AND d.name = $2 AND d.status <> 'released'" \
				     " AND ($3::text IS NULL OR d.tenant = $3) ORDER BY d.tenant LIMIT 16"
	return scope_run(
	    pg, scope, rows, error, lock ? FIND " FOR UPDATE OF d" : FIND, pg_text(name), pg_text(tenant));
}

enum result domain_list(struct pg *pg, const struct scope *scope, const struct domain_filter *filter,
    const struct domain_place *after, int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    "SELECT * FROM (" VIEW " WHERE " SCOPE_OF(
		"d") " AND ($2::text IS NULL OR d.tenant = $2)"
		     " AND (d.status = $3 OR ($3::text IS NULL AND d.status <> 'released'))"
		     " AND ($4::text IS NULL OR" CERTIFICATE " = $4)"
		     " AND ($5::text IS NULL OR d.name = $5 OR right(d.name, length($5) + 1) = '.' || $5)"
		     " AND (d.name, d.tenant, d.id) > ($6, $7, $8::bigint)"
		     " AND ($10::text IS NULL OR (strpos(d.name, $11) > 0 AND domain_words(d.name) @> "
		     "$10::text[]))"
		     " ORDER BY d.name, d.tenant, d.id LIMIT $9::int) AS page",
	    pg_text(filter->tenant), pg_text(filter->status), pg_text(filter->certificate),
	    pg_text(filter->within), pg_text(after->name), pg_text(after->tenant), pg_int(after->id),
	    pg_int(limit), pg_text(filter->search ? filter->search->words : NULL),
	    pg_text(filter->search ? filter->search->part : NULL));
}

static enum result changed(enum result result, PGresult *rows)
{
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

static enum result remove_once(struct pg *pg, const struct scope *scope, int64_t id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH gone AS (DELETE FROM domains d WHERE " SCOPE_OF(
		"d") " AND d.id = $2 AND d.status = 'pending'"
		     "              RETURNING d.tenant, d.name),"
		     " released AS (UPDATE domains d SET status = 'released', status_changed_at = "
		     "clock_timestamp(),"
		     "              points_here = NULL, next_check_at = NULL, check_lease_until = NULL"
		     "              WHERE " SCOPE_OF(
			 "d") " AND d.id = $2 AND d.status IN ('active', 'drifted', 'suspended')"
			      "              RETURNING d.tenant, d.name),"
			      " e AS (INSERT INTO domain_events (tenant, name, event, actor, remote)"
			      "       SELECT tenant, name, 'deleted', $3, $4 FROM gone UNION ALL"
			      "       SELECT tenant, name, 'released', $3, $4 FROM released)"
			      " SELECT 1 FROM gone UNION ALL SELECT 1 FROM released",
	    pg_int(id), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

/* Twice: a check that makes the claim active at this very moment hides it from both halves of the statement.
 */
enum result domain_remove(struct pg *pg, const struct scope *scope, int64_t id, struct error *error)
{
	enum result result = remove_once(pg, scope, id, error);
	return result == R_NONE ? remove_once(pg, scope, id, error) : result;
}

enum result domain_set_options(
    struct pg *pg, const struct scope *scope, int64_t id, const char *options, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH u AS (UPDATE domains d SET options = $3::jsonb WHERE " SCOPE_OF(
		"d") "           AND d.id = $2 AND d.status <> 'released' RETURNING d.tenant, d.name),"
		     " e AS (INSERT INTO domain_events (tenant, name, event, actor, remote, detail)"
		     "       SELECT tenant, name, 'options_changed', $4, $5, $3 FROM u)"
		     " SELECT 1 FROM u",
	    pg_int(id), pg_text(options), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

enum result domain_suspend(
    struct pg *pg, const struct scope *scope, int64_t id, bool suspend, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH u AS (UPDATE domains d SET status = CASE WHEN $3::bool THEN 'suspended' ELSE 'active' END,"
	    "           suspended_by = CASE WHEN $3::bool THEN 'operator' END, status_changed_at = now(),"
	    "           next_check_at = CASE WHEN $3::bool OR d.kind = 'platform' THEN NULL ELSE now() END"
	    "           WHERE " SCOPE_OF(
		"d") " AND d.id = $2 AND (d.status IN ('active', 'drifted')"
		     "           OR d.status = 'suspended' AND (NOT $3::bool OR d.suspended_by IS DISTINCT "
		     "FROM 'operator'))"
		     "           AND (d.status = 'suspended' OR $3::bool) RETURNING d.tenant, d.name, "
		     "d.status),"
		     " e AS (INSERT INTO domain_events (tenant, name, event, actor, remote)"
		     "       SELECT tenant, name, CASE WHEN $3::bool THEN 'suspended' ELSE 'resumed' END, "
		     "$4, $5 FROM u)"
		     " SELECT 1 FROM u",
	    pg_int(id), pg_text(suspend ? "t" : "f"), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

enum result domains_are_allowed(
    struct pg *pg, int timeout_ms, const char *const *names, size_t count, bool *allowed, struct error *error)
{
	PGresult *rows = NULL;
	char *array = pg_text_array(names, count);
	enum result result = pg_run(pg, timeout_ms, &rows, error,
	    "SELECT EXISTS (SELECT 1 FROM domains d WHERE d.name = q.name AND d.status IN ('active', "
	    "'drifted'))"
	    " FROM unnest($1::text[]) WITH ORDINALITY AS q (name, place) ORDER BY q.place",
	    pg_text(array));
	for (size_t i = 0; i < count; i++)
		allowed[i] = result == R_OK && pg_get_bool(rows, (int)i, 0);
	PQclear(rows);
	free(array);
	return result;
}
