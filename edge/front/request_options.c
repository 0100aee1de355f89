/*
 * What the options of its domain make of a request that is its own: who is let in, where it is sent instead,
 * how much body it may bring, and what its response carries or loses.
 */
#include <string.h>

#include "edge/front/request_internal.h"

static const struct domain_options *options_of(struct request *request)
{
	static const struct domain_options none;
	if (request->is_sorry)
		return &none;
	const struct site *site = request->shared ? request->shared : client_site(request->client);

	return site ? &site->options : &none;
}

/* Without a limit UINT64_MAX. What a tunnel carries is no body. */
static uint64_t body_limit(
    const struct request *request, const struct http_head *head, const struct domain_options *options)
{
	uint64_t limit = options->has_max_body ? options->max_body : client_config(request->client)->max_body;

	return limit == 0 || head->upgrade.size > 0 ? UINT64_MAX : limit;
}

void request_answer_refused(struct request *request)
{
	metric_add(client_config(request->client)->metrics.refused_address, 1);
	request_answer_status(request, 403);
}

static void refuse_body(struct request *request)
{
	metric_add(client_config(request->client)->metrics.refused_body, 1);
	request_answer_status(request, 413);
}

bool request_options_answer(struct request *request, const struct http_head *head)
{
	const struct domain_options *options = options_of(request);

	request->is_of_domain = true;
	request->body_left = body_limit(request, head, options);
	if (!domain_options_admit(options, request_address(request)))
		request_answer_refused(request);
	else if (options->redirect)
		request_answer_elsewhere(request, head, options->redirect, options->redirect_status);
	else if (head->body == HTTP_BODY_LENGTH && head->content_length > request->body_left)
		refuse_body(request);
	else
		return false;
	return true;
}

enum result request_send(struct request *request, const char *bytes, size_t size, size_t *taken)
{
	*taken = 0;
	if (size > request->body_left) {
		metric_add(client_config(request->client)->metrics.refused_body, 1);
		return R_LIMIT;
	}
	*taken = exchange_send(request->exchange, bytes, size);
	if (request->body_left != UINT64_MAX)
		request->body_left -= *taken;
	return R_OK;
}

/* ---- fields of a response */

/* The next string of a part, up to its NUL; NULL behind the last. */
static const char *next_string(const struct domain_part *part, size_t *at)
{
	if (*at >= part->size)
		return NULL;
	const char *text = (const char *)part->bytes + *at;
	*at += strlen(text) + 1;
	return text;
}

/* RFC 6797 section 7.2: never without TLS, and 6.1: never two. What the origin or `response_headers` says
 * counts more. */
static void add_hsts(struct http_head *head, const struct domain_options *options)
{
	if (options->hsts && !http_head_find(head, "strict-transport-security", NULL))
		http_head_add(head, http_slice_of("Strict-Transport-Security"), http_slice_of(options->hsts),
		    HTTP_OTHER);
}

void request_options_complete(struct request *request, struct http_head *head)
{
	const struct domain_options *options = options_of(request);
	struct domain_part removed = domain_options_part(options, DOMAIN_FIELDS_REMOVED);
	struct domain_part added = domain_options_part(options, DOMAIN_FIELDS_ADDED);
	const char *name = NULL;
	size_t at = 0;

	while ((name = next_string(&removed, &at)))
		http_head_remove(head, name);
	at = 0;
	while ((name = next_string(&added, &at)))
		http_head_add(head, http_slice_of(name), http_slice_of(next_string(&added, &at)), HTTP_OTHER);
	if (request->client->peer.tls)
		add_hsts(head, options);
}

/* ---- pages */

static struct http_slice page_of_domain(struct request *request, int status)
{
	enum domain_part_kind kind = status == 502   ? DOMAIN_PAGE_502
				     : status == 503 ? DOMAIN_PAGE_503
						     : DOMAIN_PAGE_504;
	struct domain_part page = domain_options_part(options_of(request), kind);

	return (struct http_slice){page.bytes, page.size};
}

struct http_slice request_options_page(struct request *request, int status)
{
	bool may_be_its = request->is_of_domain && status >= 502 && status <= 504;
	struct http_slice page = may_be_its ? page_of_domain(request, status) : (struct http_slice){0};

	return page.size > 0 ? page : error_pages_find(&client_config(request->client)->pages, status);
}
