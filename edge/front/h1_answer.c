/*
 * What a request gets from ourselves, without an upstream: refusals, http-01, redirects to https, and why
 * there is nothing to redirect to.
 */
#include "edge/front/h1_conn_state.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "edge/conn/conn.h"
#include "edge/front/notice_page.h"
#include "edge/http/h1_parse.h"

/* Who pipelines and then shuts his side still gets his answers. */
static bool may_hold_another(const struct h1_conn *conn)
{
	return !conn->read_eof || buf_size(&conn->in) > 0;
}

/* A new connection now and then spreads clients over nodes, and ends what one may accumulate. */
static bool has_served_enough(const struct h1_conn *conn)
{
	int64_t most = h1_config(conn)->max_requests;

	return most > 0 && conn->request_count >= (uint64_t)most;
}

bool h1_answer_goes_on(struct h1_conn *conn)
{
	return conn->request.keep_alive && h1_site_is_served(conn) && h1_body_is_done(&conn->request.body) &&
	       may_hold_another(conn) && !has_served_enough(conn) && !conn->draining &&
	       !atomic_load_explicit(&conn->worker->edge->draining, memory_order_relaxed);
}

const char *h1_answer_connection(const struct h1_conn *conn)
{
	if (!conn->request.keep_alive)
		return "close";
	return conn->request.minor_version == 0 ? "keep-alive" : NULL;
}

static void answer(struct h1_conn *conn, struct reply *reply)
{
	conn->request.keep_alive = h1_answer_goes_on(conn);
	conn->request.status = reply->status;
	conn->request.response = H1_RESPONSE_WHOLE;
	reply->connection = h1_answer_connection(conn);
	reply->to_head = conn->request.to_head;
	reply->request_id = conn->request.id[0] ? conn->request.id : NULL;
	reply_write(&conn->out.buf, reply);
	conn->state = H1_FLUSH;
	h1_conn_drive(conn);
}

void h1_answer_status(struct h1_conn *conn, int status)
{
	answer(conn, &(struct reply){.status = status});
}

void h1_answer_failure(struct h1_conn *conn, int status)
{
	const struct upstream_config *config = upstream_pool_config(conn->worker->upstreams);
	struct reply reply = {.status = status};

	if (status == 503 && config->page) {
		reply.content_type = "text/html; charset=utf-8";
		reply.body = (struct http_slice){config->page, config->page_size};
	}
	answer(conn, &reply);
}

void h1_answer_and_close(struct h1_conn *conn, int status)
{
	conn->request.keep_alive = false;
	h1_answer_status(conn, status);
}

void h1_request_refuse(struct h1_conn *conn, int status)
{
	conn->request_count++;
	conn->request = (struct h1_request){
	    .minor_version = 1,
	    .started_us = clock_monotonic_us(),
	    .first_byte_us = -1,
	    .connect_us = -1,
	    .bytes_in = buf_size(&conn->in),
	    .bytes_before = conn->stream.bytes_out,
	    .entry = h1_config(conn)->access_log ? access_entry_new(NULL) : NULL,
	};
	h1_answer_and_close(conn, status);
}

/* ---- http-01 */

void h1_answer_challenge(struct h1_conn *conn, struct http_head *head, size_t used, const struct route *route)
{
	enum result result = challenges_find(conn->worker->edge->challenges, conn->worker->mailbox,
	    conn_deliver_challenge, conn->peer.id, CHALLENGE_HTTP, route->host.text, route->token);

	if (result == R_OK) {
		conn->state = H1_CHALLENGE;
		return;
	}
	if (conn->peer.tls) {
		h1_request_pass_on(conn, head, used);
		return;
	}
	buf_consume(&conn->in, used);
	h1_answer_status(conn, 503);
}

static void answer_challenge(struct h1_conn *conn, const struct challenge_reply *reply, size_t used)
{
	buf_consume(&conn->in, used);
	if (reply->result != R_OK) {
		h1_answer_status(conn, reply->result == R_NONE ? 404 : 503);
		return;
	}
	conn->request.challenge_row = reply->id;
	answer(conn, &(struct reply){.status = 200,
			 .content_type = "application/octet-stream",
			 .body = http_slice_of(reply->key_authorization)});
}

/* The head is read once more: it has waited in `in`, which may have moved. */
static bool read_again(struct h1_conn *conn, struct http_head *head, size_t *used)
{
	int status = 0;

	conn->scan = (struct h1_scan){0};
	enum result result =
	    h1_parse_request(head, &conn->scan, buf_bytes(&conn->in), buf_size(&conn->in), used, &status);
	conn->scan = (struct h1_scan){0};
	if (result != R_OK)
		h1_request_refuse(conn, 400);
	return result == R_OK;
}

void h1_answer_with_challenge(struct h1_conn *conn, const struct challenge_reply *reply)
{
	struct http_head head;
	size_t used = 0;

	if (!read_again(conn, &head, &used))
		return;
	if (conn->peer.tls && reply->result != R_OK)
		h1_request_pass_on(conn, &head, used);
	else
		answer_challenge(conn, reply, used);
}

/* ---- port 80: to https, or why not */

static void redirect(
    struct h1_conn *conn, const struct http_head *head, size_t used, const struct route *route)
{
	static const char scheme[] = "https://";
	char location[sizeof scheme + HOSTNAME_MAX + sizeof ":65535" + 1 + HTTP_TARGET_MAX + 1];
	char port[sizeof ":65535"] = "";
	int https_port = h1_trust(conn)->https_port;
	bool has_path = head->target.bytes[0] == '/';
	bool has_target = !http_slice_equal(head->target, "*");

	if (https_port != 443)
		snprintf(port, sizeof port, ":%d", https_port);
	snprintf(location, sizeof location, "%s%s%s%s%.*s", scheme, route->host.text, port,
	    has_path ? "" : "/", has_target ? (int)head->target.size : 0, head->target.bytes);
	buf_consume(&conn->in, used);
	answer(conn, &(struct reply){.status = 308, .location = location});
}

/* A name whose certificate is in memory costs no look-up, and most redirects are of such a one. */
void h1_answer_plain(struct h1_conn *conn, struct http_head *head, size_t used, const struct route *route)
{
	struct edge *edge = conn->worker->edge;
	struct site *site = site_cache_find(edge->sites, route->host.text);
	enum result asked = R_NONE;

	if (!site)
		asked = notices_find(edge->notices, conn->worker->mailbox, conn_deliver_notice, conn->peer.id,
		    route->host.text);
	site_unref(site);
	if (asked == R_OK)
		conn->state = H1_NOTICE;
	else
		redirect(conn, head, used, route);
}

/* Another request's reply that comes late is of another name, or of this one and as good. */
void h1_answer_with_notice(struct h1_conn *conn, const struct notice_reply *reply)
{
	struct http_head head;
	struct route route;
	char page[NOTICE_PAGE_MAX];
	size_t used = 0;

	if (!read_again(conn, &head, &used))
		return;
	route_request(&route, &head, NULL);
	if (reply && strcmp(reply->name.text, route.host.text) != 0)
		return;
	if (!reply || reply->kind == NOTICE_NONE) {
		redirect(conn, &head, used, &route);
		return;
	}
	buf_consume(&conn->in, used);
	answer(conn, &(struct reply){.status = 503,
			 .content_type = "text/html; charset=utf-8",
			 .body = notice_page_write(page, reply->kind, reply->retry_s, clock_wall_ms()),
			 .retry_after = notice_retry_after(reply->kind, reply->retry_s)});
}
