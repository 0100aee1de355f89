#include "edge/http/identity.h"

#include <string.h>

#include "edge/http/http_chars.h"

/* ---- the client's address */

/* A ring: the last members of all fields of that name. */
struct hops {
	struct http_slice members[IDENTITY_HOPS_MAX];
	size_t count; /* of all that there were */
};

static void collect_hops(struct hops *hops, const struct http_head *head)
{
	hops->count = 0;
	for (size_t i = 0; i < head->field_count; i++) {
		struct http_slice list = head->fields[i].value;
		struct http_slice member;

		if (head->fields[i].id != HTTP_IDENTITY ||
		    !http_slice_is(head->fields[i].name, "x-forwarded-for"))
			continue;
		while (http_list_next(&list, &member))
			hops->members[hops->count++ % IDENTITY_HOPS_MAX] = member;
	}
}

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits <= 5 && text[digits] == '\0';
}

/* Cuts the port off 192.0.2.1:80 and [v6]:80; NULL where something else follows the address. */
static char *cut_port(char *text)
{
	char *colon = strchr(text, ':');
	char *bracket = strchr(text, ']');

	if (text[0] == '[' && bracket) {
		if (bracket[1] != '\0' && (bracket[1] != ':' || !is_port(bracket + 2)))
			return NULL;
		*bracket = '\0';
		return text + 1;
	}
	if (colon && !strchr(colon + 1, ':')) {
		if (!is_port(colon + 1))
			return NULL;
		*colon = '\0';
	}
	return text;
}

static bool read_member(struct http_slice member, struct net_address *out)
{
	char text[NET_ADDRESS_TEXT];

	if (member.size >= sizeof text)
		return false;
	memcpy(text, member.bytes, member.size);
	text[member.size] = '\0';
	const char *address = cut_port(text);
	return address && net_read_host(out, address, 0);
}

void identity_client(char out[NET_ADDRESS_TEXT], const struct http_head *head, const struct net_address *peer,
    const struct ip_ranges *cdns)
{
	struct hops hops;
	struct net_address client = *peer;
	struct net_address before;

	collect_hops(&hops, head);
	size_t left = hops.count < IDENTITY_HOPS_MAX ? hops.count : IDENTITY_HOPS_MAX;
	for (size_t at = hops.count; left > 0; left--) {
		if (!read_member(hops.members[--at % IDENTITY_HOPS_MAX], &before))
			break;
		client = before;
		if (!ip_ranges_contain(cdns, &client))
			break;
	}
	net_format_host(&client, out);
}

/* ---- the request's id */

static bool is_id(struct http_slice value)
{
	if (value.size == 0 || value.size > IDENTITY_ID_MAX)
		return false;
	for (size_t i = 0; i < value.size; i++)
		if (!http_char_is(value.bytes[i], HTTP_CHAR_BASE64URL) &&
		    !memchr(".~+/=:@", value.bytes[i], 7))
			return false;
	return true;
}

void identity_request_id(char out[IDENTITY_ID_MAX + 1], const struct http_head *head)
{
	const struct http_field *sent = NULL;
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_REQUEST_ID)
			continue;
		sent = &head->fields[i];
		count++;
	}
	if (count != 1 || !is_id(sent->value)) {
		request_id_make(out);
		return;
	}
	memcpy(out, sent->value.bytes, sent->value.size);
	out[sent->value.size] = '\0';
}

/* ---- loops */

/* A member is "version pseudonym" with a comment perhaps (RFC 9110 section 7.6.3). */
static bool is_ours(struct http_slice member, const char *pseudonym)
{
	size_t size = strlen(pseudonym);
	const char *space = memchr(member.bytes, ' ', member.size);

	if (!space || (size_t)(member.bytes + member.size - (space + 1)) < size)
		return false;
	return memcmp(space + 1, pseudonym, size) == 0;
}

bool identity_is_loop(const struct http_head *head, const struct trust *trust)
{
	const char *pseudonym = strchr(trust->via[1], ' ');
	int passes = 0;

	for (size_t i = 0; pseudonym && i < head->field_count; i++) {
		struct http_slice list = head->fields[i].value;
		struct http_slice member;

		if (head->fields[i].id != HTTP_VIA)
			continue;
		while (http_list_next(&list, &member))
			passes += is_ours(member, pseudonym + 1);
	}
	return passes >= IDENTITY_LOOPS_MAX;
}

/* ---- RFC 7239 */

/* Cuts where there is no more room. */
static void put(char **at, const char *end, struct http_slice piece)
{
	size_t size = piece.size < (size_t)(end - *at) ? piece.size : (size_t)(end - *at);

	memcpy(*at, piece.bytes, size);
	*at += size;
}

/* By hand, since snprintf was a twentieth of what a request costs outside the kernel. */
const char *identity_forwarded(
    char out[IDENTITY_FORWARDED_SIZE], const char *client, struct http_slice host, bool tls)
{
	bool is_v6 = strchr(client, ':');
	const char *quote = http_slice_is_token(host) ? "" : "\"";
	const struct http_slice pieces[] = {http_slice_of(is_v6 ? "for=\"[" : "for="), http_slice_of(client),
	    http_slice_of(is_v6 ? "]\";host=" : ";host="), http_slice_of(quote), host, http_slice_of(quote),
	    http_slice_of(tls ? ";proto=https" : ";proto=http")};
	char *at = out;

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
		put(&at, out + IDENTITY_FORWARDED_SIZE - 1, pieces[i]);
	*at = '\0';
	return out;
}
