#include "edge/http/forward.h"

#include "edge/http/h1_fields.h"
#include "edge/http/http_chars.h"

/* The names that this message's Connection lists beside `close` and `keep-alive`. */
struct listed {
	struct http_slice names[H1_CONNECTION_MAX];
	size_t count;
};

static void collect_listed(struct listed *listed, const struct http_head *head)
{
	listed->count = 0;
	for (size_t i = 0; i < head->field_count; i++) {
		struct http_slice list = head->fields[i].value;
		struct http_slice member;

		if (head->fields[i].id != HTTP_CONNECTION)
			continue;
		while (http_list_next(&list, &member) && listed->count < H1_CONNECTION_MAX)
			if (!http_slice_is(member, "close") && !http_slice_is(member, "keep-alive"))
				listed->names[listed->count++] = member;
	}
}

static bool is_listed(const struct listed *listed, struct http_slice name)
{
	for (size_t i = 0; i < listed->count; i++)
		if (http_slice_same(listed->names[i], name))
			return true;
	return false;
}

static bool lists_trailers(struct http_slice list)
{
	struct http_slice member;

	while (http_list_next(&list, &member))
		if (http_slice_is(member, "trailers"))
			return true;
	return false;
}

static bool request_field_passes(const struct http_head *head, const struct http_field *field)
{
	switch (field->id) {
	case HTTP_CONTENT_LENGTH:
	case HTTP_TRANSFER_ENCODING:
	case HTTP_FRAMING_TWIN:
	case HTTP_CONNECTION:
	case HTTP_UPGRADE:
	case HTTP_HOP_BY_HOP:
	case HTTP_TE:
	case HTTP_REQUEST_ID:
	case HTTP_IDENTITY: return false;
	case HTTP_EXPECT: return head->expects_continue;
	case HTTP_HOST: return true;
	case HTTP_VIA:
	case HTTP_DATE:
	case HTTP_MAX_FORWARDS:
	case HTTP_OTHER:
	case HTTP_TRAILER:
	case HTTP_NOT_IN_TRAILERS: break;
	}
	return true;
}

static bool response_field_passes(const struct http_head *head, const struct http_field *field)
{
	bool describes_absent_body =
	    head->body == HTTP_BODY_NONE && head->status >= 200 && head->status != 204;

	switch (field->id) {
	case HTTP_CONTENT_LENGTH: return describes_absent_body;
	case HTTP_TRANSFER_ENCODING:
	case HTTP_FRAMING_TWIN:
	case HTTP_CONNECTION:
	case HTTP_UPGRADE:
	case HTTP_HOP_BY_HOP:
	case HTTP_TE: return false;
	case HTTP_HOST:
	case HTTP_EXPECT:
	case HTTP_IDENTITY:
	case HTTP_REQUEST_ID:
	case HTTP_VIA:
	case HTTP_DATE:
	case HTTP_MAX_FORWARDS:
	case HTTP_OTHER:
	case HTTP_TRAILER:
	case HTTP_NOT_IN_TRAILERS: break;
	}
	return true;
}

static void keep_passing(
    struct http_head *head, bool (*passes)(const struct http_head *head, const struct http_field *field))
{
	struct listed listed;
	size_t kept = 0;

	collect_listed(&listed, head);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (!passes(head, field) || (listed.count > 0 && is_listed(&listed, field->name)))
			continue;
		if (kept < i)
			head->fields[kept] = *field;
		kept++;
	}
	head->field_count = kept;
}

static void add(struct http_head *head, const char *name, struct http_slice value)
{
	http_head_add(head, http_slice_of(name), value, HTTP_OTHER);
}

static bool takes_trailers(const struct http_head *head)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head->fields[i].id == HTTP_TE && lists_trailers(head->fields[i].value))
			return true;
	return false;
}

static bool has_host(const struct http_head *head)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head->fields[i].id == HTTP_HOST)
			return true;
	return false;
}

static bool is_number(struct http_slice value)
{
	for (size_t i = 0; i < value.size; i++)
		if (!http_char_is(value.bytes[i], HTTP_CHAR_DIGIT))
			return false;
	return value.size > 0;
}

/* RFC 9110 section 7.6.2, for OPTIONS alone: TRACE does not pass, and other methods have no use for it. What
 * is more than a digit becomes the most that we let pass. */
static void count_down_forwards(struct http_head *head)
{
	static const char digits[] = "0123456789";

	for (size_t i = 0; i < head->field_count; i++) {
		struct http_slice *value = &head->fields[i].value;

		if (head->fields[i].id != HTTP_MAX_FORWARDS || !is_number(*value))
			continue;
		size_t left = value->size > 1 ? 10 : (size_t)(value->bytes[0] - '0');
		*value = (struct http_slice){digits + (left > 0 ? left - 1 : 0), 1};
	}
}

static void add_identity(struct http_head *head, const struct forward_identity *identity)
{
	add(head, "X-Forwarded-For", http_slice_of(identity->client));
	add(head, "X-Forwarded-Proto", http_slice_of(identity->tls ? "https" : "http"));
	add(head, "X-Forwarded-Host", head->host);
	add(head, "X-Forwarded-Port", http_slice_of(identity->port));
	add(head, "X-Real-IP", http_slice_of(identity->client));
	add(head, "Forwarded", http_slice_of(identity->forwarded));
	add(head, "X-Request-Id", http_slice_of(identity->request_id));
	if (identity->via[0])
		add(head, "Via", http_slice_of(identity->via));
}

void forward_request(struct http_head *head, const struct forward_identity *identity)
{
	bool trailers = takes_trailers(head);

	keep_passing(head, request_field_passes);
	if (http_slice_equal(head->method, "OPTIONS"))
		count_down_forwards(head);
	if (head->host.size == 0)
		head->host = http_slice_of(identity->sni);
	if (!has_host(head))
		add(head, "Host", head->host);
	if (head->upgrade.size > 0) {
		add(head, "Upgrade", head->upgrade);
		add(head, "Connection", http_slice_of("upgrade"));
	} else if (trailers) {
		add(head, "TE", http_slice_of("trailers"));
		add(head, "Connection", http_slice_of("te"));
	}
	add_identity(head, identity);
}

void forward_response(struct http_head *head)
{
	keep_passing(head, response_field_passes);
	if (head->body == HTTP_BODY_TUNNEL)
		add(head, "Upgrade", head->upgrade);
}

static bool trailer_passes(const struct http_head *head, const struct http_field *field)
{
	(void)head;
	return field->id == HTTP_OTHER;
}

void forward_trailers(struct http_head *trailers)
{
	keep_passing(trailers, trailer_passes);
}
