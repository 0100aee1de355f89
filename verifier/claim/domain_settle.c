/*
 * Claims taken for a check, and what the check comes to.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "verifier/claim/domain.h"
#include "verifier/claim/schedule.h"

static_assert(DOMAIN_LEASE_S == 15, "the statements below say 15 seconds");
static_assert(DOMAIN_CHECKS_KEPT == 200, "claim_settle of sql/0005_tenants.sql says 200");

/* Of a claim `d` that was just leased. */
#define CLAIM_COLUMNS \
	" SELECT d.id, d.tenant, d.name, d.status, d.token, d.txt_label, d.checks, o.id, o.token, " \
	"o.txt_label," \
	" g.basis, g.is_full, g.is_troubled, extract(epoch FROM clock_timestamp() - g.made_at)::int" \
	" FROM d LEFT JOIN domains o ON o.name = d.name AND o.id <> d.id AND d.status = 'pending'" \
	" AND o.status IN ('active', 'drifted', 'suspended')" \
	" LEFT JOIN domain_diagnoses g ON g.domain_id = d.id"

static void copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void read_claim(const PGresult *rows, int row, struct domain_claim *claim)
{
	*claim =
	    (struct domain_claim){.id = pg_get_int(rows, row, 0), .checks = (int)pg_get_int(rows, row, 6)};
	copy(claim->tenant, sizeof claim->tenant, pg_get(rows, row, 1));
	copy(claim->name, sizeof claim->name, pg_get(rows, row, 2));
	copy(claim->status, sizeof claim->status, pg_get(rows, row, 3));
	copy(claim->token, sizeof claim->token, pg_get(rows, row, 4));
	copy(claim->txt_label, sizeof claim->txt_label, pg_get(rows, row, 5));
	claim->rival.id = pg_get_int(rows, row, 7);
	copy(claim->rival.token, sizeof claim->rival.token, pg_get(rows, row, 8));
	copy(claim->rival.txt_label, sizeof claim->rival.txt_label, pg_get(rows, row, 9));
	copy(claim->memory.basis, sizeof claim->memory.basis, pg_get(rows, row, 10));
	claim->memory.is_full = pg_get_bool(rows, row, 11);
	claim->memory.is_troubled = pg_get_bool(rows, row, 12);
	claim->memory.age_s = (int)pg_get_int(rows, row, 13);
}

enum result domain_claim(
    struct pg *pg, const struct scope *scope, int64_t id, struct domain_claim *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH d AS (UPDATE domains d SET check_lease_until = clock_timestamp() + interval '15 seconds', "
	    "checks = 0"
	    " WHERE " SCOPE_OF("d") " AND d.id = $2 AND d.status <> 'released' RETURNING d.*)" CLAIM_COLUMNS,
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
	enum result result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
	    "WITH due AS MATERIALIZED (SELECT id FROM domains WHERE next_check_at <= clock_timestamp()"
	    "  AND (check_lease_until IS NULL OR check_lease_until < clock_timestamp())"
	    "  AND kind = 'customer' AND (status IN ('pending', 'active', 'drifted')"
	    "       OR (status = 'suspended' AND suspended_by = 'drift'))"
	    "  ORDER BY next_check_at LIMIT $1::int FOR UPDATE SKIP LOCKED),"
	    " d AS (UPDATE domains d SET check_lease_until = clock_timestamp() + interval '15 seconds'"
	    " FROM due WHERE d.id = due.id RETURNING d.*)" CLAIM_COLUMNS " LIMIT $1::int",
	    pg_int(limit));
	*count = result == R_OK ? PQntuples(rows) : 0;
	for (int i = 0; i < *count; i++)
		read_claim(rows, i, &out[i]);
	PQclear(rows);
	return result;
}

