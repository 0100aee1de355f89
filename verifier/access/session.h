/*
 * The dashboard's sessions: a random cookie whose hash is a row in PostgreSQL, so that any verifier serves
 * it.
 */
#ifndef VERIFIER_ACCESS_SESSION_H
#define VERIFIER_ACCESS_SESSION_H

#include <stdbool.h>

#include "common/pg/pg.h"
#include "verifier/access/token.h"

#define SESSION_COOKIE "postern_session"
/* Over https, a name that no page of a subdomain can set: customers' sites may be the dashboard's siblings.
 */
#define SESSION_COOKIE_SECURE "__Host-" SESSION_COOKIE
#define SESSION_INTERVAL "12 hours"
enum { SESSION_TEXT = 64, SESSION_HOURS = 12, SESSION_ADMIN_HASH = 32, SESSION_HASH = 32 };

/* What is kept of a secret of SESSION_TEXT digits. */
struct pg_param session_hash(
    const unsigned char *admin_hash, const char *text, unsigned char hash[SESSION_HASH]);
/* `admin_hash`: of the admin token as this process has it, SESSION_ADMIN_HASH bytes. A session is known by it
 * and the cookie together: with another admin token all sessions have ended. `token_id`: the token that it
 * logged in with, and ends with; 0: the admin token. */
enum result session_create(struct pg *pg, const unsigned char *admin_hash, int64_t token_id,
    char cookie[SESSION_TEXT + 1], struct error *error);
/* Whose it is: id 0 is the admin token's, unless a portal's link opened it. R_NONE: unknown, expired, or what
 * it came from was revoked or has expired. */
enum result session_check(struct pg *pg, const unsigned char *admin_hash, const char *cookie,
    struct token_holder *out, struct error *error);
/* Columns: tenant, its title, whether it is a portal's, return_url, expires_at. No row: as R_NONE above. */
enum result session_show(
    struct pg *pg, const unsigned char *admin_hash, const char *cookie, PGresult **rows, struct error *error);
enum result session_end(
    struct pg *pg, const unsigned char *admin_hash, const char *cookie, struct error *error);

/* Did our own page send this request? A cookie comes along with what any page makes a browser send; only ours
 * can set the X-Postern-Request header. Each may be NULL. `own` is public-url's origin, "" where it is not
 * set. */
struct session_origin {
	const char *own, *host, *origin, *fetch_site, *marker;
};
bool session_is_same_origin(const struct session_origin *request);

#endif
