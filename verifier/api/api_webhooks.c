/*
 * The API's webhooks: made, listed, changed, removed, and given another secret. A secret's text is in one
 * answer only, the one that made it.
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "verifier/api/api_handlers.h"
#include "verifier/api/api_numbered.h"
#include "verifier/http/problem.h"
#include "verifier/webhook/webhook.h"
#include "verifier/webhook/webhook_types.h"

enum { OVERLAP_DEFAULT_H = 24, OVERLAP_MAX_H = 7 * 24, HOUR_S = 3600 };

static json_t *webhook_json(const PGresult *rows, int row)
{
	static const char *const times[] = {
	    "failing_since", "paused_until", "former_secret_until", "created_at", "created_by"};
	json_t *webhook = json_pack("{s:I}", "id", (json_int_t)pg_get_int(rows, row, 0));
	api_set_text(webhook, "tenant", pg_get(rows, row, 1));
	api_set_text(webhook, "url", pg_get(rows, row, 2));
	api_set_text(webhook, "label", pg_get(rows, row, 3));
	json_object_set_new(webhook, "events", json_loads(pg_get(rows, row, 4), 0, NULL));
	json_object_set_new(webhook, "enabled", json_boolean(pg_get_bool(rows, row, 5)));
	api_set_text(webhook, "disabled_by", pg_get(rows, row, 6));
	json_object_set_new(webhook, "failures", json_integer(pg_get_int(rows, row, 7)));
	for (int i = 0; i < (int)(sizeof times / sizeof *times); i++)
		api_set_text(webhook, times[i], pg_get(rows, row, 8 + i));
	return webhook;
}

static const struct api_numbered webhooks = {
    .noun = "webhook",
    .page = "webhooks",
    .json = webhook_json,
    .list = webhook_list,
    .show = webhook_show,
    .end = webhook_remove,
};

void api_webhooks_list(struct api_call *call)
{
	api_numbered_list(call, &webhooks);
}

void api_webhooks_show(struct api_call *call)
{
	api_numbered_show(call, &webhooks);
}

void api_webhooks_remove(struct api_call *call)
{
	api_numbered_end(call, &webhooks);
}

/* ---- what a body says */

static bool refuse_events(struct api_call *call, const char *why, const char *word)
{
	problem_reply(
	    call->reply, MHD_HTTP_BAD_REQUEST, "invalid_events", "events", "events: %s%.60s", why, word);
	return false;
}

/* *out, as PostgreSQL writes an array, is the caller's to free; NULL: it is not there. */
static bool read_events(struct api_call *call, char **out)
{
	const char *patterns[WEBHOOK_EVENTS_MAX];
	const json_t *list = json_object_get(call->body, "events");
	*out = NULL;
	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > WEBHOOK_EVENTS_MAX)
		return refuse_events(call, "must be a list like [\"domain.*\", \"certificate.failing\"]", "");
	for (size_t i = 0; i < json_array_size(list); i++) {
		patterns[i] = json_string_value(json_array_get(list, i));
		if (!patterns[i] || !webhook_types_has(patterns[i]))
			return refuse_events(call,
			    "must hold types that there are, or domain.* and the like; the description of "
			    "this "
			    "address lists them, and there is no ",
			    patterns[i] ? patterns[i] : "number or object among them");
	}
	*out = pg_text_array(patterns, json_array_size(list));
	return true;
}

/* The URL in `target` is what is stored. */
static bool read_url(struct api_call *call, struct webhook_target *target, const char **out)
{
	struct error error = {""};
	if (!api_call_text(call, "url", WEBHOOK_URL_MAX, out))
		return false;
	if (!*out || webhook_target_parse(target, &call->config->webhooks, *out, &error) == R_OK) {
		*out = *out ? target->url : NULL;
		return true;
	}
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_url", "url", "url: %s.", error.text);
	return false;
}

static bool read_enabled(struct api_call *call, const char **out)
{
	const json_t *value = json_object_get(call->body, "enabled");
	*out = json_is_true(value) ? "t" : json_is_false(value) ? "f" : NULL;
	if (!value || *out)
		return true;
	problem_reply(
	    call->reply, MHD_HTTP_BAD_REQUEST, "invalid_field", "enabled", "enabled: must be true or false.");
	return false;
}

static bool read_values(struct api_call *call, struct webhook_values *values, struct webhook_target *target)
{
	*values = (struct webhook_values){.clears_label = json_is_null(json_object_get(call->body, "label"))};
	return read_url(call, target, &values->url) &&
	       api_call_text(call, "label", WEBHOOK_LABEL_MAX, &values->label) &&
	       read_enabled(call, &values->is_on);
}

/* ---- made, and given another secret */

