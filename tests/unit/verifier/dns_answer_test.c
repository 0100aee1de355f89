/* What the small authoritative server says, packet by packet; queries are made by libldns too. */
#include "verifier/dns/dns_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ldns/ldns.h>

#define LABEL "0123456789abcdef0123456789abcdef"
#define ZONE "acme.saas.test"

static struct {
	enum result result;
	size_t count;
	int calls;
} known;

static enum result find(void *arg, const char *label, struct dns_texts *out)
{
	(void)arg;
	known.calls++;
	assert_string_equal(label, LABEL);
	for (size_t i = 0; i < known.count; i++)
		snprintf(out->texts[out->count++], DNS_TEXT_SIZE, "%d-%050d", (int)i % 10, 7);
	return known.result;
}

static int set_up(void **state)
{
	const char *ns[] = {"ns1.saas.test", "ns2.saas.test"};
	struct dns_zone *zone = NULL;
	struct error error = {""};
	known.result = R_OK;
	known.count = 1;
	known.calls = 0;
	if (dns_zone_new(&zone, ZONE, ns, 2, find, NULL, &error) != R_OK)
		fail_msg("%s", error.text);
	*state = zone;
	return 0;
}

static int tear_down(void **state)
{
	dns_zone_free(*state);
	return 0;
}

static ldns_pkt *query(const char *name, ldns_rr_type type)
{
	ldns_pkt *pkt = NULL;
	assert_int_equal(
	    ldns_pkt_query_new_frm_str(&pkt, name, type, LDNS_RR_CLASS_IN, LDNS_RD), LDNS_STATUS_OK);
	ldns_pkt_set_id(pkt, 4711);
	return pkt;
}

/* Frees the query. */
static ldns_pkt *send_query(void **state, ldns_pkt *pkt, bool tcp)
{
	uint8_t *wire = NULL;
	size_t size = 0, answer_size = 0;
	ldns_pkt *answer = NULL;
	assert_int_equal(ldns_pkt2wire(&wire, pkt, &size), LDNS_STATUS_OK);
	uint8_t *out = dns_answer(*state, wire, size, tcp, &answer_size);
	assert_non_null(out);
	assert_int_equal(ldns_wire2pkt(&answer, out, answer_size), LDNS_STATUS_OK);
	assert_int_equal(ldns_pkt_id(answer), 4711);
	assert_true(ldns_pkt_qr(answer));
	assert_false(ldns_pkt_ra(answer));
	free(out);
	free(wire);
	ldns_pkt_free(pkt);
	return answer;
}

static void expect(
    void **state, const char *name, ldns_rr_type type, ldns_pkt_rcode code, size_t answers, size_t authority)
{
	ldns_pkt *answer = send_query(state, query(name, type), false);
	if (ldns_pkt_get_rcode(answer) != code || ldns_pkt_ancount(answer) != answers ||
	    ldns_pkt_nscount(answer) != authority)
		fail_msg("%s type %d: code %d, %u answers, %u in authority", name, type,
		    ldns_pkt_get_rcode(answer), ldns_pkt_ancount(answer), ldns_pkt_nscount(answer));
	bool is_ours = code == LDNS_RCODE_NOERROR || code == LDNS_RCODE_NXDOMAIN;
	assert_int_equal(ldns_pkt_aa(answer), is_ours);
	ldns_pkt_free(answer);
}

static void names_of_the_zone_are_answered_with_authority(void **state)
{
	expect(state, LABEL "." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NOERROR, 1, 0);
	expect(state, "0123456789ABCDEF0123456789abcdef.ACME.saas.TEST", LDNS_RR_TYPE_TXT, LDNS_RCODE_NOERROR,
	    1, 0);
	expect(state, LABEL "." ZONE, LDNS_RR_TYPE_A, LDNS_RCODE_NOERROR, 0, 1);
	expect(state, ZONE, LDNS_RR_TYPE_SOA, LDNS_RCODE_NOERROR, 1, 0);
	expect(state, ZONE, LDNS_RR_TYPE_NS, LDNS_RCODE_NOERROR, 2, 0);
	expect(state, ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NOERROR, 0, 1);
}

static void what_cannot_be_a_label_is_not_looked_up(void **state)
{
	expect(state, "www." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NXDOMAIN, 0, 1);
	expect(state, "x." LABEL "." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NXDOMAIN, 0, 1);
	expect(state, "g123456789abcdef0123456789abcdef." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NXDOMAIN, 0, 1);
	assert_int_equal(known.calls, 0);
}

static void an_unknown_label_does_not_exist(void **state)
{
	known.result = R_NONE;
	known.count = 0;
	expect(state, LABEL "." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_NXDOMAIN, 0, 1);
	assert_int_equal(known.calls, 1);
}

