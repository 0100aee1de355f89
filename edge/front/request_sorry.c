/*
 * What a request gets that came over a connection with the default certificate and is for nobody who may be
 * served there: the operator's own upstream or page, else the plain 421. A tenant's site never: its name was
 * not in the handshake.
 */
#include "edge/front/request_internal.h"

void request_answer_misdirected(struct request *request, struct http_head *head)
{
	const struct http_config *config = client_config(request->client);
	struct http_slice page = error_pages_find(&config->pages, ERROR_PAGE_SORRY);

	if (request->client->peer.by_default && config->sorry_upstream) {
		request->is_sorry = true;
		request_pass_on(request, head);
	} else if (request->client->peer.by_default && page.size > 0) {
		request_answer(request,
		    &(struct reply){.status = 421, .content_type = "text/html; charset=utf-8", .body = page});
	} else {
		request_answer_failure(request, 421);
	}
}
