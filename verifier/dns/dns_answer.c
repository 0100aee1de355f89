#include "verifier/dns/dns_answer.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

/* What is here lives for minutes, and what is not may be there a second later. */
enum { TTL = 1, ZONE_TTL = 3600, BAD_VERSION = 16, RECORD_SIZE = 1024 };

struct dns_zone {
	ldns_rdf *origin;
	ldns_rr *soa;
	ldns_rr_list *ns;
	enum result (*find)(void *arg, const char *label, struct dns_texts *out);
	void *arg;
};

static ldns_rr *read_record(const char *text)
{
	ldns_rr *rr = NULL;
	return ldns_rr_new_frm_str(&rr, text, ZONE_TTL, NULL, NULL) == LDNS_STATUS_OK ? rr : NULL;
}

enum result dns_zone_new(struct dns_zone **out, const char *origin, const char *const *ns, size_t ns_count,
    enum result (*find)(void *arg, const char *label, struct dns_texts *out), void *arg, struct error *error)
{
	struct dns_zone *zone = mem_alloc(sizeof *zone);
	zone->find = find;
	zone->arg = arg;
	zone->ns = ldns_rr_list_new();
	zone->origin = ldns_dname_new_frm_str(origin);
	char text[RECORD_SIZE];
	snprintf(text, sizeof text, "%s. 1 IN SOA %s. hostmaster.%s. 1 3600 600 604800 1", origin,
	    ns_count > 0 ? ns[0] : "", origin);
	if (ns_count > 0)
		zone->soa = read_record(text);
	bool is_good = zone->origin && zone->soa;
	for (size_t i = 0; i < ns_count && is_good; i++) {
		snprintf(text, sizeof text, "%s. 3600 IN NS %s.", origin, ns[i]);
		ldns_rr *rr = read_record(text);
		is_good = rr && ldns_rr_list_push_rr(zone->ns, rr);
	}
	if (is_good) {
		*out = zone;
		return R_OK;
	}
	dns_zone_free(zone);
	error_set(error, "dns-zone and dns-ns: give the zone's name and the names of its servers");
	return R_INVALID;
}

void dns_zone_free(struct dns_zone *zone)
{
	if (!zone)
		return;
	ldns_rdf_deep_free(zone->origin);
	ldns_rr_free(zone->soa);
	ldns_rr_list_deep_free(zone->ns);
	free(zone);
}

static void add(ldns_pkt *answer, ldns_pkt_section section, const ldns_rr *rr)
{
	ldns_pkt_push_rr(answer, section, ldns_rr_clone(rr));
}

/* The names and types of RFC 1035 section 3.2.2: the SOA tells how long a "no" may be remembered. */
static void say_no(const struct dns_zone *zone, ldns_pkt *answer, ldns_pkt_rcode code)
{
	ldns_pkt_set_rcode(answer, (uint8_t)code);
	ldns_pkt_set_aa(answer, true);
	add(answer, LDNS_SECTION_AUTHORITY, zone->soa);
}

static void answer_for_zone(const struct dns_zone *zone, ldns_pkt *answer, ldns_rr_type type)
{
	ldns_pkt_set_aa(answer, true);
	if (type == LDNS_RR_TYPE_SOA)
		add(answer, LDNS_SECTION_ANSWER, zone->soa);
	else if (type == LDNS_RR_TYPE_NS)
		for (size_t i = 0; i < ldns_rr_list_rr_count(zone->ns); i++)
			add(answer, LDNS_SECTION_ANSWER, ldns_rr_list_rr(zone->ns, i));
	else
		say_no(zone, answer, LDNS_RCODE_NOERROR);
}

static void add_text(ldns_pkt *answer, const ldns_rdf *owner, const char *text)
{
	ldns_rr *rr = ldns_rr_new();
	ldns_rr_set_type(rr, LDNS_RR_TYPE_TXT);
	ldns_rr_set_owner(rr, ldns_rdf_clone(owner));
	ldns_rr_set_ttl(rr, TTL);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_push_rdf(rr, ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, text));
	ldns_pkt_push_rr(answer, LDNS_SECTION_ANSWER, rr);
}

