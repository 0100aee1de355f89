/*
 * What a ClientHello asks for, read from the raw bytes before any SSL exists: which name, which protocols.
 * Pure bytes, no OpenSSL; every length is checked, and what it lets through OpenSSL still judges for itself.
 *
 * Limits: a hello of 16 KiB in at most 1,024 records. The caller's buffer needs CLIENT_HELLO_WIRE_MAX bytes.
 */
#ifndef EDGE_CLIENT_HELLO_H
#define EDGE_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "edge/tls/tls_alert.h"

enum {
	CLIENT_HELLO_MAX = 16 * 1024, /* the handshake message, with its 4 bytes of header */
	CLIENT_HELLO_RECORDS_MAX = 1024,
	/* The first records' headers, and one full record that may hold more than the rest of the hello. */
	CLIENT_HELLO_WIRE_MAX = CLIENT_HELLO_MAX + 5 * CLIENT_HELLO_RECORDS_MAX + 16 * 1024,
};

enum client_hello_problem {
	CLIENT_HELLO_FINE,
	CLIENT_HELLO_NOT_TLS, /* the first bytes are no TLS record: plain HTTP, a scanner, SSLv2 */
	CLIENT_HELLO_MALFORMED,
	CLIENT_HELLO_TOO_LARGE,
	CLIENT_HELLO_OLD_VERSION, /* neither TLS 1.2 nor 1.3 */
};

struct client_hello_slice {
	const uint8_t *bytes; /* NULL: the extension is absent */
	size_t size;
};

/* Slices point into the bytes that were parsed, or into `assembled` where the hello came in several records.
 */
struct client_hello {
	struct client_hello_slice random, session_id;
	struct client_hello_slice server_name; /* the one host_name, 1 to 65,535 bytes of anything */
	struct client_hello_slice
	    sni_extension; /* bodies of the extensions, to compare a second hello with */
	struct client_hello_slice alpn_extension;
	bool offers_tls12, offers_tls13;
	enum client_hello_problem problem;
	enum tls_alert alert; /* what a refusal says */
	uint8_t *assembled;
};

/* R_OK; R_AGAIN: call again with more bytes, from the start; R_INVALID: problem and alert tell. What `out`
 * held before is overwritten: client_hello_fini after R_OK or R_INVALID. Bytes behind the hello are allowed.
 */
enum result client_hello_parse(struct client_hello *out, const void *bytes, size_t size);
void client_hello_fini(struct client_hello *hello);

/* Is `protocol` the only one that is offered by ALPN (RFC 8737 section 3)? */
bool client_hello_offers_only(const struct client_hello *hello, const char *protocol);
const char *client_hello_problem_name(enum client_hello_problem problem); /* for metrics */

#endif
