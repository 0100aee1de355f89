#include "verifier/api/api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "verifier/api/api_auth.h"
#include "verifier/api/api_idempotency.h"
#include "verifier/api/api_import.h"
#include "verifier/api/api_routes.h"
#include "verifier/http/json_body.h"
#include "verifier/http/problem.h"
#include "verifier/web/web.h"

/* A verification holds its connection's thread for as long as DNS takes: threads are what there must be
 * plenty of. */
enum { CONNECTIONS = 256, CLASSES = 6 };

struct api {
	struct api_parts parts;
	struct rate_limit *limit;
	struct web *web;
	struct mhd_server *server;
	struct metric *requests[CLASSES];
};

static bool is_type(const char *type, const char *wanted)
{
	size_t size = strlen(wanted);
	return type && strncasecmp(type, wanted, size) == 0 && (!type[size] || strchr("; \t", type[size]));
}

static bool check_type(struct api_call *call, const char *wanted)
{
	const char *type = mhd_request_header(call->request, MHD_HTTP_HEADER_CONTENT_TYPE);
	bool is_patch = strcmp(call->request->method, "PATCH") == 0;
	if (is_type(type, wanted) || (is_patch && is_type(type, "application/merge-patch+json")))
		return true;
	problem_reply(call->reply, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", NULL,
	    "The body must be %s: send it with Content-Type: %s.",
	    strstr(wanted, "ndjson") ? "lines of JSON" : "JSON", wanted);
	return false;
}

static bool read_body(struct api_call *call)
{
	static const char *const no_fields[] = {NULL};
	const char *const *fields = call->route->fields ? call->route->fields : no_fields;
	const struct buf *body = &call->request->body;
	struct error error = {""};
	/* Where none is needed, one that says something is a misunderstanding better told. */
	if (!call->route->fields && buf_size(body) == 0)
		return true;
	if (!check_type(call, "application/json"))
		return false;
	if (json_body_parse(&call->body, buf_bytes(body), buf_size(body), &error) != R_OK) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_json", NULL, "%s.", error.text);
		return false;
	}
	const char *unknown = json_body_unknown_field(call->body, fields);
	if (unknown)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "unknown_field", unknown,
		    "The field \"%.100s\" is unknown here: leave it out.", unknown);
	return !unknown;
}

/* Nothing but known parameters, each once and with a value: a misspelt ?tenant= must not delete somebody
 * else's claim. */
static bool check_query(struct api_call *call)
{
	const char *stray = mhd_request_stray_query(call->request, call->route->query);
	if (!stray)
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "unknown_parameter", stray,
	    "The parameter \"%.100s\" is unknown here, has no value or comes twice: leave it out.", stray);
	return false;
}

static bool check_access(struct api_call *call)
{
	if (call->route->flags & API_NO_PORTAL && call->caller.holder.portal) {
		problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "token_only", NULL,
		    "This is for programs: a session of the portal cannot do it, a token can.");
		return false;
	}
	if (call->route->access != API_OPERATOR || api_call_is_operator(call))
		return true;
	problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "operator_only", NULL,
	    "This is the operator's alone: a tenant's token cannot do it.");
	return false;
}

static void refuse_method(struct api_call *call, const char *allowed)
{
	problem_reply(call->reply, MHD_HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", NULL,
	    "This address takes %s only.", allowed);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_ALLOW, "%s", allowed);
}

static void refuse_path(struct api_call *call)
{
	problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_path", NULL,
	    "There is nothing at this address. /v1/openapi.json describes those there are.");
}

/* Whoever has no token learns nothing, not even which addresses there are. */
static bool find_route(struct api *api, struct api_call *call)
{
	char allowed[API_METHODS_MAX];
	const struct mhd_request *request = call->request;
	call->route = api_routes_find(request->method, request->path, call->values, allowed);
	bool is_open = call->route && call->route->access == API_OPEN;
	bool is_session = strcmp(request->path, "/session") == 0;
	if (!is_open && !is_session && api_auth(call, api->limit) != R_OK)
		return false;
	if (!call->route && allowed[0])
		refuse_method(call, allowed);
	else if (!call->route)
		refuse_path(call);
	return call->route && check_access(call) && check_query(call);
}

