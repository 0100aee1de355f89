/*
 * Log-in and log-out of the dashboard, and what a request that comes with its cookie must bring along.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "verifier/access/portal_link.h"
#include "verifier/access/session.h"
#include "verifier/api/api_auth.h"
#include "verifier/api/api_handlers.h"
#include "verifier/http/bearer.h"
#include "verifier/http/problem.h"

/* Log-ins for everybody together: a person needs one, a guesser gets nowhere with five a second. */
enum { LOGINS_PER_SECOND = 5, LOGINS_AT_ONCE = 10 };

static_assert((int)SESSION_ADMIN_HASH == (int)CONFIG_HASH, "sessions are bound to that hash");

static bool take_login(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int64_t full_at_ms; /* when the allowance is whole again */
	const int64_t each_ms = 1000 / LOGINS_PER_SECOND;
	pthread_mutex_lock(&lock);
	int64_t now = clock_monotonic_ms();
	int64_t next = (full_at_ms > now ? full_at_ms : now) + each_ms;
	bool granted = next - now <= LOGINS_AT_ONCE * each_ms;
	if (granted)
		full_at_ms = next;
	pthread_mutex_unlock(&lock);
	return granted;
}

static bool is_same_origin(const struct api_call *call)
{
	struct session_origin origin = {.own = call->config->origin,
	    .host = mhd_request_header(call->request, MHD_HTTP_HEADER_HOST),
	    .origin = mhd_request_header(call->request, "Origin"),
	    .fetch_site = mhd_request_header(call->request, "Sec-Fetch-Site"),
	    .marker = mhd_request_header(call->request, "X-Postern-Request")};
	return session_is_same_origin(&origin);
}

static void refuse_origin(struct api_call *call)
{
	problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "cross_site", NULL,
	    "A change with a session's cookie must come from the dashboard itself (header X-Postern-Request: "
	    "1, same origin). "
	    "Programs send a bearer token instead.");
}

static void refuse_session(struct api_call *call)
{
	problem_reply(
	    call->reply, MHD_HTTP_UNAUTHORIZED, "unauthorized", NULL, "The session has ended: log in again.");
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

const char *api_session_cookie(const struct api_call *call)
{
	return mhd_request_cookie(
	    call->request, call->config->secure_cookie ? SESSION_COOKIE_SECURE : SESSION_COOKIE);
}

enum result api_session_accept(struct api_call *call, struct token_holder *out)
{
	struct error error = {""};
	struct pg *pg = pg_pool_take(call->pool, &error);
	enum result result =
	    pg ? session_check(pg, call->config->admin_token_hash, api_session_cookie(call), out, &error)
	       : R_DOWN;
	if (pg)
		pg_pool_give(call->pool, pg);
	if (result == R_NONE)
		refuse_session(call);
	else if (result != R_OK)
		problem_reply_down(call->reply, &error);
	else if (strcmp(call->request->method, "GET") != 0 && !is_same_origin(call)) {
		refuse_origin(call);
		return R_DENIED;
	}
	return result;
}

/* Within another site's page only a cookie without SameSite comes along; one that is partitioned belongs to
 * that page's site, and no other site's page can make a browser send it. */
static void set_cookie(struct api_call *call, const char *value, int seconds, bool framed)
{
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_SET_COOKIE, "%s=%s; Path=/; Max-Age=%d; HttpOnly; %s%s",
	    call->config->secure_cookie ? SESSION_COOKIE_SECURE : SESSION_COOKIE, value, seconds,
	    framed ? "SameSite=None; Partitioned" : "SameSite=Strict",
	    call->config->secure_cookie ? "; Secure" : "");
}

static void open_session(struct api_call *call, const struct token_holder *holder)
{
	char cookie[SESSION_TEXT + 1];
	struct error error = {""};
	struct pg *pg = pg_pool_take(call->pool, &error);
	enum result result =
	    pg ? session_create(pg, call->config->admin_token_hash, holder->id, cookie, &error) : R_DOWN;
	if (pg)
		pg_pool_give(call->pool, pg);
	if (result != R_OK) {
		problem_reply_down(call->reply, &error);
		return;
	}
	call->reply->status = MHD_HTTP_NO_CONTENT;
	set_cookie(call, cookie, SESSION_HOURS * 3600, false);
}

static void log_in(struct api_call *call)
{
	struct token_holder holder;
	struct error error = {""};
	if (!take_login()) {
		problem_reply(call->reply, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_logins", NULL,
		    "Too many log-ins at the moment: wait a second and try again.");
		mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "1");
		return;
	}
	const char *token = json_string_value(json_object_get(call->body, "token"));
	enum result result = token ? api_auth_token(call, token, &holder, &error) : R_NONE;
	if (result == R_OK)
		open_session(call, &holder);
	else if (result == R_NONE)
		problem_reply(call->reply, MHD_HTTP_UNAUTHORIZED, "wrong_token", "token",
		    "This is not the admin token (the content of the file that admin-token-file names), nor "
		    "a token that "
		    "was made by POST /v1/tokens and is still valid.");
	else
		problem_reply_down(call->reply, &error);
}