static void a_database_that_is_away_is_no_denial(void **state)
{
	known.result = R_DOWN;
	known.count = 0;
	expect(state, LABEL "." ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_SERVFAIL, 0, 0);
}

static void other_zones_and_transfers_are_refused(void **state)
{
	expect(state, "example.com", LDNS_RR_TYPE_TXT, LDNS_RCODE_REFUSED, 0, 0);
	expect(state, "saas.test", LDNS_RR_TYPE_SOA, LDNS_RCODE_REFUSED, 0, 0);
	expect(state, "not" ZONE, LDNS_RR_TYPE_TXT, LDNS_RCODE_REFUSED, 0, 0);
	expect(state, ".", LDNS_RR_TYPE_NS, LDNS_RCODE_REFUSED, 0, 0);
	expect(state, ZONE, LDNS_RR_TYPE_AXFR, LDNS_RCODE_REFUSED, 0, 0);
}

static void too_much_for_udp_is_cut(void **state)
{
	known.count = DNS_TEXTS_MAX;
	ldns_pkt *answer = send_query(state, query(LABEL "." ZONE, LDNS_RR_TYPE_TXT), false);
	assert_true(ldns_pkt_tc(answer));
	assert_int_equal(ldns_pkt_ancount(answer), 0);
	ldns_pkt_free(answer);
	answer = send_query(state, query(LABEL "." ZONE, LDNS_RR_TYPE_TXT), true);
	assert_false(ldns_pkt_tc(answer));
	assert_int_equal(ldns_pkt_ancount(answer), DNS_TEXTS_MAX);
	ldns_pkt_free(answer);
	ldns_pkt *edns = query(LABEL "." ZONE, LDNS_RR_TYPE_TXT);
	ldns_pkt_set_edns_udp_size(edns, 65535);
	answer = send_query(state, edns, false);
	assert_int_equal(ldns_pkt_ancount(answer), DNS_TEXTS_MAX);
	assert_int_equal(ldns_pkt_edns_udp_size(answer), DNS_UDP_MAX);
	ldns_pkt_free(answer);
}

static void newer_edns_and_other_opcodes_are_told_so(void **state)
{
	ldns_pkt *newer = query(LABEL "." ZONE, LDNS_RR_TYPE_TXT);
	ldns_pkt_set_edns_udp_size(newer, 1232);
	ldns_pkt_set_edns_version(newer, 1);
	ldns_pkt *answer = send_query(state, newer, false);
	assert_int_equal(ldns_pkt_edns_extended_rcode(answer), 1);
	assert_int_equal(ldns_pkt_ancount(answer), 0);
	ldns_pkt_free(answer);
	ldns_pkt *notify = query(ZONE, LDNS_RR_TYPE_SOA);
	ldns_pkt_set_opcode(notify, LDNS_PACKET_NOTIFY);
	answer = send_query(state, notify, false);
	assert_int_equal(ldns_pkt_get_rcode(answer), LDNS_RCODE_NOTIMPL);
	ldns_pkt_free(answer);
}

static void broken_packets_are_told_so_or_left_alone(void **state)
{
	uint8_t *wire = NULL;
	size_t size = 0;
	ldns_pkt *pkt = query(LABEL "." ZONE, LDNS_RR_TYPE_TXT);
	assert_int_equal(ldns_pkt2wire(&wire, pkt, &size), LDNS_STATUS_OK);
	for (size_t cut = 0; cut < size; cut++) {
		size_t answer_size = 0;
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, wire, cut);
		uint8_t *answer = dns_answer(*state, copy, cut, false, &answer_size);
		if (!answer != (cut < LDNS_HEADER_SIZE))
			fail_msg("%zu bytes: %s", cut, answer ? "answered" : "left alone");
		free(answer);
		free(copy);
	}
	size_t answer_size = 0;
	wire[2] |= 0x80;
	assert_null(dns_answer(*state, wire, size, false, &answer_size));
	free(wire);
	ldns_pkt_free(pkt);
}

static void a_zone_wants_servers(void **state)
{
	(void)state;
	struct dns_zone *zone = NULL;
	struct error error = {""};
	assert_int_equal(dns_zone_new(&zone, ZONE, NULL, 0, find, NULL, &error), R_INVALID);
	assert_non_null(strstr(error.text, "dns-ns"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(names_of_the_zone_are_answered_with_authority, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_cannot_be_a_label_is_not_looked_up, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(an_unknown_label_does_not_exist, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(a_database_that_is_away_is_no_denial, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(other_zones_and_transfers_are_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(too_much_for_udp_is_cut, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(newer_edns_and_other_opcodes_are_told_so, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(broken_packets_are_told_so_or_left_alone, set_up, tear_down),
	    cmocka_unit_test(a_zone_wants_servers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
