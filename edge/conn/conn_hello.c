/*
 * The beginning of a TLS connection: its ClientHello is read, then it is decided what becomes of it. The
 * decision runs on bytes; an SSL exists only where it ends in a handshake.
 */
#include "edge/conn/conn_internal.h"

#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/log/log.h"
#include "edge/edge_metrics.h"
#include "edge/loop/log_rate.h"
#include "edge/tls/hot_site.h"

static const char acme_protocol[] = "acme-tls/1";

/* An IP address is no name (RFC 6066 section 3): who sends one is like who sends none. */
static const char *read_name(struct conn *conn)
{
	const struct client_hello_slice *sni = &conn->opening->hello.server_name;

	if (!sni->bytes)
		return "no_name";
	switch (hostname_parse_sni(&conn->opening->name, (const char *)sni->bytes, sni->size)) {
	case HOSTNAME_OK: return NULL;
	case HOSTNAME_IP_LITERAL: conn->opening->name.text[0] = '\0'; return "no_name";
	default: conn->opening->name.text[0] = '\0'; return "bad_name";
	}
}

/* A proxy's header says where it came to; else the socket knows. */
static const struct hostname *default_name(const struct conn *conn)
{
	struct net_address local = conn->opening->local;

	if (conn->worker->config->default_names.count == 0)
		return NULL;
	if (local.size == 0 && net_local_address(conn->stream.io.fd, &local, NULL) != R_OK)
		return NULL;
	return default_names_find(&conn->worker->config->default_names, &local);
}

/* No certificate would help it, whatever it asks for. */
static void refuse_version(struct conn *conn)
{
	conn_refuse(
	    conn, conn->opening->hello.alert, client_hello_problem_name(conn->opening->hello.problem));
}

/* RFC 8446 has no alert for "I do not know that name" but this one, whatever is wrong with the name. */
void conn_not_ours(struct conn *conn, const char *cause)
{
	const struct hostname *name = NULL;

	if (conn_pass_by_default(conn))
		return;
	if (conn->point.kind == LISTEN_HTTPS && conn->opening->hello.problem == CLIENT_HELLO_OLD_VERSION) {
		refuse_version(conn);
		return;
	}
	if (conn->point.kind == LISTEN_HTTPS && !conn->opening->is_validation)
		name = default_name(conn);
	if (!name) {
		conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, cause);
		return;
	}
	conn->opening->name = *name;
	conn->opening->want = WANT_DEFAULT;
	conn->opening->cause = cause;
	conn->opening->session.no_ticket = true;
	if (!conn_find_site(conn))
		conn_wait_for_cert(conn);
}

static void refuse_probe(struct conn *conn)
{
	conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, "no_challenge");
}

/* An operator's slip, which visitors of any name meet. */
static void refuse_without_default(struct conn *conn)
{
	static struct log_rate rate;

	if (log_rate_allows(&rate))
		log_warn("a default-certificate cannot be shown: nothing is stored for its name, it is "
			 "suspended, or its TLS is passed on",
		    log_str("name", conn->opening->name.text));
	conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, conn->opening->cause);
}

void conn_find_nothing(struct conn *conn, const char *cause)
{
	switch (conn->opening->want) {
	case WANT_SITE: conn_not_ours(conn, cause); return;
	case WANT_ROUTE: conn_not_ours(conn, "no_route"); return;
	case WANT_CA_ROUTE:
		if (!conn_pass_by_default(conn))
			refuse_probe(conn);
		return;
	case WANT_OLD_ROUTE: conn_not_ours(conn, cause); return;
	case WANT_DEFAULT: refuse_without_default(conn); return;
	}
}

static void use_site(struct conn *conn, struct hot_site *site)
{
	bool is_passed = site_is_passed(hot_site_cold(site));

	if (is_passed && conn->opening->want != WANT_DEFAULT)
		conn_pass_by_site(conn, hot_site_cold(site));
	else if (is_passed || conn->opening->want == WANT_ROUTE)
		conn_find_nothing(conn, "not_stored");
	else if (conn->opening->want == WANT_CA_ROUTE)
		refuse_probe(conn); /* of a name that is served here nobody else may prove anything */
	else if (conn->opening->want == WANT_OLD_ROUTE)
		refuse_version(conn);
	else
		conn_handshake_with_site(conn, site);
}