static void refuse_link(struct api_call *call)
{
	problem_reply(call->reply, MHD_HTTP_GONE, "link_ended", "link",
	    "This link has been opened before, is older than %d minutes or was revoked: go back to where it "
	    "came from, and open a new one.",
	    PORTAL_LINK_MINUTES);
}

/* Somebody who is sent another's link is not to work in that one's name without noticing. */
static bool may_replace(struct api_call *call, struct pg *pg, const char *tenant)
{
	struct token_holder now;
	const char *cookie = api_session_cookie(call);
	if (!cookie || json_is_true(json_object_get(call->body, "replace")) ||
	    session_check(pg, call->config->admin_token_hash, cookie, &now, NULL) != R_OK ||
	    (now.portal && strcmp(now.tenant, tenant) == 0))
		return true;
	problem_reply(call->reply, MHD_HTTP_CONFLICT, "other_session", "replace",
	    "This browser is logged in as %s, and the link is for the tenant %s: send \"replace\": true to "
	    "change over.",
	    now.tenant[0] ? now.tenant : "the operator", tenant);
	return false;
}

/* The session of before ends: its cookie is known to whoever has put it there. */
static void change_session(struct api_call *call, struct pg *pg, const char *cookie)
{
	const char *old = api_session_cookie(call);
	bool framed = json_is_true(json_object_get(call->body, "framed")) && call->config->secure_cookie &&
		      call->config->frame_ancestors;
	if (old)
		session_end(pg, call->config->admin_token_hash, old, NULL);
	call->reply->status = MHD_HTTP_NO_CONTENT;
	set_cookie(call, cookie, SESSION_HOURS * 3600, framed);
}

static void open_link(struct api_call *call, struct pg *pg, const char *link)
{
	const unsigned char *admin_hash = call->config->admin_token_hash;
	char tenant[TENANT_MAX + 1], cookie[SESSION_TEXT + 1], remote[NET_ADDRESS_TEXT];
	struct error error = {""};
	mhd_request_remote(call->request, remote);
	enum result result = portal_link_find(pg, admin_hash, link, tenant, &error);
	if (result == R_OK && !may_replace(call, pg, tenant))
		return;
	if (result == R_OK)
		result = portal_link_open(pg, admin_hash, link, remote, cookie, &error);
	if (result == R_OK)
		change_session(call, pg, cookie);
	else if (result == R_NONE)
		refuse_link(call);
	else
		problem_reply_down(call->reply, &error);
}

void api_session_create(struct api_call *call)
{
	const char *link = json_string_value(json_object_get(call->body, "link"));
	if (!is_same_origin(call)) {
		refuse_origin(call);
	} else if (!link) {
		log_in(call);
	} else if (!portal_link_is_shaped(link)) {
		refuse_link(call);
	} else {
		struct pg *pg = api_call_database(call);
		if (!pg)
			return;
		open_link(call, pg, link);
		pg_pool_give(call->pool, pg);
	}
}

static json_t *session_json(const PGresult *rows)
{
	const char *tenant = pg_get(rows, 0, 0);
	json_t *session = json_pack(
	    "{s:s, s:b}", "scope", tenant ? "tenant" : "operator", "portal", (int)pg_get_bool(rows, 0, 2));
	api_set_text(session, "tenant", tenant);
	api_set_text(session, "title", pg_get(rows, 0, 1));
	api_set_text(session, "return_url", pg_get(rows, 0, 3));
	api_set_text(session, "expires_at", pg_get(rows, 0, 4));
	return session;
}

static void show(struct api_call *call, struct pg *pg, const char *cookie)
{
	struct error error = {""};
	PGresult *rows = NULL;
	if (session_show(pg, call->config->admin_token_hash, cookie, &rows, &error) != R_OK)
		problem_reply_down(call->reply, &error);
	else if (PQntuples(rows) == 0)
		refuse_session(call);
	else
		api_call_json(call, MHD_HTTP_OK, session_json(rows));
	PQclear(rows);
}

void api_session_show(struct api_call *call)
{
	const char *cookie = api_session_cookie(call);
	struct pg *pg = NULL;
	if (!cookie || strlen(cookie) != SESSION_TEXT)
		refuse_session(call);
	else if ((pg = api_call_database(call)))
		show(call, pg, cookie);
	if (pg)
		pg_pool_give(call->pool, pg);
}

void api_session_end(struct api_call *call)
{
	const char *cookie = api_session_cookie(call);
	struct error error = {""};
	if (!is_same_origin(call)) {
		refuse_origin(call);
		return;
	}
	struct pg *pg = cookie ? pg_pool_take(call->pool, &error) : NULL;
	enum result result = !cookie ? R_OK
			     : pg    ? session_end(pg, call->config->admin_token_hash, cookie, &error)
				     : R_DOWN;
	if (pg)
		pg_pool_give(call->pool, pg);
	if (result != R_OK) {
		problem_reply_down(call->reply, &error);
		return;
	}
	call->reply->status = MHD_HTTP_NO_CONTENT;
	set_cookie(call, "", 0, false);
	if (call->config->frame_ancestors)
		set_cookie(call, "", 0, true);
}
