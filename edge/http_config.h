/*
 * What the HTTP half takes from the settings: deadlines, what is said of upstreams, the access log, and the
 * counters it adds to. Made once at start, read-only afterwards, shared by all workers.
 */
#ifndef EDGE_HTTP_CONFIG_H
#define EDGE_HTTP_CONFIG_H

#include "common/daemon/metrics.h"
#include "common/settings/settings.h"
#include "edge/error_pages.h"
#include "edge/upstream/upstream_config.h"

/* How a tunnel ended. */
enum tunnel_end {
	TUNNEL_WHOLE,    /* both sides said that they had sent everything */
	TUNNEL_CLIENT,   /* the client broke off */
	TUNNEL_UPSTREAM, /* the upstream did */
	TUNNEL_IDLE,     /* tunnel-idle-timeout */
	TUNNEL_UNSERVED, /* its name is suspended, released or not in memory any more, or bars its visitor */
	TUNNEL_DRAIN,    /* the node goes down, and drain-timeout has passed */
	TUNNEL_END_COUNT
};

/* How a connection in HTTP/2 ended. */
enum h2_end {
	H2_END_ORDERLY,
	H2_END_CLIENT_RESETS, /* what front/h2_limits.h limits, down to the unread answers */
	H2_END_STREAM_ERRORS,
	H2_END_IDLE_FRAMES,
	H2_END_CONTINUATIONS,
	H2_END_HEAD_WORK,
	H2_END_UNREAD_ANSWERS,
	H2_END_PREFACE,  /* the client spoke something else */
	H2_END_PROTOCOL, /* it broke the protocol's rules */
	H2_END_HEADER_TIMEOUT,
	H2_END_WRITE_TIMEOUT,
	H2_END_BROKEN, /* reset, or nothing more could be written */
	H2_END_COUNT
};

enum { HTTP_CLASS_COUNT = 6 }; /* by the status' first digit; 0: the connection ended before an answer */

/* Why the edge itself ended a connection (in HTTP/2: a stream) in the middle of an answer. */
enum http_cut { CUT_APP, CUT_SLOW_CLIENT, CUT_DRAIN, HTTP_CUT_COUNT };

struct http_metrics {
	struct metric *requests[HTTP_CLASS_COUNT];
	struct metric *versions[HTTP_VERSIONS];
	struct metric *h2_ends[H2_END_COUNT];
	struct metric *h2_malformed, *h2_refused; /* streams */
	struct histogram *head_seconds, *connect_seconds, *first_byte_seconds, *request_seconds;
	struct metric *shed, *refused_address, *refused_body;
	struct metric *cuts[HTTP_CUT_COUNT];
	struct metric *bytes_in, *bytes_out;
	struct metric *tunnels; /* open now */
	struct metric *tunnel_ends[TUNNEL_END_COUNT];
	struct metric *tunnel_bytes_in, *tunnel_bytes_out;
	struct histogram *tunnel_seconds;
};

struct http_config {
	struct upstream_config *upstream; /* for upstreams_configure */
	int64_t header_timeout_ms;
	int64_t idle_timeout_ms;
	int64_t body_timeout_ms;
	int64_t write_timeout_ms;
	int64_t tunnel_idle_timeout_ms;
	int64_t min_rate;     /* bytes a second */
	int64_t max_requests; /* of a connection; 0: any number */
	uint64_t max_body;    /* bytes, where the domain does not say; 0: any number */
	struct error_pages pages;
	char *sorry_upstream; /* URL; NULL: none */
	bool http2;
	bool access_log;
	struct http_metrics metrics;
};

/* How many bytes a client has to move in that time: min-rate, but one at least. */
static inline int64_t http_config_least(const struct http_config *config, int64_t took_ms)
{
	int64_t least = config->min_rate * took_ms / 1000;

	return least > 0 ? least : 1;
}

/* Reads the files that its settings name. The error names the setting and the mend. */
enum result http_config_load(struct http_config **out, const struct settings *settings, struct error *error);
void http_config_free(struct http_config *config); /* NULL is fine */

/* Entries of the edge's table of settings. */
#define HTTP_SETTINGS \
	UPSTREAM_SETTINGS, ERROR_PAGES_SETTINGS, \
	    {"header-timeout", SETTING_DURATION, SETTING_RELOAD, "10s", \
		"From the first byte of a request to the end of its head.", NULL, 10, 600000}, \
	    {"idle-timeout", SETTING_DURATION, SETTING_RELOAD, "60s", \
		"How long a connection may wait for its next request.", NULL, 10, 86400000}, \
	    {"body-timeout", SETTING_DURATION, SETTING_RELOAD, "30s", \
		"How long a client may send nothing in the middle of a request body.", NULL, 10, 86400000}, \
	    {"write-timeout", SETTING_DURATION, SETTING_RELOAD, "30s", \
		"How long a client may take nothing of a response that waits for it.", NULL, 10, 86400000}, \
	    {"tunnel-idle-timeout", SETTING_DURATION, SETTING_RELOAD, "1h", \
		"How long a WebSocket or another tunnel may move no byte in either direction. Long, since " \
		"not every application sends pings and a silent tunnel costs little; peers that have " \
		"vanished are found within minutes by TCP's own probes.", \
		NULL, 10, 7 * 86400000LL}, \
	    {"min-rate", SETTING_BYTES, SETTING_RELOAD, "240", \
		"Bytes a second that a client has to send of a request's body, averaged over any stretch " \
		"of " \
		"body-timeout, and to take of a response, over write-timeout. 0: any progress will do.", \
		NULL, 0, 1 << 30}, \
	    {"max-body", SETTING_BYTES, SETTING_RELOAD, "0", \
		"Most bytes of a request's body; more is refused with 413. A domain's option max_body " \
		"counts " \
		"in its place. 0: any number.", \
		NULL, 0, INT64_C(1) << 50}, \
	    {"max-requests", SETTING_INTEGER, SETTING_RELOAD, "10000", \
		"Requests on one client connection, which is closed after them. 0: any number.", NULL, 0, \
		INT64_C(1) << 50}, \
	    {"http2", SETTING_SWITCH, SETTING_RELOAD, "on", \
		"Whether HTTP/2 is offered to clients, before HTTP/1.1.", NULL, 0, 0}, \
	{ \
		"access-log", SETTING_SWITCH, SETTING_RELOAD, "off", \
		    "A line on stdout for each request, in `log-format`. Never shows queries, cookies or " \
		    "credentials.", \
		    NULL, 0, 0 \
	}

#endif