bool conn_find_site(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct hot_site *site = NULL;
	struct error error = {""};
	enum result result = hot_sites_find(
	    worker->hot_sites, conn->opening->name.text, clock_wall_ms() / 1000, &site, &error);

	if (result == R_OK) {
		use_site(conn, site);
	} else if (result == R_ERROR) {
		log_error("a cached certificate cannot be used", log_str("name", conn->opening->name.text),
		    log_str("error", error.text));
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "unusable_certificate");
	}
	return result == R_OK || result == R_ERROR;
}

static bool refuse_known(struct conn *conn)
{
	struct site_cache *sites = conn->worker->edge->sites;
	enum refusal refusal = site_cache_find_refusal(sites, conn->opening->name.text);

	if (refusal == REFUSAL_NONE)
		return false;
	conn->opening->remembered = site_cache_refusal_cause(sites, conn->opening->name.text);
	if (refusal == REFUSAL_DENIED)
		conn_find_nothing(conn, "denied");
	else
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "temporary");
	return true;
}

static void decide_site(struct conn *conn)
{
	const struct edge_metrics *metrics = conn->worker->metrics;

	if (conn_find_site(conn)) {
		metric_add(metrics->cache_hits, 1);
		return;
	}
	metric_add(metrics->cache_misses, 1);
	if (!refuse_known(conn))
		conn_wait_for_cert(conn);
}

/* In memory; who is not is found once it is clear that there is no challenge of ours. */
static bool pass_known(struct conn *conn)
{
	struct site *site = site_cache_find(conn->worker->edge->sites, conn->opening->name.text);
	bool is_passed = site && site_is_passed(site);

	if (is_passed)
		conn_pass_by_site(conn, site);
	site_unref(site);
	return is_passed;
}

/* RFC 8737 section 3: a validation offers acme-tls/1 and nothing else. That of a name which is passed on is
 * its server's. */
static void decide_name(struct conn *conn)
{
	if (conn->point.kind == LISTEN_PASS) {
		conn->opening->want = WANT_ROUTE;
		decide_site(conn);
	} else if (conn->opening->is_validation && pass_known(conn)) {
		return;
	} else if (conn->opening->hello.problem == CLIENT_HELLO_OLD_VERSION) {
		conn->opening->want = WANT_OLD_ROUTE;
		decide_site(conn);
	} else if (conn->opening->is_validation) {
		conn_wait_for_challenge(conn);
	} else {
		decide_site(conn);
	}
}

static void decide(struct conn *conn)
{
	conn->opening->times.hello = clock_monotonic_us() - conn->opening->phase_began_us;
	histogram_observe_us(conn->worker->metrics->hello_seconds, conn->opening->times.hello);
	conn->opening->is_validation = client_hello_offers_only(&conn->opening->hello, acme_protocol);
	const char *problem = read_name(conn);
	if (conn_pass_by_name(conn))
		return;
	if (problem)
		conn_not_ours(conn, problem);
	else
		decide_name(conn);
}

/* What is too old for us, or no TLS at all, may not be so for a server that it is passed on to. */
static void parse(struct conn *conn)
{
	enum result result = client_hello_parse(
	    &conn->opening->hello, buf_bytes(&conn->opening->received), buf_size(&conn->opening->received));

	if (result == R_AGAIN)
		return;
	if (result == R_OK || conn->opening->hello.problem == CLIENT_HELLO_OLD_VERSION)
		decide(conn);
	else if (conn->opening->hello.problem != CLIENT_HELLO_NOT_TLS || !conn_pass_plain(conn))
		conn_refuse(conn, conn->opening->hello.alert,
		    client_hello_problem_name(conn->opening->hello.problem));
}

/* One read a round: a client that sends without end does not hold up the others. The parser refuses before
 * the buffer's maximum is reached. */
void conn_hello_on_ready(struct conn *conn, uint32_t events)
{
	size_t room = CLIENT_HELLO_WIRE_MAX - buf_size(&conn->opening->received);
	size_t got = 0;

	(void)events;
	switch (stream_read(
	    &conn->stream, conn->worker->scratch, room < WORKER_SCRATCH ? room : WORKER_SCRATCH, &got)) {
	case R_AGAIN: return;
	case R_OK: break;
	default:
		/* A bare connect and close is a health check's way to knock; whoever began to speak is
		 * counted. */
		if (buf_size(&conn->opening->received) > 0)
			cause_counter_add(&conn->worker->metrics->refused, "client_left");
		conn_free(conn);
		return;
	}
	if (buf_append(&conn->opening->received, conn->worker->scratch, got) != R_OK) {
		conn_refuse(conn, TLS_ALERT_DECODE_ERROR, client_hello_problem_name(CLIENT_HELLO_TOO_LARGE));
		return;
	}
	parse(conn);
}