static enum domain_settled read_settled(const char *word)
{
	static const char *const words[] = {[DOMAIN_SETTLED] = "settled",
	    [DOMAIN_VERIFIED] = "verified",
	    [DOMAIN_DRIFTED] = "drifted",
	    [DOMAIN_RECOVERED] = "recovered",
	    [DOMAIN_SUSPENDED] = "suspended",
	    [DOMAIN_RESUMED] = "resumed",
	    [DOMAIN_IS_OWNED] = "owned",
	    [DOMAIN_IS_STALE] = "stale",
	    [DOMAIN_IS_LOST] = "lost"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return (enum domain_settled)i;
	return DOMAIN_SETTLED;
}

/* "t": it is there, "f": it is gone for certain, NULL: nobody knows. */
static const char *txt_word(enum txt_outcome outcome)
{
	switch (outcome) {
	case TXT_VERIFIED: return "t";
	case TXT_ABSENT:
	case TXT_MISMATCH: return "f";
	case TXT_TEMPORARY:
	case TXT_BOGUS: break;
	}
	return NULL;
}

/* A claim that is gone meanwhile takes none. */
static enum result keep_diagnosis(struct pg *pg, const struct scope *scope, const struct domain_claim *claim,
    const struct domain_diagnosis *diagnosis, struct error *error)
{
	if (!diagnosis->json)
		return R_OK;
	return scope_run(pg, scope, NULL, error,
	    "INSERT INTO domain_diagnoses AS g (domain_id, basis, is_full, is_troubled, diagnosis)"
	    " SELECT d.id, $3, $4::bool, $5::bool, $6::jsonb FROM domains d"
	    " WHERE " SCOPE_OF("d") " AND d.id = $2 AND d.status <> 'released' FOR KEY SHARE"
				    " ON CONFLICT (domain_id) DO UPDATE SET made_at = clock_timestamp(), "
				    "basis = EXCLUDED.basis,"
				    "  is_full = EXCLUDED.is_full, is_troubled = EXCLUDED.is_troubled, "
				    "diagnosis = EXCLUDED.diagnosis",
	    pg_int(claim->id), pg_text(diagnosis->memory.basis),
	    pg_text(diagnosis->memory.is_full ? "t" : "f"),
	    pg_text(diagnosis->memory.is_troubled ? "t" : "f"), pg_text(diagnosis->json));
}

enum result domain_settle(struct pg *pg, const struct scope *scope, const struct domain_claim *claim,
    const struct domain_verdict *verdict, const struct claim_rules *rules, enum domain_settled *settled,
    struct error *error)
{
	static const char *const routing_words[] = {
	    [ROUTING_UNKNOWN] = NULL, [ROUTING_HERE] = "t", [ROUTING_ELSEWHERE] = "f"};
	bool fresh = strcmp(verdict->by, "api") == 0 ||
		     (verdict->txt == TXT_VERIFIED && strcmp(claim->status, "pending") == 0);
	int checks = fresh ? 0 : claim->checks + 1;
	int next_s = schedule_next_s(checks);
	const char *rival = txt_word(verdict->rival);
	PGresult *rows = NULL;
	enum result result = keep_diagnosis(pg, scope, claim, &verdict->diagnosis, error);
	*settled = DOMAIN_IS_LOST;
	if (result != R_OK)
		return result;
	result = scope_run(pg, scope, &rows, error,
	    "SELECT claim_settle(d.id, $3, $4, $5, $6::jsonb, $7::int, $8, $9, $10, $11::bool, $12::bool, "
	    "$13::bigint,"
	    " $14::bool, $15::int, $16::int, $17::bigint, $18::bigint, $19::bigint, $20::bool)"
	    " FROM domains d WHERE " SCOPE_OF("d") " AND d.id = $2",
	    pg_int(claim->id), pg_text(claim->token), pg_text(txt_outcome_name(verdict->txt)),
	    pg_text(verdict->detail), pg_text(verdict->found), pg_int(verdict->took_ms), pg_text(verdict->by),
	    pg_text(scope->actor), pg_text(scope->remote), pg_text(txt_word(verdict->txt)),
	    pg_text(routing_words[verdict->routing]), pg_int(claim->rival.id),
	    pg_text(rival && *rival == 'f' ? "t" : "f"), pg_int(checks),
	    next_s >= 0 ? pg_int(next_s) : pg_text(NULL), pg_int(rules->reverify_s), pg_int(rules->suspend_s),
	    pg_int(rules->quarantine_s), pg_text(rules->pre_issue ? "t" : "f"));
	*settled = result == R_OK && PQntuples(rows) ? read_settled(pg_get(rows, 0, 0)) : DOMAIN_IS_LOST;
	PQclear(rows);
	return result;
}
