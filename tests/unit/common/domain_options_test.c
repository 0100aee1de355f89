/* What a domain may ask for: each key's values, and the sentence that whoever wrote a wrong one reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain/domain_options.h"

static struct domain_options options;
static struct error problem;

static int fini(void **state)
{
	(void)state;
	domain_options_fini(&options);
	return 0;
}

static enum result read_json(const char *key, const char *json)
{
	json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	problem = (struct error){{0}};
	domain_options_fini(&options);
	enum result result = domain_options_read(&options, key, value, &problem);
	json_decref(value);
	return result;
}

static void expect_fine(const char *key, const char *json)
{
	if (read_json(key, json) != R_OK)
		fail_msg("%s %s: %s", key, json, problem.text);
}

static void expect_wrong(const char *key, const char *json, const char *words)
{
	if (read_json(key, json) != R_INVALID)
		fail_msg("%s %s was taken", key, json);
	if (!strstr(problem.text, words))
		fail_msg("%s %s: `%s` does not say `%s`", key, json, problem.text, words);
}

static void expect_part(enum domain_part_kind kind, const char *bytes, size_t size)
{
	struct domain_part part = domain_options_part(&options, kind);

	assert_int_equal(part.size, size);
	if (size > 0)
		assert_memory_equal(part.bytes, bytes, size);
	else
		assert_null(part.bytes);
}

static void redirect_is_a_host_or_an_object(void **state)
{
	(void)state;
	expect_fine("redirect", "\"example.com\"");
	assert_string_equal(options.redirect, "example.com");
	assert_int_equal(options.redirect_status, 308);
	expect_fine("redirect", "{\"host\": \"www.example.com\", \"status\": 301}");
	assert_string_equal(options.redirect, "www.example.com");
	assert_int_equal(options.redirect_status, 301);
	expect_fine("redirect", "{\"host\": \"www.example.com\"}");
	assert_int_equal(options.redirect_status, 308);
}

static void wrong_redirect_is_refused_with_the_mend(void **state)
{
	(void)state;
	expect_wrong("redirect", "7", "a host, or {");
	expect_wrong("redirect", "{\"to\": \"example.com\"}", "a host, or {");
	expect_wrong("redirect", "{\"host\": \"example.com\", \"code\": 301}", "a host, or {");
	expect_wrong("redirect", "\"Example.com.\"", "write the host as `example.com`");
	expect_wrong("redirect", "\"b\\u00fccher.example\"", "write the host as `xn--bcher-kva.example`");
	expect_wrong("redirect", "\"https://example.com/\"", "`https://example.com/`");
	expect_wrong("redirect", "\"192.0.2.1\"", "IP address");
	expect_wrong("redirect", "\"co.uk\"", "`co.uk`");
	expect_wrong("redirect", "\"a.example\\r\\nX: y\"", "`a.example");
	expect_wrong("redirect", "{\"host\": \"example.com\", \"status\": 302}", "301 or 308");
	expect_wrong("redirect", "{\"host\": \"example.com\", \"status\": \"301\"}", "301 or 308");
	assert_null(options.redirect);
}

static void body_limit_is_bytes(void **state)
{
	(void)state;
	assert_false(options.has_max_body);
	expect_fine("max_body", "1048576");
	assert_true(options.has_max_body);
	assert_int_equal(options.max_body, 1048576);
	expect_fine("max_body", "0");
	assert_true(options.has_max_body);
	expect_wrong("max_body", "-1", "number of bytes");
	expect_wrong("max_body", "\"1M\"", "number of bytes");
	expect_wrong("max_body", "1.5", "number of bytes");
	expect_wrong("max_body", "9223372036854775807", "number of bytes");
}

static void pages_are_kept_by_status(void **state)
{
	(void)state;
	expect_fine("error_pages", "{\"503\": \"<p>soon\", \"502\": \"<p>\\u00fc\"}");
	expect_part(DOMAIN_PAGE_503, "<p>soon", 7);
	expect_part(DOMAIN_PAGE_502, "<p>\xc3\xbc", 5);
	expect_part(DOMAIN_PAGE_504, NULL, 0);
}

static void wrong_page_leaves_all_of_them_out(void **state)
{
	char json[DOMAIN_PAGE_MAX + 64];

	(void)state;
	expect_wrong("error_pages", "[]", "object");
	expect_wrong("error_pages", "{\"503\": \"<p>\", \"504\": 7}", "page of 504");
	expect_part(DOMAIN_PAGE_503, NULL, 0);
	expect_wrong("error_pages", "{\"503\": \"\"}", "1 to 8192 bytes");
	expect_wrong("error_pages", "{\"421\": \"<p>\"}", "for 421 there is the setting");
	expect_wrong("error_pages", "{\"404\": \"<p>\"}", "502, 503 and 504");
	snprintf(json, sizeof json, "{\"503\": \"%0*d\"}", DOMAIN_PAGE_MAX + 1, 0);
	expect_wrong("error_pages", json, "1 to 8192 bytes");
	snprintf(json, sizeof json, "{\"503\": \"%0*d\"}", DOMAIN_PAGE_MAX, 0);
	expect_fine("error_pages", json);
}

static void fields_are_kept_in_order(void **state)
{
	static const char added[] = "X-Frame-Options\0DENY\0Referrer-Policy\0same-origin";
	static const char removed[] = "server\0x-powered-by";

	(void)state;
	expect_fine("response_headers",
	    "{\"add\": {\"X-Frame-Options\": \"DENY\", \"Referrer-Policy\": \"same-origin\"},"
	    " \"remove\": [\"Server\", \"X-Powered-By\"]}");
	expect_part(DOMAIN_FIELDS_ADDED, added, sizeof added);
	expect_part(DOMAIN_FIELDS_REMOVED, removed, sizeof removed);
	expect_fine("response_headers", "{}");
	expect_part(DOMAIN_FIELDS_ADDED, NULL, 0);
}

static void fields_of_the_edge_are_refused(void **state)
{
	static const char *const names[] = {"Content-Length", "content_length", "Transfer-Encoding",
	    "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "TE", "Trailer", "Upgrade",
	    "Content-Encoding", "Content-Range", "X-Forwarded-For", "X_Forwarded_Anything", "Forwarded",
	    "X-Real-IP", "Via", "X-Request-Id", "Sec-WebSocket-Accept", "Date", "Host"};
	char json[128];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(json, sizeof json, "{\"add\": {\"%s\": \"x\"}}", names[i]);
		expect_wrong("response_headers", json, "the edge's own");
		snprintf(json, sizeof json, "{\"remove\": [\"%s\"]}", names[i]);
		expect_wrong("response_headers", json, "the edge's own");
	}
}

static void wrong_fields_are_refused(void **state)
{
	static const char *const values[] = {
	    "a\\r\\nSet-Cookie: x", "a\\nb", "\\u0001", "", " a", "a ", "\\u007f"};
	char json[DOMAIN_VALUE_MAX + 64];

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		snprintf(json, sizeof json, "{\"add\": {\"X-A\": \"%s\"}}", values[i]);
		expect_wrong("response_headers", json, "the value of X-A");
	}
	snprintf(json, sizeof json, "{\"add\": {\"X-A\": \"%0*d\"}}", DOMAIN_VALUE_MAX + 1, 0);
	expect_wrong("response_headers", json, "the value of X-A");
	expect_wrong("response_headers", "{\"add\": {\"X A\": \"x\"}}", "no field name");
	expect_wrong("response_headers", "{\"add\": {\":status\": \"200\"}}", "no field name");
	expect_wrong("response_headers", "{\"add\": {\"\": \"x\"}}", "no field name");
	expect_wrong("response_headers", "{\"add\": {\"X-A: b\\r\\nX\": \"x\"}}", "no field name");
	expect_wrong("response_headers", "{\"add\": [\"X-A\"]}", "add is an object");
	expect_wrong("response_headers", "{\"remove\": {\"X-A\": \"x\"}}", "remove is a list");
	expect_wrong("response_headers", "{\"remove\": [7]}", "no field name");
	expect_wrong("response_headers", "{\"set\": {}}", "add and remove");
	expect_wrong("response_headers", "[]", "an object");
}

static void too_many_fields_are_refused(void **state)
{
	char json[1024] = "{\"remove\": [\"a\"";

	(void)state;
	for (int i = 1; i < DOMAIN_FIELDS_MAX; i++)
		strcat(json, ",\"a\"");
	strcat(json, "]}");
	expect_fine("response_headers", json);
	json[strlen(json) - 2] = '\0';
	strcat(json, ",\"a\"]}");
	expect_wrong("response_headers", json, "at most 16");
}

static bool admits(const char *allow, const char *deny, const char *address)
{
	domain_options_fini(&options);
	for (int i = 0; i < 2; i++) {
		const char *json = i == 0 ? allow : deny;
		json_t *value = json ? json_loads(json, 0, NULL) : NULL;

		if (value)
			assert_int_equal(
			    domain_options_read(&options, i == 0 ? "allow" : "deny", value, &problem), R_OK);
		json_decref(value);
	}
	return domain_options_admit(&options, address);
}

static void deny_counts_more_than_allow(void **state)
{
	static const char office[] = "[\"192.0.2.0/24\", \"2001:db8::/32\"]";
	static const char guests[] = "[\"192.0.2.128/25\", \"::ffff:198.51.100.0/120\"]";

	(void)state;
	assert_true(admits(NULL, NULL, "192.0.2.1"));
	assert_true(admits(office, NULL, "192.0.2.1"));
	assert_true(admits(office, NULL, "::ffff:192.0.2.1"));
	assert_true(admits(office, NULL, "2001:db8::1"));
	assert_false(admits(office, NULL, "198.51.100.1"));
	assert_false(admits(office, guests, "192.0.2.200"));
	assert_true(admits(office, guests, "192.0.2.1"));
	assert_false(admits(NULL, guests, "198.51.100.1"));
	assert_true(admits(NULL, guests, "203.0.113.1"));
	assert_false(admits(office, NULL, ""));
}

static void unreadable_list_closes_the_domain(void **state)
{
	static const char *const lists[] = {"[]", "{}", "\"192.0.2.1\"", "[7]",
	    "[\"192.0.2.1\", \"192.0.2.0/33\"]", "[\"192.0.2.1/24\"]", "null"};

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		expect_wrong("deny", lists[i], "network");
		assert_false(domain_options_admit(&options, "192.0.2.77"));
		expect_wrong("allow", lists[i], "network");
		assert_false(domain_options_admit(&options, "192.0.2.1"));
	}
	assert_true(domain_options_guards("allow") && domain_options_guards("deny"));
	assert_false(domain_options_guards("hsts"));
}

static void list_of_networks_is_bounded(void **state)
{
	char json[16 * 1024] = "[\"192.0.2.1\"";

	(void)state;
	for (int i = 1; i < DOMAIN_NETWORKS_MAX; i++)
		strcat(json, ",\"192.0.2.1\"");
	strcat(json, "]");
	expect_fine("allow", json);
	json[strlen(json) - 1] = '\0';
	strcat(json, ",\"192.0.2.1\"]");
	expect_wrong("allow", json, "1 to 256");
}

static void check_names_the_key(void **state)
{
	static const struct {
		const char *json, *sentence;
	} cases[] = {
	    {"[]", "options: it is an object"},
	    {"{\"hsts\": 5, \"max_body\": -1}", "max_body: it is a number of bytes, 0 for any number"},
	    {"{\"colour\": \"red\"}", "colour: no such option; there are upstream, passthrough, hsts, "
				      "minimum_tls, redirect, max_body, "
				      "error_pages, response_headers, allow and deny"},
	    {"{\"redirect\": \"www.example.com\"}",
		"redirect: the domain cannot lead to itself: name another host"},
	    {"{\"deny\": [\"192.0.2.0/33\"]}",
		"deny: `192.0.2.0/33` is not a network: write 192.0.2.0/24 or 2001:db8::/32"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *json = json_loads(cases[i].json, 0, NULL);
		struct error error = {{0}};

		assert_int_equal(domain_options_check(json, "www.example.com", &error), R_INVALID);
		assert_string_equal(error.text, cases[i].sentence);
		json_decref(json);
	}
}

static void check_takes_what_the_edge_reads(void **state)
{
	json_t *fine =
	    json_loads("{\"upstream\": \"http://app:80\", \"hsts\": 5, \"minimum_tls\": \"1.3\","
		       " \"redirect\": \"example.com\", \"max_body\": 9, \"error_pages\": {\"502\": \"x\"},"
		       " \"response_headers\": {\"remove\": [\"Server\"]}, \"allow\": [\"192.0.2.1\"],"
		       " \"deny\": [\"192.0.2.2\"]}",
		0, NULL);
	json_t *empty = json_object();

	(void)state;
	assert_int_equal(domain_options_check(fine, "www.example.com", NULL), R_OK);
	assert_int_equal(domain_options_check(empty, "www.example.com", NULL), R_OK);
	json_decref(fine);
	json_decref(empty);
}

static void check_counts_all_options_together(void **state)
{
	struct error error = {{0}};
	char page[DOMAIN_PAGE_MAX + 1];

	(void)state;
	memset(page, 'x', sizeof page - 1);
	page[sizeof page - 1] = '\0';
	json_t *json = json_pack("{s:{s:s,s:s}}", "error_pages", "502", page, "503", page);
	assert_int_equal(domain_options_check(json, "www.example.com", &error), R_INVALID);
	assert_non_null(strstr(error.text, "at most 16384 bytes"));
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(redirect_is_a_host_or_an_object, fini),
	    cmocka_unit_test_teardown(wrong_redirect_is_refused_with_the_mend, fini),
	    cmocka_unit_test_teardown(body_limit_is_bytes, fini),
	    cmocka_unit_test_teardown(pages_are_kept_by_status, fini),
	    cmocka_unit_test_teardown(wrong_page_leaves_all_of_them_out, fini),
	    cmocka_unit_test_teardown(fields_are_kept_in_order, fini),
	    cmocka_unit_test_teardown(fields_of_the_edge_are_refused, fini),
	    cmocka_unit_test_teardown(wrong_fields_are_refused, fini),
	    cmocka_unit_test_teardown(too_many_fields_are_refused, fini),
	    cmocka_unit_test_teardown(deny_counts_more_than_allow, fini),
	    cmocka_unit_test_teardown(unreadable_list_closes_the_domain, fini),
	    cmocka_unit_test_teardown(list_of_networks_is_bounded, fini),
	    cmocka_unit_test_teardown(check_names_the_key, fini),
	    cmocka_unit_test_teardown(check_takes_what_the_edge_reads, fini),
	    cmocka_unit_test_teardown(check_counts_all_options_together, fini),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
