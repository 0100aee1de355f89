/*
 * One question to one authoritative name server, and what it replies: the packet's making and reading
 * (libldns). Pure but for the random number. Any bytes are read to some end.
 */
#ifndef VERIFIER_DIAGNOSE_DNS_QUESTION_H
#define VERIFIER_DIAGNOSE_DNS_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/dns/resolver.h"

/* Of a packet over UDP (RFC 9715 has the reasons); aliases that are followed within one reply; name servers
 * that are kept of a referral. */
enum { DNS_PACKET_MAX = 1232, DNS_ALIASES_MAX = 8, DNS_REFERRAL_MAX = 16 };

struct dns_question {
	char name[2 * HOSTNAME_MAX + 2];
	enum resolver_type type;
	uint16_t id;
};

/* The packet, to be freed; NULL where the name is none that DNS can hold. Sets a new id. */
uint8_t *dns_question_make(struct dns_question *question, size_t *size);

/* A server to which a zone is delegated. */
struct dns_delegate {
	char name[HOSTNAME_MAX + 1];
	size_t glue_size; /* 4, 16, or 0: its address did not come along */
	unsigned char glue[16];
};

struct dns_reply {
	bool is_truncated; /* ask again over TCP; nothing else is set */
	bool is_authoritative;
	int code; /* RFC 1035 section 4.1.1; 0: no error */
	struct resolver_answer
	    answer; /* after the reply's own aliases; names with odd bytes have ? in their place */
	char alias[HOSTNAME_MAX + 1]; /* of the name itself; "": none */
	bool alias_loops;
	bool has_serial; /* of an SOA record */
	uint32_t serial;
	char primary[HOSTNAME_MAX + 1];
	/* Where the reply refers to other servers. */
	char cut[HOSTNAME_MAX + 1]; /* "": it does not */
	size_t delegate_count;
	struct dns_delegate delegates[DNS_REFERRAL_MAX];
};

/* R_NONE: not the answer to this question, to be passed over. R_INVALID: its answer, but no DNS. */
enum result dns_question_read(
    const struct dns_question *question, const uint8_t *bytes, size_t size, struct dns_reply *out);
void dns_reply_fini(struct dns_reply *reply);

/* A name as text from any bytes: what is no printable ASCII becomes ?, what is too long is cut. */
void dns_name_text(char out[HOSTNAME_MAX + 1], const void *bytes, size_t size);

#endif
