/*
 * What the edges have seen of a name, for its explanation: asked early, read late.
 */
#ifndef VERIFIER_API_API_EXPLAIN_EDGES_H
#define VERIFIER_API_API_EXPLAIN_EDGES_H

#include "verifier/api/api_call.h"

struct edges_question {
	const char *name;  /* lives on */
	char asked_at[48]; /* "": the caller may not know */
	int64_t until_ms;
};

enum result edges_ask(struct api_call *call, struct pg *pg, struct edges_question *question, const char *name,
    struct error *error);
/* Waits until all that are alive have answered, or their time is over. Holds no connection meanwhile. */
void edges_wait(struct api_call *call, const struct edges_question *question);
/* Rows of explain_refusals_sql, to be cleared; NULL where the caller may not know. */
enum result edges_refusals(struct api_call *call, struct pg *pg, const struct edges_question *question,
    PGresult **rows, struct error *error);
/* An array; each refusal with what it means. */
enum result edges_read(struct api_call *call, struct pg *pg, const struct edges_question *question,
    json_t **handshakes, struct error *error);

#endif
