#include "edge/http_config.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"

static void register_tunnels(struct http_metrics *metrics)
{
	static const char *const ends[TUNNEL_END_COUNT] = {"end=\"whole\"", "end=\"client\"",
	    "end=\"upstream\"", "end=\"idle\"", "end=\"unserved\"", "end=\"drain\""};

	metrics->tunnels =
	    metrics_gauge("postern_edge_tunnels", NULL, "WebSockets and other tunnels that are open.");
	for (int i = 0; i < TUNNEL_END_COUNT; i++)
		metrics->tunnel_ends[i] = metrics_counter("postern_edge_tunnels_ended_total", ends[i],
		    "Tunnels that have ended. whole: both sides had sent everything; client, upstream: "
		    "that side broke off; idle: tunnel-idle-timeout; unserved: the domain was suspended or "
		    "released, or bars the visitor now; drain: drain-timeout.");
	metrics->tunnel_bytes_in = metrics_counter("postern_edge_tunnel_bytes_total", "direction=\"in\"",
	    "Bytes through tunnels, TLS not counted, from clients (in) and to them (out).");
	metrics->tunnel_bytes_out = metrics_counter("postern_edge_tunnel_bytes_total", "direction=\"out\"",
	    "Bytes through tunnels, TLS not counted, from clients (in) and to them (out).");
	metrics->tunnel_seconds = metrics_histogram(
	    "postern_edge_tunnel_seconds", NULL, "From the request for a tunnel to the tunnel's end.");
}

static void register_versions(struct http_metrics *metrics)
{
	static const char *const versions[HTTP_VERSIONS] = {
	    "version=\"1.0\"", "version=\"1.1\"", "version=\"2\""};
	static const char *const ends[H2_END_COUNT] = {"cause=\"orderly\"", "cause=\"client_resets\"",
	    "cause=\"stream_errors\"", "cause=\"idle_frames\"", "cause=\"continuations\"",
	    "cause=\"head_work\"", "cause=\"unread_answers\"", "cause=\"preface\"", "cause=\"protocol\"",
	    "cause=\"header_timeout\"", "cause=\"write_timeout\"", "cause=\"broken\""};

	for (int i = 0; i < HTTP_VERSIONS; i++)
		metrics->versions[i] = metrics_counter(
		    "postern_edge_requests_by_version_total", versions[i], "Requests by version of HTTP.");
	for (int i = 0; i < H2_END_COUNT; i++)
		metrics->h2_ends[i] = metrics_counter("postern_edge_h2_connections_ended_total", ends[i],
		    "Client connections in HTTP/2 that have ended, by cause.");
	metrics->h2_malformed = metrics_counter("postern_edge_h2_streams_reset_total", "cause=\"malformed\"",
	    "Streams in HTTP/2 that were reset before they were served, by cause.");
	metrics->h2_refused = metrics_counter("postern_edge_h2_streams_reset_total", "cause=\"refused\"",
	    "Streams in HTTP/2 that were reset before they were served, by cause.");
}

static void register_metrics(struct http_metrics *metrics)
{
	static const char *const classes[HTTP_CLASS_COUNT] = {"class=\"none\"", "class=\"1xx\"",
	    "class=\"2xx\"", "class=\"3xx\"", "class=\"4xx\"", "class=\"5xx\""};
	static const char *const cuts[HTTP_CUT_COUNT] = {
	    "cause=\"app\"", "cause=\"slow_client\"", "cause=\"drain\""};

	for (int i = 0; i < HTTP_CLASS_COUNT; i++)
		metrics->requests[i] = metrics_counter("postern_edge_requests_total", classes[i],
		    "Requests by class of their final status; none: the connection ended before it.");
	metrics->head_seconds = metrics_histogram("postern_edge_request_head_seconds", NULL,
	    "From the first byte of a request to the last of its head.");
	metrics->connect_seconds = metrics_histogram("postern_edge_upstream_connect_seconds", NULL,
	    "What requests waited for a new connection to their upstream, its TLS handshake included.");
	metrics->first_byte_seconds = metrics_histogram("postern_edge_first_byte_seconds", NULL,
	    "From a request's complete head to the head of the upstream's response.");
	for (int i = 0; i < HTTP_CUT_COUNT; i++)
		metrics->cuts[i] = metrics_counter("postern_edge_answers_cut_total", cuts[i],
		    "Connections (streams in HTTP/2) that the edge ended in the middle of a request or its "
		    "answer. app: "
		    "the upstream failed or was too slow; slow_client: body-timeout, write-timeout; drain: "
		    "drain-timeout.");
	metrics->shed = metrics_counter("postern_edge_requests_shed_total", NULL,
	    "Requests answered with 503 because max-memory was reached.");
	metrics->refused_address = metrics_counter("postern_edge_requests_refused_total", "cause=\"address\"",
	    "Requests refused for what their domain says: the client's address (403), a body that is too "
	    "long "
	    "(413).");
	metrics->refused_body =
	    metrics_counter("postern_edge_requests_refused_total", "cause=\"body\"", NULL);
	metrics->bytes_in = metrics_counter("postern_edge_request_bytes_total", "direction=\"in\"",
	    "Bytes of requests and responses, heads included, TLS not.");
	metrics->bytes_out = metrics_counter("postern_edge_request_bytes_total", "direction=\"out\"",
	    "Bytes of requests and responses, heads included, TLS not.");
	register_tunnels(metrics);
	metrics->request_seconds = metrics_histogram("postern_edge_request_seconds", NULL,
	    "From a request's complete head to the last byte of its response in the socket.");
}

static enum result load_sorry_upstream(
    struct http_config *config, const struct settings *settings, struct error *error)
{
	const char *url = settings_string(settings, "sorry-upstream");
	struct upstream_url parts;

	if (!url)
		return R_OK;
	if (upstream_url_parse(&parts, url, error) != R_OK) {
		error_prefix(error, "sorry-upstream");
		return R_INVALID;
	}
	config->sorry_upstream = mem_string(url);
	return R_OK;
}

enum result http_config_load(struct http_config **out, const struct settings *settings, struct error *error)
{
	struct http_config *config = mem_alloc(sizeof *config);
	enum result result = upstream_config_load(&config->upstream, settings, error);

	if (result == R_OK)
		result = error_pages_load(&config->pages, settings, error);
	if (result == R_OK)
		result = load_sorry_upstream(config, settings, error);
	if (result != R_OK) {
		http_config_free(config);
		return result;
	}
	config->header_timeout_ms = settings_number(settings, "header-timeout");
	config->idle_timeout_ms = settings_number(settings, "idle-timeout");
	config->body_timeout_ms = settings_number(settings, "body-timeout");
	config->write_timeout_ms = settings_number(settings, "write-timeout");
	config->tunnel_idle_timeout_ms = settings_number(settings, "tunnel-idle-timeout");
	config->min_rate = settings_number(settings, "min-rate");
	config->max_requests = settings_number(settings, "max-requests");
	config->max_body = (uint64_t)settings_number(settings, "max-body");
	config->http2 = settings_switch(settings, "http2");
	config->access_log = settings_switch(settings, "access-log");
	register_versions(&config->metrics);
	register_metrics(&config->metrics);
	*out = config;
	return R_OK;
}

void http_config_free(struct http_config *config)
{
	if (!config)
		return;
	upstream_config_unref(config->upstream);
	error_pages_fini(&config->pages);
	free(config->sorry_upstream);
	free(config);
}
