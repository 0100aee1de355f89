/*
 * Links by which an operator's customer enters the dashboard: `ptl_` and 32 random bytes as hex, good for one
 * session of one tenant, within PORTAL_LINK_MINUTES. Only hashes are kept, made with the admin token's like
 * those of sessions: another admin token ends links and sessions alike. A link, and the session that it
 * opened, ends too when it is revoked or the token that made it is, or expires. Rows go after 30 days.
 */
#ifndef VERIFIER_ACCESS_PORTAL_LINK_H
#define VERIFIER_ACCESS_PORTAL_LINK_H

#include "common/dns/our_place.h"
#include "verifier/access/scope.h"
#include "verifier/access/secret.h"
#include "verifier/access/session.h"

#define PORTAL_LINK_PREFIX "ptl_"
enum { PORTAL_LINK_TEXT = 4 + SECRET_HEX, PORTAL_LINK_MINUTES = 5, PORTAL_LINK_URL_MAX = 2000 };

bool portal_link_is_shaped(const char *text);

struct portal_link_new {
	const char *tenant;
	const char *return_url; /* where the customer came from, checked by the caller; NULL: not known */
	int64_t token_id;       /* by which it is made; 0: the admin token */
};
/* R_NONE: there is no such tenant. */
enum result portal_link_create(struct pg *pg, const struct scope *scope, const unsigned char *admin_hash,
    const struct portal_link_new *wanted, char text[PORTAL_LINK_TEXT + 1], int64_t *id, struct error *error);

/* Whose is it? R_NONE: unknown, opened already, expired, or ended. `text` is shaped. */
enum result portal_link_find(struct pg *pg, const unsigned char *admin_hash, const char *text,
    char tenant[TENANT_MAX + 1], struct error *error);
/* Uses it up for a new session; of several at once one gets R_OK. */
enum result portal_link_open(struct pg *pg, const unsigned char *admin_hash, const char *text,
    const char *remote, char cookie[SESSION_TEXT + 1], struct error *error);

/* Columns: id, tenant, return_url, created_at, created_by, expires_at, opened_at, revoked_at, whether its
 * session lives. Newest first, from `before` on (0: from the newest). */
enum result portal_link_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t before,
    int limit, PGresult **rows, struct error *error);
/* The same columns; no row: there is none. */
enum result portal_link_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error);
/* R_NONE: there is none that is not revoked. */
enum result portal_link_revoke(struct pg *pg, const struct scope *scope, int64_t id, struct error *error);
/* All of a tenant's, and so each of its portal's sessions. */
enum result portal_link_revoke_all(
    struct pg *pg, const struct scope *scope, const char *tenant, struct error *error);

#endif
