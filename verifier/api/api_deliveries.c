/*
 * The API's log of what was sent to a webhook, and messages that are sent because somebody asks.
 */
#include <string.h>

#include "verifier/api/api_handlers.h"
#include "verifier/api/api_numbered.h"
#include "verifier/http/problem.h"
#include "verifier/webhook/webhook.h"
#include "verifier/webhook/webhook_log.h"

static json_t *delivery_json(const PGresult *rows, int row)
{
	json_t *delivery = json_pack("{s:I}", "id", (json_int_t)pg_get_int(rows, row, 0));
	static const char *const texts[] = {"message_id", "type", "at", "state"};
	for (int i = 0; i < 4; i++)
		api_set_text(delivery, texts[i], pg_get(rows, row, 1 + i));
	api_set_number(delivery, "attempts", pg_get(rows, row, 5));
	static const char *const times[] = {"made_at", "last_try_at", "next_try_at"};
	for (int i = 0; i < 3; i++)
		api_set_text(delivery, times[i], pg_get(rows, row, 6 + i));
	api_set_number(delivery, "status", pg_get(rows, row, 9));
	api_set_text(delivery, "error", pg_get(rows, row, 10));
	api_set_text(delivery, "answer", pg_get(rows, row, 11));
	api_set_number(delivery, "took_ms", pg_get(rows, row, 12));
	return delivery;
}

/* False after a problem was replied; *is_on: it is not switched off. */
static bool check_webhook(struct api_call *call, struct pg *pg, int64_t webhook, bool *is_on)
{
	struct error error = {""};
	PGresult *rows = NULL;
	enum result result = webhook_show(pg, &call->scope, webhook, &rows, &error);
	bool is_there = result == R_OK && PQntuples(rows) == 1;
	*is_on = is_there && pg_get_bool(rows, 0, 5);
	if (result != R_OK)
		problem_reply_down(call->reply, &error);
	else if (!is_there)
		api_numbered_unknown(call, "webhook");
	PQclear(rows);
	return is_there;
}

struct page {
	int64_t webhook, before;
	const char *state;
	int limit;
};

static void list(struct api_call *call, struct pg *pg, const struct page *page)
{
	struct error error = {""};
	PGresult *rows = NULL;
	bool is_on = false;
	if (!check_webhook(call, pg, page->webhook, &is_on))
		return;
	if (webhook_log_list(pg, &call->scope, page->webhook, page->state, page->before, page->limit + 1,
		&rows, &error) == R_OK)
		api_call_show(call, api_page_json("deliveries", rows, page->limit, delivery_json));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
}

void api_deliveries_list(struct api_call *call)
{
	static const char *const states[] = {"waiting", "delivered", "failed", NULL};
	struct page page;
	if (!api_call_id(call, "webhook", &page.webhook) || !api_call_limit(call, &page.limit) ||
	    !api_call_place(call, &page.before) || !api_call_choice(call, "state", states, &page.state))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	list(call, pg, &page);
	pg_pool_give(call->pool, pg);
}

/* With what is sent, as text: the bytes that were signed. NULL after a problem was replied. */
static json_t *find(struct api_call *call, struct pg *pg, int64_t webhook, int64_t id)
{
	struct error error = {""};
	PGresult *rows = NULL;
	json_t *delivery = NULL;
	if (webhook_log_show(pg, &call->scope, webhook, id, &rows, &error) != R_OK) {
		problem_reply_down(call->reply, &error);
	} else if (PQntuples(rows) == 0) {
		api_numbered_unknown(call, "delivery");
	} else {
		delivery = delivery_json(rows, 0);
		api_set_text(delivery, "body", pg_get(rows, 0, 13));
	}
	PQclear(rows);
	return delivery;
}

static bool read_ids(struct api_call *call, int64_t *webhook, int64_t *id)
{
	return api_call_id(call, "webhook", webhook) && api_call_second_id(call, "delivery", id);
}

void api_deliveries_show(struct api_call *call)
{
	int64_t webhook = 0, id = 0;
	struct pg *pg = read_ids(call, &webhook, &id) ? api_call_database(call) : NULL;
	if (!pg)
		return;
	json_t *delivery = find(call, pg, webhook, id);
	if (delivery)
		api_call_show(call, delivery);
	pg_pool_give(call->pool, pg);
}

static void reply_sent(struct api_call *call, struct pg *pg, int64_t webhook, int64_t id)
{
	json_t *delivery = find(call, pg, webhook, id);
	if (!delivery)
		return;
	api_call_json(call, MHD_HTTP_ACCEPTED, delivery);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/webhooks/%lld/deliveries/%lld",
	    (long long)webhook, (long long)id);
}

/* R_NONE of what was asked has three reasons. */
static void refuse_sending(struct api_call *call, struct pg *pg, int64_t webhook)
{
	bool is_on = false;
	if (!check_webhook(call, pg, webhook, &is_on))
		return;
	if (is_on)
		api_numbered_unknown(call, "delivery");
	else
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "webhook_is_off", NULL,
		    "The webhook is switched off: PATCH it with {\"enabled\": true} first.");
}

static void conclude(struct api_call *call, struct pg *pg, enum result result, int64_t webhook, int64_t id,
    const struct error *error)
{
	if (result == R_OK)
		reply_sent(call, pg, webhook, id);
	else if (result == R_NONE)
		refuse_sending(call, pg, webhook);
	else
		problem_reply_down(call->reply, error);
}

void api_webhooks_test(struct api_call *call)
{
	int64_t webhook = 0, id = 0;
	struct error error = {""};
	struct pg *pg = api_call_id(call, "webhook", &webhook) ? api_call_database(call) : NULL;
	if (!pg)
		return;
	enum result result = webhook_log_test(pg, &call->scope, webhook, &id, &error);
	conclude(call, pg, result, webhook, id, &error);
	pg_pool_give(call->pool, pg);
}

void api_deliveries_redeliver(struct api_call *call)
{
	int64_t webhook = 0, id = 0, again = 0;
	struct error error = {""};
	struct pg *pg = read_ids(call, &webhook, &id) ? api_call_database(call) : NULL;
	if (!pg)
		return;
	enum result result = webhook_log_again(pg, &call->scope, webhook, id, &again, &error);
	conclude(call, pg, result, webhook, again, &error);
	pg_pool_give(call->pool, pg);
}