static void run(struct api_call *call)
{
	const char *key = mhd_request_header(call->request, "Idempotency-Key");
	bool is_kept = strcmp(call->request->method, "POST") == 0 && call->route->access != API_OPEN;
	if (key && is_kept)
		api_idempotency_run(call, key);
	else
		call->route->handle(call);
}

static void route_web(struct api *api, struct api_call *call)
{
	if (!web_has(api->web, call->request->path))
		refuse_path(call);
	else if (strcmp(call->request->method, "GET") != 0)
		refuse_method(call, "GET");
	else
		web_reply(api->web, call->request, call->reply);
}

static void route(struct api *api, struct api_call *call)
{
	const char *path = call->request->path;
	if (call->request->too_large)
		problem_reply(call->reply, MHD_HTTP_CONTENT_TOO_LARGE, "too_large", NULL,
		    "A body may have %d bytes at most.", MHD_BODY_MAX);
	else if (strncmp(path, "/v1/", 4) != 0 && strcmp(path, "/session") != 0)
		route_web(api, call);
	else if (find_route(api, call) && read_body(call))
		run(call);
	json_decref(call->body);
}

static struct api_call *new_call(struct api *api, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct api_call *call = mem_alloc(sizeof *call);
	call->config = api->parts.config;
	call->pool = api->parts.pool;
	call->resolver = api->parts.resolver;
	call->diagnoser = api->parts.diagnoser;
	call->request = request;
	call->reply = reply;
	return call;
}

static void complete(struct api *api, struct mhd_reply *reply)
{
	if (reply->type && strstr(reply->type, "json"))
		mhd_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	metric_add(api->requests[reply->status / 100 % CLASSES], 1);
}

static void on_request(void *arg, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct api *api = arg;
	struct api_call *call = new_call(api, request, reply);
	route(api, call);
	free(call);
	complete(api, reply);
}

/* A streamed route is decided upon before its body comes. */
static enum result on_head(
    void *arg, const struct mhd_request *request, struct mhd_reply *reply, struct mhd_stream **stream)
{
	struct api *api = arg;
	char allowed[API_METHODS_MAX], values[API_VALUES][API_VALUE_MAX];
	const struct api_route *found = api_routes_find(request->method, request->path, values, allowed);
	if (!found || !(found->flags & API_STREAMED))
		return R_NONE;
	struct api_call *call = new_call(api, request, reply);
	bool open = find_route(api, call) && check_type(call, "application/x-ndjson") &&
		    api_import_open(call, stream);
	free(call);
	if (!open)
		complete(api, reply);
	return open ? R_OK : R_DENIED;
}

static void register_metrics(struct api *api)
{
	static const char *const labels[CLASSES] = {"class=\"other\"", "class=\"1xx\"", "class=\"2xx\"",
	    "class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\""};
	for (int i = 0; i < CLASSES; i++)
		api->requests[i] = metrics_counter("postern_verifier_api_requests_total", labels[i],
		    "Requests to the API and the dashboard by class of status.");
}

static void drop(struct api *api)
{
	web_free(api->web);
	rate_limit_free(api->limit);
	free(api);
}

enum result api_start(struct api **out, const struct api_parts *parts, int fd, struct error *error)
{
	struct api *api = mem_alloc(sizeof *api);
	api->parts = *parts;
	api->limit = rate_limit_new(parts->config->api_rate);
	api->web = web_new(parts->config);
	register_metrics(api);
	struct mhd_options options = {.fd = fd,
	    .thread_per_connection = true,
	    .connections = CONNECTIONS,
	    .handle = on_request,
	    .open = on_head,
	    .arg = api};
	enum result result = mhd_server_start(&api->server, &options, error);
	if (result == R_OK)
		*out = api;
	else
		drop(api);
	return result;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	mhd_server_stop(api->server);
	drop(api);
}
