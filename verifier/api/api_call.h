/*
 * One request to the API as its handlers see it, and what they share.
 */
#ifndef VERIFIER_API_API_CALL_H
#define VERIFIER_API_API_CALL_H

#include <jansson.h>

#include "common/dns/resolver.h"
#include "verifier/config.h"
#include "verifier/http/mhd.h"
#include "verifier/pg_pool.h"

struct api_call {
	const struct config *config;
	struct pg_pool *pool;
	struct resolver *resolver;
	const struct mhd_request *request;
	struct mhd_reply *reply;
	const char *actor; /* who did it, for the audit trail: "admin-token", "dashboard" */
};

/* Takes the JSON. */
void api_call_json(struct api_call *call, unsigned status, json_t *json);
/* The body as a JSON object with these fields only; NULL after a problem was replied. */
json_t *api_call_body(struct api_call *call, const char *const *fields);

/* Nothing but these parameters is in the address, each once and with a value; false after a problem was
 * replied. A misspelt ?tenant= must not delete somebody else's claim. */
bool api_call_query(struct api_call *call, const char *const *known);
/* ?tenant=, or NULL where it is not given; false after a problem was replied. */
bool api_call_is_tenant(struct api_call *call, const char *tenant);
bool api_call_tenant(struct api_call *call, const char **tenant);

/* api_list.c */
void api_domains_list(struct api_call *call);

/* api_domains.c; `name` is as it came. */
void api_domains_add(struct api_call *call);
void api_domains_show(struct api_call *call, const char *name);
void api_domains_remove(struct api_call *call, const char *name);
void api_domains_verify(struct api_call *call, const char *name);

/* api_session.c */
void api_session_create(struct api_call *call);
void api_session_show(struct api_call *call);
void api_session_end(struct api_call *call);
/* R_OK: the request's cookie is a live session's, and the request comes from our own page where that matters;
 * otherwise a problem was replied. */
enum result api_session_accept(struct api_call *call);

#endif
