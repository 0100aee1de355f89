#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/http/h1_parse.h"
#include "edge/http/identity.h"

static struct http_head head;
static char request[64 * 1024];

/* A request with these field lines. */
static void read_fields(const char *fields)
{
	struct h1_scan scan = {0};
	size_t used = 0;
	int status = 0;

	snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: a.example\r\n%s\r\n", fields);
	if (h1_parse_request(&head, &scan, request, strlen(request), &used, &status) != R_OK)
		fail_msg("%s\nrefused with %d", request, status);
}

/* ---- behind a CDN: 10.0.0.0/8 and 2001:db8:c::/48 are its own */

static struct ip_range networks[] = {
    {.family = AF_INET, .bytes = {10}, .bits = 8},
    {.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0x0c}, .bits = 48},
};
static const struct ip_ranges cdns = {networks, 2};

static void expect_client(const char *fields, const char *client)
{
	struct net_address peer;
	char text[NET_ADDRESS_TEXT];

	assert_int_equal(net_parse_address(&peer, "10.0.0.1:4242", NULL), R_OK);
	read_fields(fields);
	identity_client(text, &head, &peer, &cdns);
	if (strcmp(text, client) != 0)
		fail_msg("%s: %s instead of %s", fields, text, client);
}

#define XFF(value) "X-Forwarded-For: " value "\r\n"

static void client_is_the_last_address_that_is_no_cdns(void **state)
{
	(void)state;
	expect_client("", "10.0.0.1");
	expect_client(XFF("203.0.113.9"), "203.0.113.9");
	expect_client(XFF("6.6.6.6, 203.0.113.9"), "203.0.113.9");
	expect_client(XFF("6.6.6.6,203.0.113.9,10.1.1.1 , 10.2.2.2"), "203.0.113.9");
	expect_client(XFF("10.3.3.3, 10.1.1.1"), "10.3.3.3");
	expect_client(XFF("2001:DB8::9"), "2001:db8::9");
	expect_client(XFF("6.6.6.6, 2001:db8:c::1"), "6.6.6.6");
	expect_client(XFF("::ffff:203.0.113.9"), "203.0.113.9");
	expect_client(XFF("203.0.113.9, ::ffff:10.9.9.9"), "203.0.113.9");
}

static void several_fields_are_one_list(void **state)
{
	(void)state;
	expect_client(XFF("6.6.6.6") "B: c\r\n" XFF("203.0.113.9, 10.0.0.2") XFF("10.0.0.3"), "203.0.113.9");
	expect_client(XFF("203.0.113.9") XFF(""), "203.0.113.9");
	expect_client(XFF(" , 203.0.113.9 ,, ,"), "203.0.113.9");
}

static void ports_and_brackets_are_cut(void **state)
{
	(void)state;
	expect_client(XFF("203.0.113.9:1234"), "203.0.113.9");
	expect_client(XFF("[2001:db8::9]"), "2001:db8::9");
	expect_client(XFF("[2001:db8::9]:1234"), "2001:db8::9");
}

/* The walk ends at the last address that could be read, however good the one behind it looks. */
static void what_cannot_be_read_ends_the_walk(void **state)
{
	static const char *const members[] = {"unknown", "_hidden", "203.0.113.9:", "203.0.113.9:x",
	    "203.0.113.9:123456", "[2001:db8::9", "2001:db8::9]", "[2001:db8::9]x",
	    "[2001:db8::9]:", "[203.0.113.9", "203.0.113", "203.0.113.09", "203.0.113.9 x", "\"203.0.113.9\"",
	    "fe80::1%eth0", "for=203.0.113.9", "2001:db8::9::1",
	    "203.0.113.9.203.0.113.9.203.0.113.9.203.0.113.9.203.0.113.9.203.0.113.9"};
	char fields[256];

	(void)state;
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		snprintf(fields, sizeof fields, XFF("%s"), members[i]);
		expect_client(fields, "10.0.0.1");
		snprintf(fields, sizeof fields, XFF("203.0.113.9, %s, 10.7.7.7"), members[i]);
		expect_client(fields, "10.7.7.7");
	}
}

static void other_fields_tell_nothing(void **state)
{
	(void)state;
	expect_client("X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n"
		      "X-Real-IP: 6.6.6.6\r\nX-Forwarded-Forx: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\n",
	    "10.0.0.1");
}

static void the_walk_is_bounded(void **state)
{
	static char fields[16 * 1024];
	size_t used = (size_t)snprintf(fields, sizeof fields, "X-Forwarded-For: 203.0.113.9");

	(void)state;
	for (int i = 1; i < IDENTITY_HOPS_MAX; i++)
		used += (size_t)snprintf(fields + used, sizeof fields - used, ", 10.0.1.%d", i);
	snprintf(fields + used, sizeof fields - used, "\r\n");
	expect_client(fields, "203.0.113.9");
	snprintf(fields + used, sizeof fields - used, ", 10.0.2.1\r\n");
	expect_client(fields, "10.0.1.1");
}

