/*
 * What a small authoritative server says to a packet: of its one zone, TXT records that somebody else knows,
 * and the zone's own SOA and NS. Packets are read and built by libldns. Pure but for the look-up.
 *
 * Not recursive, no transfer, no other zone: REFUSED. Over UDP at most DNS_UDP_MAX bytes, then TC.
 */
#ifndef VERIFIER_DNS_DNS_ANSWER_H
#define VERIFIER_DNS_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "common/domain/delegation.h"

enum {
	DNS_UDP_LEAST = 512,
	DNS_UDP_MAX = 1232,
	DNS_QUERY_MAX = 1232,
	DNS_TEXTS_MAX = 8,
	DNS_TEXT_SIZE = 64, /* a digest in base64url is 43 */
};

struct dns_texts {
	size_t count;
	char texts[DNS_TEXTS_MAX][DNS_TEXT_SIZE];
};

struct dns_zone;

/* `find`: the texts at a label of the zone (lower case). R_NONE: the name does not exist; R_DOWN: nobody can
 * tell. `ns`: names of the servers, at least one. R_INVALID: a name is none. */
enum result dns_zone_new(struct dns_zone **out, const char *origin, const char *const *ns, size_t ns_count,
    enum result (*find)(void *arg, const char *label, struct dns_texts *out), void *arg, struct error *error);
void dns_zone_free(struct dns_zone *zone);

/* The answer, to be freed, or NULL where none is to be given. */
uint8_t *dns_answer(
    const struct dns_zone *zone, const uint8_t *query, size_t size, bool is_tcp, size_t *answer_size);

#endif
