#include "edge/http/route.h"

#include <string.h>

#include "edge/http/http_chars.h"
#include "edge/http/http_target.h"

static const char challenge_path[] = "/.well-known/acme-challenge/";
enum { CHALLENGE_PATH_SIZE = sizeof challenge_path - 1 };

static bool is_challenge_path(struct http_slice target)
{
	return target.size >= CHALLENGE_PATH_SIZE &&
	       memcmp(target.bytes, challenge_path, CHALLENGE_PATH_SIZE) == 0;
}

/* RFC 8555 section 8.3: base64url, so no dot, slash, per cent sign or query can be part of a token. */
static bool read_token(struct route *route, const struct http_head *head)
{
	size_t size = head->target.size - CHALLENGE_PATH_SIZE;
	const char *token = head->target.bytes + CHALLENGE_PATH_SIZE;

	if (!http_slice_equal(head->method, "GET") && !http_slice_equal(head->method, "HEAD"))
		return false;
	if (size == 0 || size > ROUTE_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		if (!http_char_is(token[i], HTTP_CHAR_BASE64URL))
			return false;
	memcpy(route->token, token, size);
	route->token[size] = '\0';
	return true;
}

static void answer(struct route *route, int status)
{
	route->action = ROUTE_ANSWER;
	route->status = status;
}

static void route_plain(struct route *route, const struct http_head *head)
{
	if (http_host_normalise(&route->host, head->host) != R_OK)
		answer(route, 400);
	else if (!is_challenge_path(head->target))
		route->action = ROUTE_REDIRECT;
	else if (read_token(route, head))
		route->action = ROUTE_CHALLENGE;
	else
		answer(route, 404);
}

/* A host that was not in the handshake may have another certificate, another owner, another door (RFC 9110
 * section 15.5.20). Without a Host (HTTP/1.0) the handshake's name counts. False: `host` is another one. */
static bool is_host_of_handshake(struct http_slice host, const char *sni, struct hostname *other)
{
	other->text[0] = '\0';
	if (host.size == 0 || http_slice_is(http_host_name(host), sni))
		return true;
	return http_host_normalise(other, host) == R_OK && strcmp(other->text, sni) == 0;
}

static void route_challenge(struct route *route, const struct http_head *head)
{
	if (is_challenge_path(head->target) && read_token(route, head))
		route->action = ROUTE_CHALLENGE;
}

static void route_tls(struct route *route, const struct http_head *head, const char *sni)
{
	struct hostname other;

	if (sni[0] == '\0') {
		answer(route, 421);
		return;
	}
	if (is_host_of_handshake(head->host, sni, &other)) {
		route->action = ROUTE_UPSTREAM;
		route_challenge(route, head);
		if (route->action == ROUTE_CHALLENGE)
			strcpy(route->host.text, sni);
	} else if (other.text[0]) {
		route->action = ROUTE_SHARED;
		route->host = other;
	} else {
		answer(route, 421);
	}
}

/* The last recipient answers for itself (RFC 9110 section 7.6.2). */
static bool ends_here(const struct http_head *head)
{
	size_t zeros = 0;

	if (!http_slice_equal(head->method, "OPTIONS"))
		return false;
	for (size_t i = 0; i < head->field_count; i++) {
		struct http_slice value = head->fields[i].value;

		if (head->fields[i].id != HTTP_MAX_FORWARDS)
			continue;
		while (zeros < value.size && value.bytes[zeros] == '0')
			zeros++;
		return zeros > 0 && zeros == value.size;
	}
	return false;
}

/* TRACE would show a client what the edge adds to its requests. */
void route_request(struct route *route, const struct http_head *head, const char *sni)
{
	if (http_slice_equal(head->method, "TRACE"))
		answer(route, 501);
	else if (sni)
		route_tls(route, head, sni);
	else
		route_plain(route, head);
	if (route->action != ROUTE_ANSWER && ends_here(head))
		answer(route, 200);
}
