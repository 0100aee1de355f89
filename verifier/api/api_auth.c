#include "verifier/api/api_auth.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "verifier/access/session.h"
#include "verifier/http/bearer.h"
#include "verifier/http/problem.h"

static void set_caller(struct api_call *call, const struct token_holder *holder, bool by_cookie)
{
	struct api_caller *caller = &call->caller;
	caller->holder = *holder;
	caller->by_cookie = by_cookie;
	if (holder->id)
		snprintf(caller->actor, sizeof caller->actor, "token:%lld", (long long)holder->id);
	else if (holder->portal)
		snprintf(caller->actor, sizeof caller->actor, "portal:%lld", (long long)holder->portal);
	else
		snprintf(caller->actor, sizeof caller->actor, "%s", by_cookie ? "dashboard" : "admin-token");
	mhd_request_remote(call->request, caller->remote);
	call->scope = (struct scope){.tenant = holder->tenant[0] ? caller->holder.tenant : NULL,
	    .actor = caller->actor,
	    .remote = caller->remote};
}

enum result api_auth_token(
    struct api_call *call, const char *text, struct token_holder *out, struct error *error)
{
	*out = (struct token_holder){.id = 0};
	if (bearer_is(text, call->config->admin_token_hash))
		return R_OK;
	if (!token_is_shaped(text))
		return R_NONE;
	struct pg *pg = pg_pool_take(call->pool, error);
	enum result result = pg ? token_find(pg, text, out, error) : R_DOWN;
	if (pg)
		pg_pool_give(call->pool, pg);
	return result;
}

static enum result refuse_token(struct api_call *call)
{
	problem_reply(call->reply, MHD_HTTP_UNAUTHORIZED, "unauthorized", NULL,
	    "Send a token that is valid, neither revoked nor expired, as Authorization: Bearer TOKEN.");
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	return R_DENIED;
}

static enum result find_holder(struct api_call *call, struct token_holder *holder, bool *by_cookie)
{
	const char *authorization = mhd_request_header(call->request, MHD_HTTP_HEADER_AUTHORIZATION);
	*by_cookie = !authorization && api_session_cookie(call);
	if (*by_cookie)
		return api_session_accept(call, holder);
	struct error error = {""};
	const char *text = bearer_token(authorization);
	enum result result = text ? api_auth_token(call, text, holder, &error) : R_NONE;
	if (result == R_NONE)
		return refuse_token(call);
	if (result != R_OK)
		problem_reply_down(call->reply, &error);
	return result;
}

enum result api_auth(struct api_call *call, struct rate_limit *limit)
{
	struct token_holder holder = {.id = 0};
	bool by_cookie = false;
	enum result result = find_holder(call, &holder, &by_cookie);
	if (result != R_OK)
		return result;
	set_caller(call, &holder, by_cookie);
	int64_t who = holder.portal ? -holder.portal : holder.id;
	int wait_s = who ? rate_limit_take(limit, who, clock_monotonic_ms()) : 0;
	if (!wait_s)
		return R_OK;
	problem_reply(call->reply, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_requests", NULL,
	    "This token has sent more than %d requests a second: wait, and send fewer at a time.",
	    call->config->api_rate);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "%d", wait_s);
	return R_DENIED;
}
