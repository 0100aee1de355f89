#include "verifier/api/api_explain_edges.h"

#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/explain/explain_edges.h"
#include "verifier/api/api_rows.h"

static enum result query(struct api_call *call, struct pg *pg, const struct edges_question *question,
    const char *sql, PGresult **rows, struct error *error)
{
	return scope_run(
	    pg, &call->scope, rows, error, sql, pg_text(question->name), pg_text(question->asked_at));
}

enum result edges_ask(struct api_call *call, struct pg *pg, struct edges_question *question, const char *name,
    struct error *error)
{
	PGresult *rows = NULL;
	*question =
	    (struct edges_question){.name = name, .until_ms = clock_monotonic_ms() + EXPLAIN_EDGES_MS};
	enum result result = scope_run(pg, &call->scope, &rows, error, explain_edges_ask_sql, pg_text(name));
	if (result == R_OK && PQntuples(rows) > 0)
		snprintf(question->asked_at, sizeof question->asked_at, "%s", pg_get(rows, 0, 0));
	PQclear(rows);
	return result;
}

static bool have_answered(struct api_call *call, const struct edges_question *question)
{
	struct error error = {""};
	PGresult *rows = NULL;
	struct pg *pg = pg_pool_take(call->pool, &error);
	enum result result = R_DOWN;
	if (pg)
		result = query(call, pg, question, explain_edges_missing_sql, &rows, &error);
	bool done = result != R_OK || pg_get_int(rows, 0, 0) == 0;
	PQclear(rows);
	if (pg)
		pg_pool_give(call->pool, pg);
	return done;
}

void edges_wait(struct api_call *call, const struct edges_question *question)
{
	const struct timespec step = {.tv_nsec = EXPLAIN_EDGES_STEP_MS * 1000000L};
	while (question->asked_at[0] && !have_answered(call, question) &&
	       clock_monotonic_ms() < question->until_ms)
		nanosleep(&step, NULL);
}

static void add_meanings(json_t *handshakes)
{
	size_t index = 0, place = 0;
	json_t *node = NULL, *refusal = NULL;
	json_array_foreach(handshakes, index, node)
	{
		json_array_foreach(json_object_get(json_object_get(node, "seen"), "refusals"), place, refusal)
		{
			const char *cause = json_string_value(json_object_get(refusal, "cause"));
			const struct refusal_cause *known = refusal_cause_find(cause ? cause : "");
			json_object_set_new(refusal, "who", json_string(known->who));
			json_object_set_new(refusal, "meaning", json_string(known->meaning));
		}
	}
}

enum result edges_refusals(struct api_call *call, struct pg *pg, const struct edges_question *question,
    PGresult **rows, struct error *error)
{
	return question->asked_at[0] ? query(call, pg, question, explain_refusals_sql, rows, error) : R_OK;
}

enum result edges_read(struct api_call *call, struct pg *pg, const struct edges_question *question,
    json_t **handshakes, struct error *error)
{
	PGresult *rows = NULL;
	*handshakes = json_array();
	if (!question->asked_at[0])
		return R_OK;
	enum result result = query(call, pg, question, explain_edges_sql, &rows, error);
	if (result == R_OK) {
		json_decref(*handshakes);
		*handshakes = api_rows_json(rows);
		add_meanings(*handshakes);
	}
	PQclear(rows);
	return result;
}
