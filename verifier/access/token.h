/*
 * API tokens in PostgreSQL: `ptn_` and 32 random bytes as hex, of which only the SHA-256 is kept. Made,
 * found, shown, revoked; a token's text exists where it was made, and nowhere else.
 */
#ifndef VERIFIER_ACCESS_TOKEN_H
#define VERIFIER_ACCESS_TOKEN_H

#include "common/dns/our_place.h"
#include "verifier/access/scope.h"
#include "verifier/access/secret.h"

#define TOKEN_PREFIX "ptn_"
enum { TOKEN_TEXT = 4 + SECRET_HEX, TOKEN_HINT = 4 + 6, TOKEN_LABEL_MAX = 200 };

struct token_holder {
	int64_t id;                  /* of the token; 0: the admin token, or a portal's link */
	int64_t portal;              /* the link that the session was opened by; 0: none */
	char tenant[TENANT_MAX + 1]; /* "": an operator's */
};

/* Has it the form of a token? What has not is not looked up. */
bool token_is_shaped(const char *text);
/* R_NONE: unknown, revoked or expired. Notes the use, once in a quarter of an hour. */
enum result token_find(struct pg *pg, const char *text, struct token_holder *out, struct error *error);

/* Is it still good? R_NONE: it was revoked or has expired. */
enum result token_check(struct pg *pg, int64_t id, struct error *error);

struct token_new {
	const char *tenant; /* NULL: an operator's */
	const char *label;
	const char *expires_at; /* RFC 3339, checked by the caller; NULL: never */
};
/* R_NONE: there is no such tenant. R_INVALID: expires_at is no time to come. */
enum result token_create(struct pg *pg, const struct scope *scope, const struct token_new *wanted,
    char text[TOKEN_TEXT + 1], int64_t *id, struct error *error);
/* Columns: id, hint, scope, tenant, label, created_at, created_by, expires_at, revoked_at, last_used_at. */
enum result token_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t after, int limit,
    PGresult **rows, struct error *error);
enum result token_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error);
/* R_NONE: there is none that is not revoked. Its sessions end with it. */
enum result token_revoke(struct pg *pg, const struct scope *scope, int64_t id, struct error *error);

#endif