/* Of our labels' form? Nothing else is worth a look into the database. */
static bool read_label(char out[DELEGATION_LABEL + 1], const ldns_rdf *owner)
{
	const uint8_t *bytes = ldns_rdf_data(owner);
	if (ldns_rdf_size(owner) < 1 + DELEGATION_LABEL || bytes[0] != DELEGATION_LABEL)
		return false;
	for (int i = 0; i < DELEGATION_LABEL; i++) {
		char c = (char)bytes[1 + i];
		out[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	out[DELEGATION_LABEL] = '\0';
	return strspn(out, "0123456789abcdef") == DELEGATION_LABEL;
}

static void answer_for_label(
    const struct dns_zone *zone, ldns_pkt *answer, const ldns_rdf *owner, ldns_rr_type type)
{
	char label[DELEGATION_LABEL + 1];
	struct dns_texts texts = {.count = 0};
	bool is_child = ldns_dname_label_count(owner) == ldns_dname_label_count(zone->origin) + 1;
	enum result result =
	    is_child && read_label(label, owner) ? zone->find(zone->arg, label, &texts) : R_NONE;
	if (result == R_NONE) {
		say_no(zone, answer, LDNS_RCODE_NXDOMAIN);
	} else if (result != R_OK) {
		ldns_pkt_set_rcode(answer, LDNS_RCODE_SERVFAIL);
	} else if (type != LDNS_RR_TYPE_TXT) {
		say_no(zone, answer, LDNS_RCODE_NOERROR);
	} else {
		ldns_pkt_set_aa(answer, true);
		for (size_t i = 0; i < texts.count; i++)
			add_text(answer, owner, texts.texts[i]);
	}
}

static void answer_question(const struct dns_zone *zone, ldns_pkt *answer, const ldns_rr *question)
{
	const ldns_rdf *owner = ldns_rr_owner(question);
	ldns_rr_type type = ldns_rr_get_type(question);
	bool is_zone = ldns_dname_compare(owner, zone->origin) == 0;
	bool is_refused = ldns_rr_get_class(question) != LDNS_RR_CLASS_IN || type == LDNS_RR_TYPE_AXFR ||
			  type == LDNS_RR_TYPE_IXFR ||
			  (!is_zone && !ldns_dname_is_subdomain(owner, zone->origin));
	if (is_refused)
		ldns_pkt_set_rcode(answer, LDNS_RCODE_REFUSED);
	else if (is_zone)
		answer_for_zone(zone, answer, type);
	else
		answer_for_label(zone, answer, owner, type);
}

static ldns_pkt *start_answer(const ldns_pkt *query)
{
	ldns_pkt *answer = ldns_pkt_new();
	ldns_pkt_set_id(answer, ldns_pkt_id(query));
	ldns_pkt_set_qr(answer, true);
	ldns_pkt_set_opcode(answer, ldns_pkt_get_opcode(query));
	ldns_pkt_set_rd(answer, ldns_pkt_rd(query));
	if (ldns_pkt_edns(query))
		ldns_pkt_set_edns_udp_size(answer, DNS_UDP_MAX);
	return answer;
}

static void fill_answer(const struct dns_zone *zone, ldns_pkt *answer, const ldns_pkt *query)
{
	if (ldns_pkt_get_opcode(query) != LDNS_PACKET_QUERY) {
		ldns_pkt_set_rcode(answer, LDNS_RCODE_NOTIMPL);
		return;
	}
	const ldns_rr_list *questions = ldns_pkt_question(query);
	if (ldns_rr_list_rr_count(questions) != 1) {
		ldns_pkt_set_rcode(answer, LDNS_RCODE_FORMERR);
		return;
	}
	const ldns_rr *question = ldns_rr_list_rr(questions, 0);
	add(answer, LDNS_SECTION_QUESTION, question);
	if (ldns_pkt_edns(query) && ldns_pkt_edns_version(query) != 0)
		ldns_pkt_set_edns_extended_rcode(answer, BAD_VERSION >> 4);
	else
		answer_question(zone, answer, question);
}

/* RFC 1035 section 4.2.1: the asker comes again by TCP. */
static uint8_t *truncate_answer(ldns_pkt *answer, uint8_t *wire, size_t *size)
{
	free(wire);
	wire = NULL;
	ldns_rr_list *full = ldns_pkt_answer(answer);
	ldns_pkt_set_answer(answer, ldns_rr_list_new());
	ldns_pkt_set_ancount(answer, 0);
	ldns_pkt_set_tc(answer, true);
	if (ldns_pkt2wire(&wire, answer, size) != LDNS_STATUS_OK)
		wire = NULL;
	ldns_rr_list_deep_free(full);
	return wire;
}

static size_t most_bytes(const ldns_pkt *query, bool is_tcp)
{
	size_t asked = ldns_pkt_edns(query) ? ldns_pkt_edns_udp_size(query) : 0;
	if (is_tcp)
		return LDNS_MAX_PACKETLEN;
	return asked < DNS_UDP_LEAST ? DNS_UDP_LEAST : asked > DNS_UDP_MAX ? DNS_UDP_MAX : asked;
}

/* What cannot be read gets its id back, if it has a header that asks something. */
static uint8_t *answer_broken(const uint8_t *query, size_t size, size_t *answer_size)
{
	uint8_t *wire = NULL;
	if (size < LDNS_HEADER_SIZE || LDNS_QR_WIRE(query))
		return NULL;
	ldns_pkt *answer = ldns_pkt_new();
	ldns_pkt_set_id(answer, LDNS_ID_WIRE(query));
	ldns_pkt_set_qr(answer, true);
	ldns_pkt_set_rcode(answer, LDNS_RCODE_FORMERR);
	if (ldns_pkt2wire(&wire, answer, answer_size) != LDNS_STATUS_OK)
		wire = NULL;
	ldns_pkt_free(answer);
	return wire;
}

uint8_t *dns_answer(
    const struct dns_zone *zone, const uint8_t *query, size_t size, bool is_tcp, size_t *answer_size)
{
	ldns_pkt *asked = NULL;
	uint8_t *wire = NULL;
	if (ldns_wire2pkt(&asked, query, size) != LDNS_STATUS_OK)
		return answer_broken(query, size, answer_size);
	/* An answer that is answered goes on for ever. */
	if (ldns_pkt_qr(asked)) {
		ldns_pkt_free(asked);
		return NULL;
	}
	ldns_pkt *answer = start_answer(asked);
	fill_answer(zone, answer, asked);
	if (ldns_pkt2wire(&wire, answer, answer_size) != LDNS_STATUS_OK)
		wire = NULL;
	else if (*answer_size > most_bytes(asked, is_tcp))
		wire = truncate_answer(answer, wire, answer_size);
	ldns_pkt_free(answer);
	ldns_pkt_free(asked);
	return wire;
}