static void reply_secret(
    struct api_call *call, struct pg *pg, unsigned status, int64_t id, const char *secret)
{
	json_t *webhook = api_numbered_find(call, pg, &webhooks, id);
	if (!webhook)
		return;
	api_set_text(webhook, "secret", secret);
	api_call_json(call, status, webhook);
	if (status == MHD_HTTP_CREATED)
		mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/webhooks/%lld", (long long)id);
}

static void create(struct api_call *call, struct pg *pg, const struct webhook_values *values)
{
	char secret[WEBHOOK_SECRET_SIZE];
	int64_t id = 0;
	struct error error = {""};
	enum result result =
	    webhook_add(pg, &call->scope, call->config->seal_keys, values, secret, &id, &error);
	if (result == R_OK)
		reply_secret(call, pg, MHD_HTTP_CREATED, id, secret);
	else if (result == R_NONE)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "no_such_tenant", "tenant",
		    "tenant: there is no tenant %s: make it first with POST /v1/tenants.", values->tenant);
	else if (result == R_LIMIT)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "too_many_webhooks", NULL,
		    "There are %d webhooks already: remove one, or let one take more events.", WEBHOOKS_MAX);
	else
		problem_reply_down(call->reply, &error);
	OPENSSL_cleanse(secret, sizeof secret);
}

/* A tenant's token makes the tenant's; the operator's makes the operator's, or that of the tenant he names.
 */
static bool read_owner(struct api_call *call, const char **tenant)
{
	if (!api_call_text(call, "tenant", TENANT_MAX, tenant))
		return false;
	if (!*tenant)
		*tenant = call->scope.tenant;
	return !*tenant || api_call_is_tenant(call, *tenant);
}

void api_webhooks_create(struct api_call *call)
{
	struct webhook_values values;
	struct webhook_target target;
	char *events = NULL;
	if (!read_values(call, &values, &target) || !read_owner(call, &values.tenant))
		return;
	if (!values.url) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_url", "url",
		    "url: is missing: send {\"url\": \"https://hooks.example.com/postern\"}.");
		return;
	}
	if (!read_events(call, &events))
		return;
	values.events = events;
	struct pg *pg = api_call_can_seal(call) ? api_call_database(call) : NULL;
	if (pg) {
		create(call, pg, &values);
		pg_pool_give(call->pool, pg);
	}
	free(events);
}

static bool read_overlap(struct api_call *call, int64_t *hours)
{
	const json_t *value = json_object_get(call->body, "overlap_hours");
	*hours = value ? json_integer_value(value) : OVERLAP_DEFAULT_H;
	if (!value || (json_is_integer(value) && *hours >= 0 && *hours <= OVERLAP_MAX_H))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_field", "overlap_hours",
	    "overlap_hours: must be a whole number from 0 to %d.", OVERLAP_MAX_H);
	return false;
}

static void rotate(struct api_call *call, struct pg *pg, int64_t id, int64_t hours)
{
	char secret[WEBHOOK_SECRET_SIZE];
	struct error error = {""};
	enum result result = webhook_turn_secret(
	    pg, &call->scope, call->config->seal_keys, id, hours * HOUR_S, secret, &error);
	if (result == R_OK)
		reply_secret(call, pg, MHD_HTTP_OK, id, secret);
	else if (result == R_NONE)
		api_numbered_unknown(call, webhooks.noun);
	else if (result == R_LOST)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "changed_meanwhile", NULL,
		    "Somebody else has just made another secret: look who, and ask again if you must.");
	else
		problem_reply_down(call->reply, &error);
	OPENSSL_cleanse(secret, sizeof secret);
}

void api_webhooks_rotate(struct api_call *call)
{
	int64_t id = 0, hours = 0;
	if (!read_overlap(call, &hours) || !api_call_can_seal(call))
		return;
	struct pg *pg = api_numbered_begin(call, &webhooks, &id);
	if (!pg)
		return;
	rotate(call, pg, id, hours);
	pg_pool_give(call->pool, pg);
}

/* ---- changed */

static void change(struct api_call *call, struct pg *pg, int64_t id, const struct webhook_values *values)
{
	struct error error = {""};
	enum result result = webhook_change(pg, &call->scope, id, values, &error);
	json_t *webhook = result == R_OK ? api_numbered_find(call, pg, &webhooks, id) : NULL;
	if (webhook)
		api_call_show(call, webhook);
	else if (result == R_NONE)
		api_numbered_unknown(call, webhooks.noun);
	else if (result != R_OK)
		problem_reply_down(call->reply, &error);
}

void api_webhooks_change(struct api_call *call)
{
	int64_t id = 0;
	struct webhook_values values;
	struct webhook_target target;
	char *events = NULL;
	if (!read_values(call, &values, &target) || !read_events(call, &events))
		return;
	values.events = events;
	struct pg *pg = api_numbered_begin(call, &webhooks, &id);
	if (pg) {
		change(call, pg, id, &values);
		pg_pool_give(call->pool, pg);
	}
	free(events);
}
