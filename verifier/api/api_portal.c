/*
 * The API's portal links: made for a tenant, listed, ended. A link's text is in one answer only, the one that
 * made it, and in a part of its URL that no browser sends: not in anybody's log, and not to be opened by
 * whoever fetches it.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier/access/portal_link.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/api_numbered.h"
#include "verifier/http/problem.h"

enum { URL_MAX = 600 };

static json_t *link_json(const PGresult *rows, int row)
{
	static const char *const columns[] = {
	    "tenant", "return_url", "created_at", "created_by", "expires_at", "opened_at", "revoked_at"};
	json_t *link = json_pack("{s:I}", "id", (json_int_t)pg_get_int(rows, row, 0));
	int column = 0;
	for (; column < (int)(sizeof columns / sizeof *columns); column++)
		api_set_text(link, columns[column], pg_get(rows, row, 1 + column));
	json_object_set_new(link, "session", json_boolean(pg_get_bool(rows, row, 1 + column)));
	return link;
}

static const struct api_numbered links = {
    .noun = "portal link",
    .page = "portal_links",
    .json = link_json,
    .list = portal_link_list,
    .show = portal_link_show,
    .end = portal_link_revoke,
};

void api_portal_list(struct api_call *call)
{
	api_numbered_list(call, &links);
}

void api_portal_show(struct api_call *call)
{
	api_numbered_show(call, &links);
}

void api_portal_revoke(struct api_call *call)
{
	api_numbered_end(call, &links);
}

void api_portal_revoke_all(struct api_call *call)
{
	const char *tenant = NULL;
	struct error error = {""};
	if (!api_call_tenant(call, &tenant))
		return;
	if (!tenant) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_tenant", "tenant",
		    "tenant: is missing: say whose links and sessions are to end with ?tenant=.");
		return;
	}
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (portal_link_revoke_all(pg, &call->scope, tenant, &error) == R_OK)
		call->reply->status = MHD_HTTP_NO_CONTENT;
	else
		problem_reply_down(call->reply, &error);
	pg_pool_give(call->pool, pg);
}

/* The page makes a link of it: http or https alone, and nothing that ends the attribute or the line. */
static bool is_return_url(const char *url)
{
	const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
			   : strncmp(url, "http://", 7) == 0 ? url + 7
							     : "";
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at >= 0x7f || strchr("\"'<>\\`", *at))
			return false;
	return *host && !strchr("/?#:@", *host);
}

static bool read_wanted(struct api_call *call, struct portal_link_new *wanted)
{
	*wanted = (struct portal_link_new){.token_id = call->caller.holder.id};
	if (!api_call_text(call, "tenant", TENANT_MAX, &wanted->tenant) ||
	    !api_call_text(call, "return_url", PORTAL_LINK_URL_MAX, &wanted->return_url) ||
	    !api_call_is_tenant(call, wanted->tenant ? wanted->tenant : ""))
		return false;
	if (!wanted->return_url || is_return_url(wanted->return_url))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_url", "return_url",
	    "return_url: must be a URL that begins with https:// or http:// and a host, in ASCII, with what "
	    "is "
	    "special percent-encoded.");
	return false;
}

static void set_url(struct api_call *call, json_t *link, const char *text)
{
	char url[URL_MAX];
	const char *host = mhd_request_header(call->request, MHD_HTTP_HEADER_HOST);
	if (call->config->origin[0])
		snprintf(url, sizeof url, "%s/portal#%s", call->config->origin, text);
	else
		snprintf(url, sizeof url, "http://%.300s/portal#%s", host ? host : "localhost", text);
	api_set_text(link, "url", url);
	OPENSSL_cleanse(url, sizeof url);
}

static void reply_created(struct api_call *call, struct pg *pg, int64_t id, const char *text)
{
	json_t *link = api_numbered_find(call, pg, &links, id);
	if (!link)
		return;
	set_url(call, link, text);
	api_call_json(call, MHD_HTTP_CREATED, link);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/portal-links/%lld", (long long)id);
}

static void create(struct api_call *call, struct pg *pg, const struct portal_link_new *wanted)
{
	char text[PORTAL_LINK_TEXT + 1];
	int64_t id = 0;
	struct error error = {""};
	enum result result =
	    portal_link_create(pg, &call->scope, call->config->admin_token_hash, wanted, text, &id, &error);
	if (result == R_OK)
		reply_created(call, pg, id, text);
	else if (result == R_NONE)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "no_such_tenant", "tenant",
		    "tenant: there is no tenant %s: make it first with POST /v1/tenants.", wanted->tenant);
	else
		problem_reply_down(call->reply, &error);
	OPENSSL_cleanse(text, sizeof text);
}

void api_portal_create(struct api_call *call)
{
	struct portal_link_new wanted;
	if (!read_wanted(call, &wanted))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	create(call, pg, &wanted);
	pg_pool_give(call->pool, pg);
}
