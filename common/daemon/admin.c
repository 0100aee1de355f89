#include "common/daemon/admin.h"

#include <microhttpd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/net.h"

enum {
	CONNECTIONS_MAX = 32,
	TIMEOUT_S = 10,
	CONNECTION_MEMORY = 16 * 1024,
	PAGE_MAX = 4 * 1024 * 1024,
	REASON_SIZE = 512,
};

struct admin {
	struct MHD_Daemon *daemon;
	struct admin_hooks hooks;
	char address[NET_ADDRESS_TEXT];
};

struct page {
	unsigned status;
	const char *type;
	struct buf body;
};

static void write_health(const struct admin *admin, struct page *page)
{
	(void)admin;
	buf_append_string(&page->body, "ok\n");
}

static void write_readiness(const struct admin *admin, struct page *page)
{
	char reason[REASON_SIZE] = "not ready";
	if (admin->hooks.ready == NULL || admin->hooks.ready(admin->hooks.arg, reason, sizeof reason)) {
		buf_append_string(&page->body, "ok\n");
		return;
	}
	page->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	buf_append_string(&page->body, reason);
	buf_append_string(&page->body, "\n");
}

static void write_metrics(const struct admin *admin, struct page *page)
{
	(void)admin;
	page->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_render(&page->body);
}

static const struct {
	const char *path;
	void (*write)(const struct admin *admin, struct page *page);
} routes[] = {
    {"/metrics", write_metrics},
    {"/healthz", write_health},
    {"/readyz", write_readiness},
};

static void write_page(const struct admin *admin, struct page *page, const char *path, const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		page->status = MHD_HTTP_METHOD_NOT_ALLOWED;
		buf_append_string(&page->body, "only GET and HEAD\n");
		return;
	}
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (strcmp(path, routes[i].path) == 0) {
			routes[i].write(admin, page);
			return;
		}
	}
	page->status = MHD_HTTP_NOT_FOUND;
	buf_append_string(&page->body, "here are /metrics, /healthz and /readyz\n");
}

static enum MHD_Result send_page(struct MHD_Connection *connection, const struct page *page)
{
	/* The cast: MHD_RESPMEM_MUST_COPY reads only. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    buf_size(&page->body), (void *)(uintptr_t)buf_bytes(&page->body), MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", page->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	if (page->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, "Allow", "GET, HEAD");
	enum MHD_Result queued = MHD_queue_response(connection, page->status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload, size_t *upload_size, void **request)
{
	(void)version, (void)upload, (void)upload_size, (void)request;
	struct page page = {.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
	buf_init(&page.body, PAGE_MAX);
	write_page(arg, &page, path, method);
	enum MHD_Result sent = send_page(connection, &page);
	buf_fini(&page.body);
	return sent;
}

/* The daemon owns the socket from here on, also when it does not start. */
static struct MHD_Daemon *start_daemon(struct admin *admin, int fd)
{
	return MHD_start_daemon(MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request,
	    admin, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
}

enum result admin_start(
    struct admin **out, const char *listen, const struct admin_hooks *hooks, struct error *error)
{
	*out = NULL;
	if (!listen)
		return R_OK;
	struct net_address address;
	int fd = -1;
	enum result result = net_parse_address(&address, listen, error);
	if (result == R_OK)
		result = net_listen(&fd, &address, false, error);
	if (result == R_OK)
		result = net_local_address(fd, &address, error);
	if (result != R_OK) {
		error_prefix(error, "admin-listen");
		return result;
	}
	struct admin *admin = mem_alloc(sizeof *admin);
	admin->hooks = hooks != NULL ? *hooks : (struct admin_hooks){0};
	net_format_address(&address, admin->address);
	metrics_add_process();
	admin->daemon = start_daemon(admin, fd);
	if (admin->daemon == NULL) {
		error_set(error, "admin-listen: the HTTP server for %s did not start", admin->address);
		free(admin);
		return R_ERROR;
	}
	log_info("admin listening", log_str("address", admin->address));
	*out = admin;
	return R_OK;
}

const char *admin_address(const struct admin *admin)
{
	return admin->address;
}

void admin_stop(struct admin *admin)
{
	if (admin == NULL)
		return;
	MHD_stop_daemon(admin->daemon);
	free(admin);
}
