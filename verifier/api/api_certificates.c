/*
 * The API's certificates: what is stored, without its keys, a renewal before its time, and the end of an
 * upload.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log/log.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/certificate_json.h"
#include "verifier/claim/stored_certificate.h"
#include "verifier/claim/upload.h"
#include "verifier/http/problem.h"

static json_t *page_json(const PGresult *rows, int limit)
{
	json_t *list = json_array();
	int count = PQntuples(rows);
	for (int i = 0; i < count && i < limit; i++)
		json_array_append_new(list, certificate_json(rows, i, false));
	return json_pack("{s:o, s:o}", "certificates", list, "next",
	    count > limit ? json_string(pg_get(rows, limit - 1, 0)) : json_null());
}

static bool read_cursor(struct api_call *call, struct stored_filter *filter, struct hostname *after)
{
	const char *text = mhd_request_query(call->request, "cursor");
	filter->after = "";
	if (!text)
		return true;
	if (!api_call_name(call, text, after))
		return false;
	filter->after = after->text;
	return true;
}

/* Days from now. */
static bool read_days(struct api_call *call, struct stored_filter *filter)
{
	const char *text = mhd_request_query(call->request, "expires_within");
	filter->days = -1;
	if (!text)
		return true;
	size_t size = strspn(text, "0123456789");
	filter->days = atoi(text);
	if (size >= 1 && size <= 4 && !text[size])
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_expires_within", "expires_within",
	    "expires_within: must be a number of days from 0 to 9999.");
	return false;
}

void api_certificates_list(struct api_call *call)
{
	static const char *const sources[] = {"acme", "upload", NULL};
	int limit = 0;
	struct hostname after;
	struct stored_filter filter = {.after = ""};
	struct error error = {""};
	PGresult *rows = NULL;
	if (!api_call_tenant(call, &filter.tenant) || !api_call_limit(call, &limit) ||
	    !api_call_choice(call, "source", sources, &filter.source) || !read_days(call, &filter) ||
	    !read_cursor(call, &filter, &after))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (stored_certificate_list(pg, &call->scope, &filter, limit + 1, &rows, &error) == R_OK)
		api_call_show(call, page_json(rows, limit));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	pg_pool_give(call->pool, pg);
}

static void refuse_unknown(struct api_call *call, const char *name)
{
	problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_certificate", NULL,
	    "There is no certificate for %s that is yours: GET /v1/domains/%s says how far it is.", name,
	    name);
}

void api_certificates_show(struct api_call *call)
{
	struct hostname name;
	struct error error = {""};
	PGresult *rows = NULL;
	if (!api_call_name(call, call->values[0], &name))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (stored_certificate_show(pg, &call->scope, name.text, &rows, &error) != R_OK)
		problem_reply_down(call->reply, &error);
	else if (PQntuples(rows) == 0)
		refuse_unknown(call, name.text);
	else
		api_call_show(call, certificate_json(rows, 0, true));
	PQclear(rows);
	pg_pool_give(call->pool, pg);
}

void api_certificates_renew(struct api_call *call)
{
	struct hostname name;
	struct error error = {""};
	if (!api_call_name(call, call->values[0], &name))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	enum result result = stored_certificate_renew(pg, &call->scope, name.text, &error);
	if (result == R_OK)
		api_call_json(
		    call, MHD_HTTP_ACCEPTED, json_pack("{s:s, s:s}", "name", name.text, "state", "issuing"));
	else if (result == R_NONE)
		refuse_unknown(call, name.text);
	else if (result == R_DENIED)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "uploaded_certificate", NULL,
		    "The certificate of %s was uploaded: upload its successor.", name.text);
	else
		problem_reply_down(call->reply, &error);
	pg_pool_give(call->pool, pg);
}

static void reply_removed(struct api_call *call, const char *name, enum upload_removed removed)
{
	switch (removed) {
	case UPLOAD_NONE: refuse_unknown(call, name); return;
	case UPLOAD_ISSUED:
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "issued_certificate", NULL,
		    "The certificate of %s was not uploaded: it is renewed as long as the domain is active.",
		    name);
		return;
	case UPLOAD_CHANGED:
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "changed_meanwhile", NULL,
		    "Another certificate was stored for %s at this moment: look at it, and delete it if you "
		    "still want "
		    "to.",
		    name);
		return;
	case UPLOAD_REMOVED: call->reply->status = MHD_HTTP_NO_CONTENT; break;
	case UPLOAD_REPLACING:
		api_call_json(
		    call, MHD_HTTP_ACCEPTED, json_pack("{s:s, s:s}", "name", name, "state", "replacing"));
		break;
	}
	log_info("uploaded certificate removed", log_str("name", name), log_str("by", call->caller.actor),
	    log_str("state", removed == UPLOAD_REMOVED ? "gone" : "served until it is replaced"));
}

static bool read_at_once(struct api_call *call, bool *at_once)
{
	static const char *const choices[] = {"true", "false", NULL};
	const char *text = NULL;
	if (!api_call_choice(call, "at_once", choices, &text))
		return false;
	*at_once = text && strcmp(text, "true") == 0;
	return true;
}

static void remove_shown(
    struct api_call *call, struct pg *pg, const char *name, bool at_once, const PGresult *shown)
{
	enum upload_removed removed = UPLOAD_NONE;
	struct error error = {""};
	bool is_there = PQntuples(shown) > 0;
	json_t *now = is_there ? certificate_json(shown, 0, true) : NULL;
	if (!is_there)
		refuse_unknown(call, name);
	else if (!api_call_if_match(call, now))
		;
	else if (upload_remove(pg, &call->scope, name, pg_get(shown, 0, STORED_VERSION), at_once, &removed,
		     &error) == R_OK)
		reply_removed(call, name, removed);
	else
		problem_reply_down(call->reply, &error);
	json_decref(now);
}

void api_certificates_remove(struct api_call *call)
{
	bool at_once = false;
	struct hostname name;
	struct error error = {""};
	PGresult *shown = NULL;
	if (!read_at_once(call, &at_once) || !api_call_name(call, call->values[0], &name))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (stored_certificate_show(pg, &call->scope, name.text, &shown, &error) == R_OK)
		remove_shown(call, pg, name.text, at_once, shown);
	else
		problem_reply_down(call->reply, &error);
	PQclear(shown);
	pg_pool_give(call->pool, pg);
}
