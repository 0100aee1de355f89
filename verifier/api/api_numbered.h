/*
 * What the API keeps under numbers for a tenant or the operator: tokens, portal links, webhooks. Listed page
 * by page, shown, ended, in one way for all of them.
 */
#ifndef VERIFIER_API_API_NUMBERED_H
#define VERIFIER_API_API_NUMBERED_H

#include "verifier/api/api_call.h"

struct api_numbered {
	const char *noun; /* "portal link" */
	const char *page; /* the list's name in its page */
	json_t *(*json)(const PGresult *rows, int row);
	/* `place` is the number of the page before's last; 0: the first page. */
	enum result (*list)(struct pg *pg, const struct scope *scope, const char *tenant, int64_t place,
	    int limit, PGresult **rows, struct error *error);
	/* No row: there is none in this scope. */
	enum result (*show)(
	    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error);
	/* R_NONE: there is none that has not ended. */
	enum result (*end)(struct pg *pg, const struct scope *scope, int64_t id, struct error *error);
};

/* Whole handlers. */
void api_numbered_list(struct api_call *call, const struct api_numbered *kind);
void api_numbered_show(struct api_call *call, const struct api_numbered *kind);
void api_numbered_end(struct api_call *call, const struct api_numbered *kind);

/* For a handler of {id} that does more. Each NULL after a problem was replied. */
struct pg *api_numbered_begin(struct api_call *call, const struct api_numbered *kind, int64_t *id);
json_t *api_numbered_find(struct api_call *call, struct pg *pg, const struct api_numbered *kind, int64_t id);
/* 404. */
void api_numbered_unknown(struct api_call *call, const char *noun);

#endif
