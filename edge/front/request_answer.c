/*
 * What a request gets from ourselves, without an upstream: refusals, http-01, redirects to https, and why
 * there is nothing to redirect to.
 */
#include "edge/front/request_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "edge/conn/conn.h"
#include "edge/front/notice_page.h"

void request_answer(struct request *request, struct reply *reply)
{
	struct http_head head HTTP_HEAD_UNSET;
	struct reply_text text;

	request->state = REQUEST_ANSWERED;
	request->status = reply->status;
	reply->to_head = request->to_head;
	reply->request_id = request->id[0] ? request->id : NULL;
	struct http_slice body = reply_head(&head, &text, reply);
	if (request->is_of_domain)
		request_options_complete(request, &head);
	request->front->on_reply(request, reply, &head, body);
}

void request_answer_status(struct request *request, int status)
{
	request_answer(request, &(struct reply){.status = status});
}

void request_answer_failure(struct request *request, int status)
{
	struct http_slice page = request_options_page(request, status);
	struct reply reply = {.status = status};

	if (page.size > 0) {
		reply.content_type = "text/html; charset=utf-8";
		reply.body = page;
	}
	request_answer(request, &reply);
}

/* ---- http-01 */

void request_answer_challenge(struct request *request, struct http_head *head, const struct route *route)
{
	const struct client *client = request->client;
	const struct worker *worker = client->worker;
	enum result result =
	    challenges_find(worker->edge->challenges, worker->mailbox, conn_deliver_challenge,
		client->peer.id, request->stream, CHALLENGE_HTTP, route->host.text, route->token);

	if (result == R_OK)
		request->state = REQUEST_CHALLENGE;
	else if (client->peer.tls)
		request_pass_on(request, head);
	else
		request_answer_status(request, 503);
}

void request_challenge(struct request *request, struct http_head *head, const struct challenge_reply *reply)
{
	if (request->state != REQUEST_CHALLENGE)
		return;
	if (reply->result == R_OK) {
		request->challenge_row = reply->id;
		request_answer(request, &(struct reply){.status = 200,
					    .content_type = "application/octet-stream",
					    .body = http_slice_of(reply->key_authorization)});
	} else if (request->client->peer.tls)
		request_pass_on(request, head);
	else
		request_answer_status(request, reply->result == R_NONE ? 404 : 503);
}

/* ---- port 80: to https, or why not */

void request_answer_elsewhere(
    struct request *request, const struct http_head *head, const char *host, int status)
{
	static const char scheme[] = "https://";
	char location[sizeof scheme + HOSTNAME_MAX + sizeof ":65535" + 1 + HTTP_TARGET_MAX + 1];
	char port[sizeof ":65535"] = "";
	int https_port = client_trust(request->client)->https_port;
	bool has_path = head->target.bytes[0] == '/';
	bool has_target = !http_slice_equal(head->target, "*");

	if (https_port != 443)
		snprintf(port, sizeof port, ":%d", https_port);
	snprintf(location, sizeof location, "%s%s%s%s%.*s", scheme, host, port, has_path ? "" : "/",
	    has_target ? (int)head->target.size : 0, head->target.bytes);
	request_answer(request, &(struct reply){.status = status, .location = location});
}

static void redirect(struct request *request, const struct http_head *head, const struct route *route)
{
	request_answer_elsewhere(request, head, route->host.text, 308);
}

/* A name whose certificate is in memory costs no look-up, and most redirects are of such a one. */
void request_answer_plain(struct request *request, const struct http_head *head, const struct route *route)
{
	const struct client *client = request->client;
	struct edge *edge = client->worker->edge;
	struct site *site = site_cache_find(edge->sites, route->host.text);
	bool is_admitted = !site || domain_options_admit(&site->options, request_address(request));
	enum result asked = R_NONE;

	if (!site)
		asked = notices_find(edge->notices, client->worker->mailbox, conn_deliver_notice,
		    client->peer.id, route->host.text);
	site_unref(site);
	if (!is_admitted)
		request_answer_refused(request);
	else if (asked == R_OK)
		request->state = REQUEST_NOTICE;
	else
		redirect(request, head, route);
}

static void answer_with_page(struct request *request, const struct notice_reply *reply)
{
	char page[NOTICE_PAGE_MAX];

	request_answer(
	    request, &(struct reply){.status = 503,
			 .content_type = "text/html; charset=utf-8",
			 .body = notice_page_write(page, reply->kind, reply->retry_s, clock_wall_ms()),
			 .retry_after = notice_retry_after(reply->kind, reply->retry_s)});
}

/* Another request's reply that comes late is of another name, or of this one and as good. */
void request_notice(struct request *request, struct http_head *head, const struct notice_reply *reply)
{
	struct route route;

	if (request->state != REQUEST_NOTICE)
		return;
	route_request(&route, head, NULL);
	if (strcmp(reply->name.text, route.host.text) != 0)
		return;
	if (reply->kind == NOTICE_NONE)
		redirect(request, head, &route);
	else
		answer_with_page(request, reply);
}

/* ---- look-ups that take too long */

int64_t request_wait_ms(const struct request *request)
{
	return request->state == REQUEST_NOTICE ? REQUEST_NOTICE_MS : REQUEST_CHALLENGE_MS;
}

void request_wait_over(struct request *request, struct http_head *head)
{
	struct route route;

	if (request->state != REQUEST_NOTICE) {
		request_answer_status(request, 503);
		return;
	}
	route_request(&route, head, NULL);
	redirect(request, head, &route);
}
