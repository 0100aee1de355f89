/*
 * Who sends this request? The admin token, a token of the database, or a session's cookie; and how often he
 * may.
 */
#ifndef VERIFIER_API_API_AUTH_H
#define VERIFIER_API_API_AUTH_H

#include "verifier/access/rate_limit.h"
#include "verifier/api/api_call.h"

/* Fills in the call's caller and scope. Not R_OK: a problem was replied. */
enum result api_auth(struct api_call *call, struct rate_limit *limit);
/* The caller behind a bearer token's text. R_NONE: there is none. */
enum result api_auth_token(
    struct api_call *call, const char *text, struct token_holder *out, struct error *error);

/* api_session.c. The session's cookie, NULL: none came. */
const char *api_session_cookie(const struct api_call *call);
/* R_OK: the request's cookie is a live session's, and the request comes from our own page
 * where that matters. */
enum result api_session_accept(struct api_call *call, struct token_holder *out);

#endif