/* ---- the request's id */

static void expect_id(const char *fields, const char *id)
{
	char text[IDENTITY_ID_MAX + 1];

	read_fields(fields);
	identity_request_id(text, &head);
	if (id && strcmp(text, id) != 0)
		fail_msg("%s: %s instead of %s", fields, text, id);
	if (id)
		return;
	if (strlen(text) != REQUEST_ID_MADE || strspn(text, "0123456789abcdef") != REQUEST_ID_MADE)
		fail_msg("%s: %s was kept", fields, text);
}

#define SIXTEEN "0123456789ABCDEF"

static void a_well_formed_id_is_kept(void **state)
{
	static const char *const ids[] = {"1", "f3b4958c-52a1-11e7-802a-010203040506", "a.b_c~d+e/f=g:h@i-j",
	    "Root=1-67891233-abcdef012345678912345678", SIXTEEN SIXTEEN SIXTEEN SIXTEEN};
	char fields[256];

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		snprintf(fields, sizeof fields, "x-request-id: %s\r\n", ids[i]);
		expect_id(fields, ids[i]);
	}
}

static void any_other_id_is_replaced(void **state)
{
	static const char *const values[] = {"", "a b", "a,b", "a;b", "a\"b", "a\\b", "a<b", "a%0a", "a{b",
	    "a'b", "\x80", "a\tb", SIXTEEN SIXTEEN SIXTEEN SIXTEEN "0"};
	char fields[256];

	(void)state;
	expect_id("", NULL);
	expect_id("X-Request-Id: a\r\nX-Request-Id: a\r\n", NULL);
	expect_id("X_Request_Id: a\r\n", NULL);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		snprintf(fields, sizeof fields, "X-Request-Id: %s\r\n", values[i]);
		expect_id(fields, NULL);
	}
}

static void made_ids_differ(void **state)
{
	static char ids[200][REQUEST_ID_MADE + 1];

	(void)state;
	for (size_t i = 0; i < 200; i++) {
		request_id_make(ids[i]);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(ids[i], ids[k]);
	}
}

/* ---- loops */

static void a_request_that_passes_us_for_the_fourth_time_is_a_loop(void **state)
{
	static const struct trust trust = {.via = {"1.0 postern-00000001", "1.1 postern-00000001"}};
	static const struct trust silent = {.https_port = 443};
	static const struct {
		const char *fields;
		bool is_loop;
	} cases[] = {
	    {"", false},
	    {"Via: 1.1 postern-00000001, 1.1 postern-00000001\r\n", false},
	    {"Via: 1.1 postern-00000001, 1.1 a, 1.0 postern-00000001\r\nVia: 1.1 postern-00000001 (x)\r\n",
		true},
	    {"Via: 1.1 postern-00000002, 1.1 postern-00000002, 1.1 postern-00000002\r\n", false},
	    {"Via: postern-00000001, 1.1 postern-0000000, 1.1 \r\nVia: ,\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		read_fields(cases[i].fields);
		if (identity_is_loop(&head, &trust) != cases[i].is_loop)
			fail_msg("%s", cases[i].fields);
		assert_false(identity_is_loop(&head, &silent));
	}
}

/* ---- RFC 7239 */

static void forwarded_is_quoted_where_it_must_be(void **state)
{
	char text[IDENTITY_FORWARDED_SIZE], longest[HTTP_HOST_MAX + 7];

	(void)state;
	assert_string_equal(identity_forwarded(text, "192.0.2.7", http_slice_of("A.Example"), true),
	    "for=192.0.2.7;host=A.Example;proto=https");
	assert_string_equal(identity_forwarded(text, "2001:db8::7", http_slice_of("[2001:db8::1]:80"), false),
	    "for=\"[2001:db8::7]\";host=\"[2001:db8::1]:80\";proto=http");
	memset(longest, 'a', sizeof longest);
	memcpy(longest + HTTP_HOST_MAX, ":65535", 7);
	identity_forwarded(text, "2001:db8:1111:2222:3333:4444:5555:6666", http_slice_of(longest), true);
	assert_string_equal(text + strlen(text) - strlen(":65535\";proto=https"), ":65535\";proto=https");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(client_is_the_last_address_that_is_no_cdns),
	    cmocka_unit_test(several_fields_are_one_list),
	    cmocka_unit_test(ports_and_brackets_are_cut),
	    cmocka_unit_test(what_cannot_be_read_ends_the_walk),
	    cmocka_unit_test(other_fields_tell_nothing),
	    cmocka_unit_test(the_walk_is_bounded),
	    cmocka_unit_test(a_well_formed_id_is_kept),
	    cmocka_unit_test(any_other_id_is_replaced),
	    cmocka_unit_test(made_ids_differ),
	    cmocka_unit_test(a_request_that_passes_us_for_the_fourth_time_is_a_loop),
	    cmocka_unit_test(forwarded_is_quoted_where_it_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
