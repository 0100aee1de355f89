/* A packet to a name server and its reply: what belongs to the question, what is odd, what is nobody's. */
#include "verifier/diagnose/dns_question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ldns/ldns.h>

static struct dns_question question;
static uint8_t *query;
static size_t query_size;
static struct dns_reply reply;

static void begin(const char *name, enum resolver_type type)
{
	free(query);
	dns_reply_fini(&reply);
	question = (struct dns_question){.type = type};
	strcpy(question.name, name);
	query = dns_question_make(&question, &query_size);
	assert_non_null(query);
}

/* The reply with these records (NULL at the end) in a section. */
static enum result read_reply(ldns_pkt_section section, ldns_pkt_rcode code, int is_authoritative, ...)
{
	ldns_pkt *packet = NULL;
	uint8_t *wire = NULL;
	size_t size = 0;
	va_list records;
	assert_int_equal(ldns_wire2pkt(&packet, query, query_size), LDNS_STATUS_OK);
	ldns_pkt_set_qr(packet, true);
	ldns_pkt_set_aa(packet, is_authoritative);
	ldns_pkt_set_rcode(packet, (uint8_t)code);
	va_start(records, is_authoritative);
	for (const char *text = va_arg(records, const char *); text; text = va_arg(records, const char *)) {
		ldns_rr *rr = NULL;
		assert_int_equal(ldns_rr_new_frm_str(&rr, text, 60, NULL, NULL), LDNS_STATUS_OK);
		ldns_pkt_push_rr(packet, section, rr);
	}
	va_end(records);
	assert_int_equal(ldns_pkt2wire(&wire, packet, &size), LDNS_STATUS_OK);
	dns_reply_fini(&reply);
	enum result result = dns_question_read(&question, wire, size, &reply);
	free(wire);
	ldns_pkt_free(packet);
	return result;
}

static void a_question_is_small_and_asks_for_no_recursion(void **state)
{
	(void)state;
	ldns_pkt *packet = NULL;
	begin("acme_verify.shop.brand.test", RESOLVER_TXT);
	assert_int_equal(ldns_wire2pkt(&packet, query, query_size), LDNS_STATUS_OK);
	assert_false(ldns_pkt_rd(packet));
	assert_int_equal(ldns_pkt_edns_udp_size(packet), DNS_PACKET_MAX);
	assert_int_equal(ldns_pkt_id(packet), question.id);
	ldns_pkt_free(packet);
	uint16_t first = question.id;
	bool differs = false;
	for (int i = 0; i < 5; i++) {
		begin("shop.brand.test", RESOLVER_A);
		differs = differs || question.id != first;
	}
	assert_true(differs);
}

static void serial_and_primary_are_read(void **state)
{
	(void)state;
	begin("brand.test", RESOLVER_SOA);
	assert_int_equal(read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true,
			     "brand.test. 60 IN SOA NS1.brand.test. h.brand.test. 7 1 2 3 4", NULL),
	    R_OK);
	assert_true(reply.has_serial && reply.is_authoritative);
	assert_int_equal(reply.serial, 7);
	assert_string_equal(reply.primary, "ns1.brand.test");
	read_reply(LDNS_SECTION_AUTHORITY, LDNS_RCODE_NOERROR, true,
	    "test. 60 IN SOA ns1.test. h.test. 7 1 2 3 4", NULL);
	assert_false(reply.has_serial);
}

static void records_of_other_names_and_types_are_passed_over(void **state)
{
	(void)state;
	begin("shop.brand.test", RESOLVER_A);
	read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, "other.brand.test. 60 IN A 192.0.2.1",
	    "shop.brand.test. 60 IN TXT \"x\"", "SHOP.brand.test. 60 IN A 192.0.2.2", NULL);
	assert_int_equal(reply.answer.count, 1);
	assert_memory_equal(reply.answer.values[0].bytes, "\xc0\0\2\2", 4);
}

static void aliases_are_followed_and_circles_end(void **state)
{
	(void)state;
	begin("a.brand.test", RESOLVER_A);
	read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, "b.brand.test. 60 IN CNAME c.other.test.",
	    "a.brand.test. 60 IN CNAME b.brand.test.", NULL);
	assert_string_equal(reply.alias, "b.brand.test");
	assert_string_equal(reply.answer.canonical, "c.other.test");
	assert_int_equal(reply.answer.outcome, RESOLVER_NO_DATA);
	read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, "b.brand.test. 60 IN CNAME a.brand.test.",
	    "a.brand.test. 60 IN CNAME b.brand.test.", NULL);
	assert_true(reply.alias_loops);
}

