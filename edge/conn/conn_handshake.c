/*
 * From a chosen certificate to the end of the handshake: makes the SSL, feeds it the bytes that were read
 * before it existed, and hands the stream on to HTTP, or ends it where it was a CA's validation.
 */
#include "edge/conn/conn_internal.h"

#include <openssl/ssl.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "edge/edge_metrics.h"
#include "edge/loop/tls_bio.h"
#include "edge/site/handshakes.h"
#include "edge/tls/challenge_cert.h"
#include "edge/tls/hot_site.h"

enum { READS_AT_ONCE = 4 };

static bool make_ssl(struct conn *conn)
{
	conn->stream.ssl = tls_context_accept(conn->worker->tls, &conn->opening->session, conn->stream.io.fd,
	    buf_bytes(&conn->opening->received), buf_size(&conn->opening->received));
	return conn->stream.ssl;
}

/* OpenSSL asks when it has to show one: resumption does without, and 24,000 instructions less. */
static int on_certificate_needed(SSL *ssl, void *arg)
{
	struct conn *conn = arg;
	enum result result = conn->opening->site ? hot_site_install(conn->opening->site, ssl) : R_ERROR;

	conn->opening->site = NULL;
	return result == R_OK;
}

/* No handshake has begun: the SSL goes, and the alert is ours to send. */
static void give_up(struct conn *conn)
{
	SSL_free(conn->stream.ssl);
	conn->stream.ssl = NULL;
	conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "unusable_certificate");
}

static void proceed(struct conn *conn, int reads);

/* What the client sends next answers what we have not sent yet: the socket need not be asked. */
static void begin(struct conn *conn)
{
	conn->opening->phase_began_us = clock_monotonic_us();
	conn_enter(conn, CONN_HANDSHAKE, conn->worker->config->limits.handshake_timeout_ms);
	proceed(conn, 0);
}

static int minimum_version(const struct conn *conn, const struct hot_site *site)
{
	int own = hot_site_cold(site)->options.minimum_tls;

	return own > conn->worker->config->minimum_tls ? own : conn->worker->config->minimum_tls;
}

/* TLS 1.2 was checked with the hello. Whoever offers 1.3 as well gets that. */
void conn_handshake_with_site(struct conn *conn, struct hot_site *site)
{
	conn->opening->session.version = hot_site_cold(site)->stamp.version;
	if (minimum_version(conn, site) > TLS1_2_VERSION && !conn->opening->hello.offers_tls13)
		conn_refuse(conn, TLS_ALERT_PROTOCOL_VERSION, "protocol_version");
	else if (make_ssl(conn)) {
		conn->opening->site = site;
		SSL_set_cert_cb(conn->stream.ssl, on_certificate_needed, conn);
		begin(conn);
	} else
		give_up(conn);
}

void conn_handshake_with_challenge(struct conn *conn, const char *key_authorization)
{
	conn->opening->session.challenge = true;
	if (make_ssl(conn) &&
	    challenge_certs_install(conn->worker->challenge_certs, conn->opening->challenge_id,
		conn->opening->name.text, key_authorization, conn->stream.ssl) == R_OK)
		begin(conn);
	else
		give_up(conn);
}

/* A validation ends with its handshake (RFC 8737 section 3); everyone else goes on to HTTP. The hello's bytes
 * were all read before the client could send its Finished. */
static void finish(struct conn *conn)
{
	struct worker *worker = conn->worker;
	SSL *ssl = conn->stream.ssl;

	metric_add(
	    SSL_session_reused(ssl) ? worker->metrics->handshakes_resumed : worker->metrics->handshakes_full,
	    1);
	conn->opening->times.handshake = clock_monotonic_us() - conn->opening->phase_began_us;
	histogram_observe_us(worker->metrics->handshake_seconds, conn->opening->times.handshake);
	tls_context_accepted(ssl);
	stream_expect_more(&conn->stream, false);
	if (!conn->opening->session.challenge) {
		if (conn->opening->want != WANT_DEFAULT)
			handshakes_completed(worker->edge->handshakes, (size_t)worker->index,
			    conn->opening->name.text,
			    SSL_session_reused(ssl) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL);
		conn_start_http(conn);
		return;
	}
	challenges_mark_seen(worker->edge->challenges, conn->opening->challenge_id);
	conn_close_gently(conn);
}

static void fail(struct conn *conn, int ssl_error)
{
	const char *cause = tls_context_failure(&conn->opening->session, ssl_error);

	cause_counter_add(&conn->worker->metrics->handshake_failures, cause);
	conn_note_end(conn, TLS_ALERT_NONE, cause, true);
	/* OpenSSL has sent its alert; what follows needs the socket only. */
	conn->opening->site = NULL;
	SSL_free(conn->stream.ssl);
	conn->stream.ssl = NULL;
	conn_close_gently(conn);
}

/* TLS 1.3: our Finished is sent, the client's is awaited, and the ticket that we then send can go with the
 * first response. */
static bool only_ticket_is_left(const SSL *ssl)
{
	return SSL_get_state(ssl) == TLS_ST_EARLY_DATA;
}

/* The client has to speak again, and by then the site may be gone. Whatever follows does without asking
 * again: where HelloRetryRequest was the answer, the certificate was installed by the first hello; a second
 * one that gives up a resumption which the first was granted finds none and fails. */
static void let_go_of_site(struct conn *conn)
{
	conn->opening->site = NULL;
	SSL_set_cert_cb(conn->stream.ssl, NULL, NULL);
}

/* The socket is read `reads` times at most; what is left in it wakes us again. */
static void proceed(struct conn *conn, int reads)
{
	SSL *ssl = conn->stream.ssl;

	if (only_ticket_is_left(ssl))
		stream_expect_more(&conn->stream, true);
	tls_bio_limit_reads(SSL_get_rbio(ssl), reads);
	tls_forget_errors();
	int done = SSL_do_handshake(ssl);
	if (done == 1) {
		finish(conn);
		return;
	}
	int error = SSL_get_error(ssl, done);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
		fail(conn, error);
		return;
	}
	let_go_of_site(conn);
	if (loop_watch(conn->worker->loop, &conn->stream.io,
		error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT) != R_OK)
		conn_free(conn);
}

void conn_handshake_on_ready(struct conn *conn, uint32_t events)
{
	(void)events;
	proceed(conn, READS_AT_ONCE);
}

void conn_handshake_on_deadline(struct conn *conn)
{
	cause_counter_add(&conn->worker->metrics->handshake_failures, "timeout");
	conn_note_end(conn, TLS_ALERT_NONE, "timeout", true);
	conn->stream.failed = true;
	conn_free(conn);
}
