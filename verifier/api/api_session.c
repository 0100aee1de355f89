/*
 * Log-in and log-out of the dashboard, and what a request that comes with its cookie must bring along.
 */
#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
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

enum result api_session_accept(struct api_call *call, struct token_holder *out)
{
	struct error error = {""};
	struct pg *pg = pg_pool_take(call->pool, &error);
	enum result result = pg ? session_check(pg, call->config->admin_token_hash,
				      mhd_request_cookie(call->request, SESSION_COOKIE), out, &error)
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

static void set_cookie(struct api_call *call, const char *value, int seconds)
{
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_SET_COOKIE,
	    SESSION_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s", value, seconds,
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
	set_cookie(call, cookie, SESSION_HOURS * 3600);
}

void api_session_create(struct api_call *call)
{
	struct token_holder holder;
	struct error error = {""};
	if (!is_same_origin(call)) {
		refuse_origin(call);
		return;
	}
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

void api_session_show(struct api_call *call)
{
	struct token_holder holder;
	if (!mhd_request_cookie(call->request, SESSION_COOKIE))
		refuse_session(call);
	else if (api_session_accept(call, &holder) == R_OK)
		call->reply->status = MHD_HTTP_NO_CONTENT;
}

void api_session_end(struct api_call *call)
{
	const char *cookie = mhd_request_cookie(call->request, SESSION_COOKIE);
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
	set_cookie(call, "", 0);
}
