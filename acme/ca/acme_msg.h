/*
 * The CA's JSON documents (RFC 8555 section 7.1) parsed into structs of fixed size. What is too long, of the
 * wrong type or not an https URL is refused with its place; what is unknown is left out.
 */
#ifndef ACME_ACME_MSG_H
#define ACME_ACME_MSG_H

#include <stdbool.h>
#include <stddef.h>

#include "acme/ca/acme_error.h"
#include "acme/ca/jws.h"
#include "common/base/result.h"
#include "common/net/hostname.h"

enum {
	ACME_URL_SIZE = 1024,
	ACME_AUTHORIZATIONS_MAX = 4, /* an order of ours has one name */
	ACME_CHALLENGES_MAX = 8,     /* of the types that we speak */
	ACME_ISSUER_NAMES_MAX = 10,
};

enum acme_status {
	ACME_PENDING,
	ACME_READY,
	ACME_PROCESSING,
	ACME_VALID,
	ACME_INVALID,
	ACME_DEACTIVATED,
	ACME_EXPIRED,
	ACME_REVOKED,
};

enum acme_challenge_type {
	ACME_TLS_ALPN_01,
	ACME_HTTP_01,
	ACME_DNS_PERSIST_01,
	ACME_DNS_01,
	ACME_CHALLENGE_TYPES
};
const char *acme_challenge_name(enum acme_challenge_type type);

/* `issuer-domain-names` of dns-persist-01: what the customer's record may name (1 to 10). */
struct acme_issuer_names {
	size_t count;
	char list[ACME_ISSUER_NAMES_MAX][HOSTNAME_MAX + 1];
};

struct acme_order {
	enum acme_status status;
	size_t authorization_count;
	char authorizations[ACME_AUTHORIZATIONS_MAX][ACME_URL_SIZE];
	char finalize[ACME_URL_SIZE];
	char certificate[ACME_URL_SIZE]; /* empty until the order is valid */
	struct acme_problem problem;     /* empty: none */
};

struct acme_challenge {
	enum acme_challenge_type type;
	enum acme_status status;
	char url[ACME_URL_SIZE];
	char token[JWS_TOKEN_MAX + 1]; /* empty where the type has none */
	struct acme_problem problem;
};

struct acme_authorization {
	enum acme_status status;
	char name[HOSTNAME_MAX + 1];
	bool wildcard;
	size_t challenge_count; /* of known types, with a token that is one, the first of each URL */
	struct acme_challenge challenges[ACME_CHALLENGES_MAX];
	struct acme_issuer_names issuer_names; /* of the dns-persist-01 among them */
};

enum result acme_parse_order(struct acme_order *out, const char *json, size_t size, struct error *error);
enum result acme_parse_authorization(
    struct acme_authorization *out, const char *json, size_t size, struct error *error);
/* Never fails: what is no problem document (RFC 7807) gives an empty one. Where it has subproblems (RFC 8555
 * section 6.7.1), the one of the identifier `name` counts; `name` NULL, or none of them says whose it is: the
 * first of a compound problem. */
void acme_parse_problem(struct acme_problem *out, const char *json, size_t size, const char *name);

/* An https URL of printable ASCII without quotes and backslashes that fits: safe in a JWS, a row and a log.
 */
bool acme_url_is_safe(const char *url);

#endif
