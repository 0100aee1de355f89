/*
 * Connections whose TLS is not ours: which route, if any, does this one take? Decided on the hello, before
 * there is any SSL; what was read of it goes on unchanged.
 */
#include "edge/conn/conn_internal.h"

#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/edge_metrics.h"
#include "edge/loop/log_rate.h"
#include "edge/pass/pass_circles.h"
#include "edge/pass/pass_conn.h"
#include "edge/site/handshakes.h"

static void on_pass_closed(void *owner)
{
	struct conn *conn = owner;

	conn->pass = NULL;
	conn_free(conn);
}

/* A server of its route is this node, or leads to it. */
static bool leads_back(struct conn *conn, const struct pass_way *way, uint64_t *mark)
{
	static struct log_rate rate;
	const struct client_hello_slice *random = &conn->opening->hello.random;

	*mark = 0;
	if (random->size == 0 || pass_circles_enter(conn->worker->edge->pass_circles, random->bytes, mark))
		return false;
	if (log_rate_allows(&rate))
		log_error("passed on in a circle", log_str("name", conn->opening->name.text),
		    log_str("route", way->label),
		    log_str("mend", "name servers that do not lead back to this edge"));
	conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "passthrough_circle");
	return true;
}

static void begin(struct conn *conn, const struct pass_way *way)
{
	uint64_t mark = 0;

	if (leads_back(conn, way, &mark))
		return;
	conn->name = mem_string(conn->opening->name.text);
	const struct pass_peer peer = {.client = conn->client,
	    .local = conn->opening->local,
	    .name = conn->name,
	    .session_id = conn->opening->hello.session_id.bytes,
	    .session_id_size = conn->opening->hello.session_id.size,
	    .circle = mark,
	    .is_tls = conn->opening->hello.problem != CLIENT_HELLO_NOT_TLS &&
		      buf_size(&conn->opening->received) > 0,
	    .began_us = conn->opening->phase_began_us};
	handshakes_completed(
	    conn->worker->edge->handshakes, (size_t)conn->worker->index, conn->name, HANDSHAKE_PASSED);
	struct stream stream = conn_give_stream(conn, CONN_PASS);

	conn->pass =
	    pass_conn_new(conn->worker, &stream, &conn->opening->received, way, &peer, on_pass_closed, conn);
	conn_end_opening(conn);
}

static bool take(struct conn *conn, const struct pass_route *route)
{
	if (!route)
		return false;
	begin(conn,
	    &(struct pass_way){.target = &route->target, .label = route->label, .metrics = &route->metrics});
	return true;
}

bool conn_pass_by_name(struct conn *conn)
{
	const struct pass_routes *routes = conn->worker->config->pass->routes;

	return conn->opening->name.text[0] &&
	       take(conn, pass_routes_find(routes, conn->opening->name.text, conn->point.port));
}

static const struct pass_route *default_route(const struct conn *conn)
{
	return pass_routes_default(
	    conn->worker->config->pass->routes, conn->point.port, conn->point.kind == LISTEN_PASS);
}

bool conn_pass_by_default(struct conn *conn)
{
	return take(conn, default_route(conn));
}

bool conn_pass_plain(struct conn *conn)
{
	const struct pass_route *route = default_route(conn);

	return route && route->target.takes_plain && take(conn, route);
}

/* Its requests are nobody's here: whom the domain lets in is judged by the connection. A CA must always find
 * its way. */
static bool is_admitted(const struct conn *conn, const struct site *site)
{
	char address[NET_ADDRESS_TEXT];

	return conn->opening->is_validation ||
	       domain_options_admit(&site->options, net_format_host(&conn->client, address));
}

void conn_pass_by_site(struct conn *conn, const struct site *site)
{
	static struct log_rate rate;
	struct pass_target target;
	struct error error = {""};

	if (!is_admitted(conn, site)) {
		conn_refuse(conn, TLS_ALERT_ACCESS_DENIED, "address");
		return;
	}
	if (pass_target_parse(&target, site->options.passthrough, conn->opening->name.text, &error) == R_OK) {
		begin(conn, &(struct pass_way){.target = &target,
				.label = "domains",
				.metrics = &conn->worker->config->pass->domains,
				.of_domain = true});
		return;
	}
	if (log_rate_allows(&rate))
		log_warn("a domain's passthrough cannot be used", log_str("name", conn->opening->name.text),
		    log_str("error", error.text));
	conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "passthrough_option");
}
