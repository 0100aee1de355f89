/*
 * The API's tokens: made, listed, revoked. A token's text is in one answer only, the one that made it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "verifier/access/token.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/api_numbered.h"
#include "verifier/http/problem.h"

enum { TIME_MAX = 40 };

static json_t *token_json(const PGresult *rows, int row)
{
	static const char *const columns[] = {"hint", "scope", "tenant", "label", "created_at", "created_by",
	    "expires_at", "revoked_at", "last_used_at"};
	json_t *token = json_pack("{s:I}", "id", (json_int_t)pg_get_int(rows, row, 0));
	for (int i = 0; i < (int)(sizeof columns / sizeof *columns); i++)
		api_set_text(token, columns[i], pg_get(rows, row, 1 + i));
	return token;
}

static const struct api_numbered tokens = {
    .noun = "token",
    .page = "tokens",
    .json = token_json,
    .list = token_list,
    .show = token_show,
    .end = token_revoke,
};

void api_tokens_list(struct api_call *call)
{
	api_numbered_list(call, &tokens);
}

void api_tokens_show(struct api_call *call)
{
	api_numbered_show(call, &tokens);
}

void api_tokens_revoke(struct api_call *call)
{
	api_numbered_end(call, &tokens);
}

/* What PostgreSQL reads in many ways is one way here: 2027-01-31T23:59:59Z. */
static bool is_time(const char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
	for (size_t i = 0; i < sizeof shape; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (shape[i] == 'd' ? !digit : text[i] != shape[i])
			return false;
	}
	return true;
}

static bool read_scope(struct api_call *call, struct token_new *wanted)
{
	const char *scope = NULL;
	if (!api_call_text(call, "scope", TIME_MAX, &scope) ||
	    !api_call_text(call, "tenant", TENANT_MAX, &wanted->tenant))
		return false;
	bool of_operator = scope && strcmp(scope, "operator") == 0;
	if (!scope || (!of_operator && strcmp(scope, "tenant") != 0))
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_scope", "scope",
		    "scope: must be \"operator\" or \"tenant\".");
	else if (of_operator == !!wanted->tenant)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_scope", "tenant",
		    of_operator ? "tenant: an operator's token is for all tenants: leave it out."
				: "tenant: is missing: say whose token it is to be.");
	else
		return of_operator || api_call_is_tenant(call, wanted->tenant);
	return false;
}

static bool read_wanted(struct api_call *call, struct token_new *wanted)
{
	*wanted = (struct token_new){.tenant = NULL};
	if (!read_scope(call, wanted) || !api_call_text(call, "label", TOKEN_LABEL_MAX, &wanted->label) ||
	    !api_call_text(call, "expires_at", TIME_MAX, &wanted->expires_at))
		return false;
	if (!wanted->expires_at || is_time(wanted->expires_at))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_time", "expires_at",
	    "expires_at: must be a time like 2027-01-31T23:59:59Z.");
	return false;
}

static void reply_created(struct api_call *call, struct pg *pg, int64_t id, const char *text)
{
	json_t *token = api_numbered_find(call, pg, &tokens, id);
	if (!token)
		return;
	api_set_text(token, "token", text);
	api_call_json(call, MHD_HTTP_CREATED, token);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/tokens/%lld", (long long)id);
}

static void create(struct api_call *call, struct pg *pg, const struct token_new *wanted)
{
	char text[TOKEN_TEXT + 1];
	int64_t id = 0;
	struct error error = {""};
	enum result result = token_create(pg, &call->scope, wanted, text, &id, &error);
	if (result == R_OK)
		reply_created(call, pg, id, text);
	else if (result == R_NONE)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "no_such_tenant", "tenant",
		    "tenant: there is no tenant %s: make it first with POST /v1/tenants.", wanted->tenant);
	else if (result == R_INVALID)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_time", "expires_at",
		    "expires_at: must be a time to come.");
	else
		problem_reply_down(call->reply, &error);
	OPENSSL_cleanse(text, sizeof text);
}

void api_tokens_create(struct api_call *call)
{
	struct token_new wanted;
	if (!read_wanted(call, &wanted))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	create(call, pg, &wanted);
	pg_pool_give(call->pool, pg);
}