static void a_referral_has_its_cut_names_and_glue(void **state)
{
	(void)state;
	begin("shop.brand.test", RESOLVER_NS);
	read_reply(LDNS_SECTION_AUTHORITY, LDNS_RCODE_NOERROR, false, "brand.test. 60 IN NS ns1.brand.test.",
	    "brand.test. 60 IN NS ns2.other.test.", "evil.test. 60 IN NS ns.evil.test.", NULL);
	assert_string_equal(reply.cut, "brand.test");
	assert_int_equal(reply.delegate_count, 2);
	assert_string_equal(reply.delegates[1].name, "ns2.other.test");
	assert_int_equal(reply.delegates[0].glue_size, 0);
	read_reply(
	    LDNS_SECTION_AUTHORITY, LDNS_RCODE_NOERROR, true, "brand.test. 60 IN NS ns1.brand.test.", NULL);
	assert_string_equal(reply.cut, "");
}

static void what_is_not_the_answer_is_passed_over(void **state)
{
	(void)state;
	begin("shop.brand.test", RESOLVER_A);
	struct dns_question asked = question;
	assert_int_equal(dns_question_read(&question, query, query_size, &reply), R_NONE); /* a question */
	question.id ^= 1;
	assert_int_equal(read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, NULL), R_NONE);
	question = asked;
	strcpy(question.name, "other.brand.test");
	assert_int_equal(read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, NULL), R_NONE);
	question = asked;
	question.type = RESOLVER_TXT;
	assert_int_equal(read_reply(LDNS_SECTION_ANSWER, LDNS_RCODE_NOERROR, true, NULL), R_NONE);
}

static void half_packets_and_noise_are_none(void **state)
{
	(void)state;
	begin("shop.brand.test", RESOLVER_A);
	uint8_t *wire = malloc(query_size);
	memcpy(wire, query, query_size);
	wire[2] |= 0x80;
	wire[7] = 9; /* more answers than there are */
	assert_int_equal(dns_question_read(&question, wire, query_size, &reply), R_INVALID);
	for (size_t size = 0; size < query_size; size++)
		assert_int_not_equal(dns_question_read(&question, wire, size, &reply), R_OK);
	wire[2] |= 2;
	assert_int_equal(dns_question_read(&question, wire, query_size, &reply), R_OK);
	assert_true(reply.is_truncated);
	free(wire);
}

/* A server that cannot even read the question. */
static void a_refusal_without_the_question_counts(void **state)
{
	(void)state;
	begin("shop.brand.test", RESOLVER_A);
	uint8_t header[12] = {query[0], query[1], 0x80, LDNS_RCODE_FORMERR};
	assert_int_equal(dns_question_read(&question, header, sizeof header, &reply), R_OK);
	assert_int_equal(reply.code, LDNS_RCODE_FORMERR);
	header[3] = 0;
	assert_int_equal(dns_question_read(&question, header, sizeof header, &reply), R_NONE);
}

static void names_become_text_without_harm(void **state)
{
	(void)state;
	char text[HOSTNAME_MAX + 1];
	dns_name_text(text, "a\x1b<b \xff", 6);
	assert_string_equal(text, "a?<b??");
	char many[600];
	memset(many, 'x', sizeof many);
	dns_name_text(text, many, sizeof many);
	assert_int_equal(strlen(text), HOSTNAME_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_question_is_small_and_asks_for_no_recursion),
	    cmocka_unit_test(serial_and_primary_are_read),
	    cmocka_unit_test(records_of_other_names_and_types_are_passed_over),
	    cmocka_unit_test(aliases_are_followed_and_circles_end),
	    cmocka_unit_test(a_referral_has_its_cut_names_and_glue),
	    cmocka_unit_test(what_is_not_the_answer_is_passed_over),
	    cmocka_unit_test(half_packets_and_noise_are_none),
	    cmocka_unit_test(a_refusal_without_the_question_counts),
	    cmocka_unit_test(names_become_text_without_harm),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	dns_reply_fini(&reply);
	free(query);
	return failed;
}
