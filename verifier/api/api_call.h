/*
 * One request to the API as its handlers see it, and what they share: who asks, what the address holds, how
 * an answer is made.
 */
#ifndef VERIFIER_API_API_CALL_H
#define VERIFIER_API_API_CALL_H

#include <jansson.h>

#include "common/dns/resolver.h"
#include "common/net/net.h"
#include "verifier/access/scope.h"
#include "verifier/access/token.h"
#include "verifier/config.h"
#include "verifier/http/mhd.h"
#include "verifier/pg_pool.h"

struct api_route;
struct diagnoser;

#define API_DEFAULT_TENANT "default"
enum { API_VALUES = 2, API_VALUE_MAX = 1024, API_PAGE_MAX = 500, API_PAGE_DEFAULT = 100, API_TAG = 20 };

/* Who asks. `scope` points into it. */
struct api_caller {
	struct token_holder holder;
	bool by_cookie; /* of a session */
	char actor[40];
	char remote[NET_ADDRESS_TEXT];
};

struct api_call {
	const struct config *config;
	struct pg_pool *pool;
	struct resolver *resolver;
	struct diagnoser *diagnoser;
	const struct mhd_request *request;
	struct mhd_reply *reply;
	const struct api_route *route;
	char values[API_VALUES][API_VALUE_MAX]; /* of the route's {…}, in order */
	json_t *body;                           /* of a route that takes one; else NULL */
	struct api_caller caller;
	struct scope scope;
};

/* Takes the JSON. */
void api_call_json(struct api_call *call, unsigned status, json_t *json);
/* As api_call_json with 200, and an ETag (RFC 9110); 304 where the client has it already. */
void api_call_show(struct api_call *call, json_t *json);
/* A page of a list as {NAME: […], "next": …}: `rows` may hold one more than `limit`, which says that there is
 * a next one. Their first column is what pages are told apart by. */
json_t *api_page_json(
    const char *name, const PGresult *rows, int limit, json_t *(*row_json)(const PGresult *rows, int row));
/* If-Match, where it was sent, names what api_call_show would say; false after a problem was replied. */
bool api_call_if_match(struct api_call *call, const json_t *json);
bool api_call_is_operator(const struct api_call *call);

/* A connection of the pool; NULL after a problem was replied. Give it back with pg_pool_give. */
struct pg *api_call_database(struct api_call *call);

/* The body's fields. False after a problem was replied, which names the field: it is there and no string, or
 * longer than `most`. Absent or null: *out is NULL. */
bool api_call_text(struct api_call *call, const char *field, size_t most, const char **out);
/* A number from 0 to `most`, as digits in `text`; *is_null: it is null. Absent: "". */
bool api_call_number(struct api_call *call, const char *field, int64_t most, char text[24], bool *is_null);

/* The query's parameters; false after a problem was replied. */
bool api_call_tenant(struct api_call *call, const char **tenant);
bool api_call_limit(struct api_call *call, int *limit);
bool api_call_choice(
    struct api_call *call, const char *parameter, const char *const *choices, const char **out);
/* A cursor that is a number; 0 where there is none. */
bool api_call_place(struct api_call *call, int64_t *place);
/* NAME of the address, normalised. */
bool api_call_name(struct api_call *call, const char *text, struct hostname *name);
/* Can a secret be kept here? False after a problem was replied. */
bool api_call_can_seal(struct api_call *call);
/* Is it how a tenant may be called, and may the caller ask for it? */
bool api_call_is_tenant(struct api_call *call, const char *tenant);
/* The first and the second {…} of the address as a number; false after 404 was replied. */
bool api_call_id(struct api_call *call, const char *what, int64_t *id);
bool api_call_second_id(struct api_call *call, const char *what, int64_t *id);

/* SQL's NULL is null. */
void api_set_text(json_t *object, const char *name, const char *text);
void api_set_number(json_t *object, const char *name, const char *digits);

#endif
