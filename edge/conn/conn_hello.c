/*
 * The beginning of a TLS connection: its ClientHello is read, then it is decided what becomes of it. The
 * decision runs on bytes; an SSL exists only where it ends in a handshake.
 */
#include "edge/conn/conn_internal.h"

#include <sys/epoll.h>

#include "common/clock.h"
#include "common/log.h"
#include "edge/edge_metrics.h"
#include "edge/tls/hot_site.h"

static const char acme_protocol[] = "acme-tls/1";

/* RFC 8446 has no alert for "I do not know that name" but this one, whatever is wrong with the name. */
static bool read_name(struct conn *conn)
{
	const struct client_hello_slice *sni = &conn->opening->hello.server_name;

	if (!sni->bytes) {
		conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, "no_name");
		return false;
	}
	if (hostname_parse_sni(&conn->opening->name, (const char *)sni->bytes, sni->size) != HOSTNAME_OK) {
		conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, "bad_name");
		return false;
	}
	return true;
}

static bool refuse_known(struct conn *conn)
{
	switch (site_cache_find_refusal(conn->worker->edge->sites, conn->opening->name.text)) {
	case REFUSAL_NONE: return false;
	case REFUSAL_DENIED: conn_refuse(conn, TLS_ALERT_UNRECOGNIZED_NAME, "denied"); return true;
	case REFUSAL_TEMPORARY: conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "temporary"); return true;
	}
	return false;
}

static void decide_site(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct hot_site *site = NULL;
	struct error error = {""};
	enum result result = hot_sites_find(
	    worker->hot_sites, conn->opening->name.text, clock_wall_ms() / 1000, &site, &error);

	metric_add(result == R_OK ? worker->metrics->cache_hits : worker->metrics->cache_misses, 1);
	if (result == R_OK) {
		conn_handshake_with_site(conn, site);
		return;
	}
	if (result == R_ERROR) {
		log_error("a cached certificate cannot be used", log_str("name", conn->opening->name.text),
		    log_str("error", error.text));
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "unusable_certificate");
		return;
	}
	if (!refuse_known(conn))
		conn_wait_for_cert(conn);
}

/* RFC 8737 section 3: a validation offers acme-tls/1 and nothing else. */
static void decide(struct conn *conn)
{
	conn->opening->times.hello = clock_monotonic_us() - conn->opening->phase_began_us;
	histogram_observe_us(conn->worker->metrics->hello_seconds, conn->opening->times.hello);
	if (!read_name(conn))
		return;
	if (client_hello_offers_only(&conn->opening->hello, acme_protocol))
		conn_wait_for_challenge(conn);
	else
		decide_site(conn);
}

static void parse(struct conn *conn)
{
	switch (client_hello_parse(
	    &conn->opening->hello, buf_bytes(&conn->opening->received), buf_size(&conn->opening->received))) {
	case R_AGAIN: return;
	case R_OK: decide(conn); return;
	default:
		conn_refuse(conn, conn->opening->hello.alert,
		    client_hello_problem_name(conn->opening->hello.problem));
		return;
	}
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
