/*
 * What a stranger sends to the verifier's DNS port: whatever it is, the answer is none, or one that another
 * reader of DNS takes, about the question that was asked, no longer than the asker can take, and never an
 * answer to an answer. The first byte says whether it came by TCP and what the database knows.
 */
#include <ldns/ldns.h>

#include "tests/fuzz/fuzz.h"
#include "verifier/dns/dns_answer.h"

enum { TCP = 1, KNOWN = 2, DOWN = 4, MANY = 8 };

static unsigned mode;

static enum result find(void *arg, const char *label, struct dns_texts *out)
{
	(void)arg;
	fuzz_check(
	    strlen(label) == DELEGATION_LABEL && strspn(label, "0123456789abcdef") == DELEGATION_LABEL);
	if (mode & DOWN)
		return R_DOWN;
	if (!(mode & KNOWN))
		return R_NONE;
	out->count = mode & MANY ? DNS_TEXTS_MAX : 1;
	for (size_t i = 0; i < out->count; i++)
		snprintf(out->texts[i], DNS_TEXT_SIZE, "%c-%041d", (char)('0' + i), 0);
	return R_OK;
}

static const struct dns_zone *zone(void)
{
	static const char *const ns[] = {"ns1.saas.test", "ns2.saas.test"};
	static struct dns_zone *one;
	if (!one)
		fuzz_check(dns_zone_new(&one, "acme.saas.test", ns, 2, find, NULL, NULL) == R_OK);
	return one;
}

static void check_answer(const uint8_t *query, size_t size, const uint8_t *wire, size_t wire_size)
{
	ldns_pkt *answer = NULL;
	fuzz_check(size >= LDNS_HEADER_SIZE && !LDNS_QR_WIRE(query));
	fuzz_check(ldns_wire2pkt(&answer, wire, wire_size) == LDNS_STATUS_OK);
	fuzz_check(ldns_pkt_qr(answer) && ldns_pkt_id(answer) == LDNS_ID_WIRE(query) && !ldns_pkt_ra(answer));
	fuzz_check(wire_size <= (mode & TCP ? LDNS_MAX_PACKETLEN : DNS_UDP_MAX));
	if (!(mode & TCP))
		fuzz_check(wire_size <= DNS_UDP_LEAST || ldns_pkt_edns(answer));
	/* Nothing but what the zone knows: texts of labels below it, its own SOA and NS. */
	for (size_t i = 0; i < ldns_rr_list_rr_count(ldns_pkt_answer(answer)); i++) {
		const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(answer), i);
		ldns_rr_type type = ldns_rr_get_type(rr);
		fuzz_check(type == LDNS_RR_TYPE_TXT || type == LDNS_RR_TYPE_SOA || type == LDNS_RR_TYPE_NS);
		fuzz_check(type != LDNS_RR_TYPE_TXT || mode & KNOWN);
		fuzz_check(ldns_pkt_aa(answer) && !(mode & DOWN && type == LDNS_RR_TYPE_TXT));
	}
	fuzz_check(ldns_rr_list_rr_count(ldns_pkt_question(answer)) <= 1);
	ldns_pkt_free(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t answer_size = 0;

	if (size < 1 || size > 1 + DNS_QUERY_MAX)
		return 0;
	mode = data[0];
	uint8_t *query = (uint8_t *)fuzz_copy(data + 1, size - 1);
	uint8_t *answer = dns_answer(zone(), query, size - 1, mode & TCP, &answer_size);
	if (answer)
		check_answer(query, size - 1, answer, answer_size);
	free(answer);
	free(query);
	return 0;
}
