#include "verifier/api/api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "verifier/api/api_call.h"
#include "verifier/http/bearer.h"
#include "verifier/http/json_body.h"
#include "verifier/http/problem.h"
#include "verifier/web/web.h"

/* A verification holds its connection's thread for as long as DNS takes: threads are what there must be
 * plenty of. */
enum { CONNECTIONS = 256, CLASSES = 6 };

#define DOMAINS "/v1/domains"

struct api {
	const struct config *config;
	struct pg_pool *pool;
	struct resolver *resolver;
	struct mhd_server *server;
	struct metric *requests[CLASSES];
};

void api_call_json(struct api_call *call, unsigned status, json_t *json)
{
	call->reply->status = status;
	call->reply->type = "application/json";
	char *text = json_dumps(json, JSON_INDENT(2));
	call->reply->size = strlen(text) + 1;
	call->reply->body = mem_resize(text, call->reply->size);
	call->reply->body[call->reply->size - 1] = '\n'; /* in place of the NUL: kind to terminals */
	json_decref(json);
}

static bool is_json(const char *type)
{
	static const char wanted[] = "application/json";
	size_t size = strlen(wanted);
	return type && strncasecmp(type, wanted, size) == 0 && (!type[size] || strchr("; \t", type[size]));
}

json_t *api_call_body(struct api_call *call, const char *const *fields)
{
	struct error error = {""};
	json_t *body = NULL;
	if (!is_json(mhd_request_header(call->request, MHD_HTTP_HEADER_CONTENT_TYPE))) {
		problem_reply(call->reply, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", NULL,
		    "The body must be JSON: send it with Content-Type: application/json.");
		return NULL;
	}
	if (json_body_parse(&body, buf_bytes(&call->request->body), buf_size(&call->request->body), &error) !=
	    R_OK) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_json", NULL, "%s.", error.text);
		return NULL;
	}
	const char *unknown = json_body_unknown_field(body, fields);
	if (unknown) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "unknown_field", unknown,
		    "The field \"%.100s\" is unknown here: leave it out.", unknown);
		json_decref(body);
		return NULL;
	}
	return body;
}

bool api_call_is_tenant(struct api_call *call, const char *tenant)
{
	if (config_is_tenant(tenant))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_tenant", "tenant",
	    "tenant: must be 1 to 63 of a-z 0-9 _ -, and begin with a letter or digit.");
	return false;
}

bool api_call_tenant(struct api_call *call, const char **tenant)
{
	*tenant = mhd_request_query(call->request, "tenant");
	return !*tenant || api_call_is_tenant(call, *tenant);
}

bool api_call_query(struct api_call *call, const char *const *known)
{
	const char *stray = mhd_request_stray_query(call->request, known);
	if (!stray)
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "unknown_parameter", stray,
	    "The parameter \"%.100s\" is unknown here, has no value or comes twice: leave it out.", stray);
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
	    "There is nothing at this address. Domains are at " DOMAINS ".");
}

static enum result authenticate(struct api_call *call)
{
	const struct mhd_request *request = call->request;
	if (bearer_matches(request, call->config->admin_token_hash)) {
		call->actor = "admin-token";
		return R_OK;
	}
	if (!mhd_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION) &&
	    mhd_request_cookie(request, "postern_session")) {
		call->actor = "dashboard";
		return api_session_accept(call);
	}
	problem_reply(call->reply, MHD_HTTP_UNAUTHORIZED, "unauthorized", NULL,
	    "Send the admin token as Authorization: Bearer TOKEN.");
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	return R_DENIED;
}

static void route_session(struct api_call *call)
{
	if (strcmp(call->request->method, "POST") == 0)
		api_session_create(call);
	else if (strcmp(call->request->method, "GET") == 0)
		api_session_show(call);
	else if (strcmp(call->request->method, "DELETE") == 0)
		api_session_end(call);
	else
		refuse_method(call, "GET, POST, DELETE");
}

static void route_domain(struct api_call *call, const char *path)
{
	const char *method = call->request->method;
	const char *slash = strchr(path, '/');
	char *name = mem_string(path);
	if (slash)
		name[slash - path] = '\0';
	if (slash && strcmp(slash, "/verify") == 0) {
		if (strcmp(method, "POST") == 0)
			api_domains_verify(call, name);
		else
			refuse_method(call, "POST");
	} else if (slash || !*name) {
		refuse_path(call);
	} else if (strcmp(method, "GET") == 0) {
		api_domains_show(call, name);
	} else if (strcmp(method, "DELETE") == 0) {
		api_domains_remove(call, name);
	} else {
		refuse_method(call, "GET, DELETE");
	}
	free(name);
}

static void route_domains(struct api_call *call)
{
	const char *rest = call->request->path + strlen(DOMAINS);
	if (*rest == '/')
		route_domain(call, rest + 1);
	else if (*rest)
		refuse_path(call);
	else if (strcmp(call->request->method, "POST") == 0)
		api_domains_add(call);
	else if (strcmp(call->request->method, "GET") == 0)
		api_domains_list(call);
	else
		refuse_method(call, "GET, POST");
}

static void route(struct api_call *call)
{
	const char *path = call->request->path;
	if (call->request->too_large)
		problem_reply(call->reply, MHD_HTTP_CONTENT_TOO_LARGE, "too_large", NULL,
		    "A body may have %d bytes at most.", MHD_BODY_MAX);
	else if (strcmp(path, "/session") == 0)
		route_session(call);
	else if (strncmp(path, "/v1/", 4) == 0) {
		if (authenticate(call) != R_OK)
			return;
		if (strncmp(path, DOMAINS, strlen(DOMAINS)) == 0)
			route_domains(call);
		else
			refuse_path(call);
	} else if (!web_has(path)) {
		refuse_path(call);
	} else if (strcmp(call->request->method, "GET") != 0) {
		refuse_method(call, "GET");
	} else {
		web_reply(call->request, call->reply);
	}
}

static void on_request(void *arg, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct api *api = arg;
	struct api_call call = {.config = api->config,
	    .pool = api->pool,
	    .resolver = api->resolver,
	    .request = request,
	    .reply = reply};
	route(&call);
	if (reply->type && strstr(reply->type, "json"))
		mhd_reply_header(reply, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	metric_add(api->requests[reply->status / 100 % CLASSES], 1);
}

static void register_metrics(struct api *api)
{
	static const char *const labels[CLASSES] = {"class=\"other\"", "class=\"1xx\"", "class=\"2xx\"",
	    "class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\""};
	for (int i = 0; i < CLASSES; i++)
		api->requests[i] = metrics_counter("postern_verifier_api_requests_total", labels[i],
		    "Requests to the API and the dashboard by class of status.");
}

enum result api_start(struct api **out, const struct config *config, int fd, struct pg_pool *pool,
    struct resolver *resolver, struct error *error)
{
	struct api *api = mem_alloc(sizeof *api);
	api->config = config;
	api->pool = pool;
	api->resolver = resolver;
	register_metrics(api);
	struct mhd_options options = {.fd = fd,
	    .thread_per_connection = true,
	    .connections = CONNECTIONS,
	    .handle = on_request,
	    .arg = api};
	enum result result = mhd_server_start(&api->server, &options, error);
	if (result != R_OK) {
		free(api);
		return result;
	}
	*out = api;
	return R_OK;
}

void api_stop(struct api *api)
{
	if (!api)
		return;
	mhd_server_stop(api->server);
	free(api);
}
