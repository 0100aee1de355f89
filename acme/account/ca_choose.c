#include "acme/account/ca_choose.h"

#include <string.h>

/* Not the CA's view of the name, but of what we sent. */
static bool is_our_fault(const struct acme_failure *failure)
{
	return failure->type[0] == '\0' || strcmp(failure->type, "malformed") == 0 ||
	       strcmp(failure->type, "badCSR") == 0;
}

/* Seconds for which the CA is passed over after the count-th failure in a row; 0: it is not. */
static int64_t bar_s_of(const struct acme_failure *failure, int count)
{
	int64_t lasting = failure->retry_after > CHOOSE_TROUBLE_S ? failure->retry_after : CHOOSE_TROUBLE_S;
	switch (failure->cause) {
	case CAUSE_RATE_LIMITED:
		if (failure->retry_after >= CHOOSE_FAR_S)
			return failure->retry_after;
		return count >= CHOOSE_TROUBLES ? lasting : 0;
	case CAUSE_CA:
	case CAUSE_NETWORK: return count >= CHOOSE_TROUBLES ? lasting : 0;
	case CAUSE_CAA: return CHOOSE_REFUSED_S;
	case CAUSE_REJECTED: return is_our_fault(failure) ? 0 : CHOOSE_REFUSED_S;
	default: return 0;
	}
}

/* until[i]: seconds since 1970 until which the i-th CA is passed over for the name; 0: it is not. */
static enum result load_bars(
    struct pg *pg, const struct ca_list *list, const char *name, int64_t until[CA_MAX], struct error *error)
{
	PGresult *rows = NULL;
	memset(until, 0, CA_MAX * sizeof *until);
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT directory, ceil(extract(epoch FROM retry_at))::bigint FROM ca_trouble"
	    " WHERE name = $1 AND retry_at > now()",
	    pg_text(name));
	for (int row = 0; result == R_OK && row < PQntuples(rows); row++) {
		size_t index = ca_list_find(list, pg_get(rows, row, 0));
		if (index < list->count)
			until[index] = pg_get_int(rows, row, 1);
	}
	PQclear(rows);
	return result;
}

enum result ca_choose(
    struct pg *pg, const struct ca_list *list, const struct job *job, size_t *index, struct error *error)
{
	int64_t until[CA_MAX];
	*index = 0;
	if (list->count < 2)
		return R_OK;
	enum result result = load_bars(pg, list, job->name, until, error);
	if (result != R_OK)
		return result;
	size_t current = job->step == JOB_NONE ? list->count : ca_list_find(list, job->directory);
	if (current < list->count && (until[current] == 0 || until[1 - current] != 0))
		*index = current;
	else
		*index = until[0] <= until[1] ? 0 : 1;
	return R_OK;
}

enum result ca_note_failure(struct pg *pg, const struct ca_list *list, const struct job *job, size_t index,
    struct acme_failure *failure, struct error *error)
{
	int64_t until[CA_MAX];
	PGresult *rows = NULL;
	if (list->count < 2)
		return R_OK;
	const char *directory = ca_directory_url(list->cas[index]);
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "INSERT INTO ca_trouble AS t (name, directory, cause, retry_at) VALUES ($1, $2, $3, now())"
	    " ON CONFLICT (name, directory) DO UPDATE SET last_at = now(), cause = EXCLUDED.cause, count ="
	    "  CASE WHEN (t.cause IN ('ca', 'network')) = (EXCLUDED.cause IN ('ca', 'network'))"
	    "  THEN t.count + 1 ELSE 1 END"
	    " RETURNING count",
	    pg_text(job->name), pg_text(directory), pg_text(acme_cause_name(failure->cause)));
	int64_t bar_s = result == R_OK ? bar_s_of(failure, (int)pg_get_int(rows, 0, 0)) : 0;
	PQclear(rows);
	if (result != R_OK || bar_s == 0)
		return result;
	result = pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "UPDATE ca_trouble SET retry_at = now() + $3::bigint * interval '1 second'"
	    " WHERE name = $1 AND directory = $2",
	    pg_text(job->name), pg_text(directory), pg_int(bar_s));
	if (result == R_OK)
		result = load_bars(pg, list, job->name, until, error);
	failure->elsewhere = result == R_OK && until[1 - index] == 0;
	return result;
}
