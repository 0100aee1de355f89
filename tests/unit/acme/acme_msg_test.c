/* The CA's documents: what is right is read, what is odd is left out, what is hostile is refused with its
 * place. */
#include "acme/ca/acme_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct acme_order order;
static struct acme_authorization authorization;
static struct error error;

static enum result read_order(const char *json)
{
	error.text[0] = '\0';
	return acme_parse_order(&order, json, strlen(json), &error);
}

static enum result read_authorization(const char *json)
{
	error.text[0] = '\0';
	return acme_parse_authorization(&authorization, json, strlen(json), &error);
}

#define AUTHORIZATION(challenges) \
	"{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},\"challenges\":" \
	"[" challenges "]}"

static void a_directory_gives_its_three_urls(void **state)
{
	(void)state;
	struct acme_directory directory;
	const char json[] =
	    "{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\",\"newOrder\":\"https://ca/o\","
	    "\"meta\":{\"externalAccountRequired\":false},\"surprise\":[1,2]}";
	assert_int_equal(acme_parse_directory(&directory, json, strlen(json), NULL), R_OK);
	assert_string_equal(directory.new_nonce, "https://ca/n");
	assert_string_equal(directory.new_account, "https://ca/a");
	assert_string_equal(directory.new_order, "https://ca/o");
}

static void a_directory_without_a_url_says_which(void **state)
{
	(void)state;
	struct acme_directory directory;
	const char json[] = "{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\"}";
	assert_int_equal(acme_parse_directory(&directory, json, strlen(json), &error), R_INVALID);
	assert_non_null(strstr(error.text, "newOrder"));
}

static void only_clean_https_urls_are_taken(void **state)
{
	(void)state;
	char long_url[ACME_URL_SIZE + 10] = "https://ca/";
	memset(long_url + strlen(long_url), 'a', sizeof long_url - strlen(long_url) - 1);
	assert_false(acme_url_is_safe(long_url));
	long_url[ACME_URL_SIZE - 1] = '\0';
	assert_true(acme_url_is_safe(long_url));
	static const char *const bad[] = {"http://ca/x", "https://", "file:///etc/passwd", "https://ca/\"x",
	    "https://ca/x y", "https://ca/\nx", "https://ca/\\x", "https://c\xc3\xa4/", "HTTPS://ca/", "",
	    "//ca/x"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (acme_url_is_safe(bad[i]))
			fail_msg("taken: %s", bad[i]);
	assert_false(acme_url_is_safe(NULL));
}

static void an_order_is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(
	    read_order(
		"{\"status\":\"valid\",\"authorizations\":[\"https://ca/z1\",\"https://ca/z2\"],"
		"\"finalize\":\"https://ca/f\",\"certificate\":\"https://ca/c\",\"expires\":\"2030\"}"),
	    R_OK);
	assert_int_equal(order.status, ACME_VALID);
	assert_int_equal(order.authorization_count, 2);
	assert_string_equal(order.authorizations[1], "https://ca/z2");
	assert_string_equal(order.finalize, "https://ca/f");
	assert_string_equal(order.certificate, "https://ca/c");
	assert_string_equal(order.problem.type, "");
}

static void an_order_may_have_no_authorizations(void **state)
{
	(void)state;
	assert_int_equal(
	    read_order("{\"status\":\"ready\",\"authorizations\":[],\"finalize\":\"https://ca/f\"}"), R_OK);
	assert_int_equal(order.authorization_count, 0);
	assert_int_equal(read_order("{\"status\":\"ready\",\"finalize\":\"https://ca/f\"}"), R_OK);
	assert_int_equal(order.authorization_count, 0);
	assert_string_equal(order.certificate, "");
}

static void an_orders_error_is_kept(void **state)
{
	(void)state;
	assert_int_equal(
	    read_order("{\"status\":\"invalid\",\"finalize\":\"https://ca/f\",\"error\":"
		       "{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"CAA says\\u000a no\"}}"),
	    R_OK);
	assert_string_equal(order.problem.type, "caa");
	assert_string_equal(order.problem.detail, "CAA says  no");
}

static void a_hostile_order_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *json, *place;
	} cases[] = {
	    {"", "order"},
	    {"[]", "object"},
	    {"null", "order"},
	    {"{\"status\":\"valid\"", "JSON"},
	    {"{\"status\":\"valid\"} trailing", "JSON"},
	    {"{\"finalize\":\"https://ca/f\"}", "status"},
	    {"{\"status\":7,\"finalize\":\"https://ca/f\"}", "status"},
	    {"{\"status\":\"lovely\",\"finalize\":\"https://ca/f\"}", "status"},
	    {"{\"status\":\"ready\"}", "finalize"},
	    {"{\"status\":\"ready\",\"finalize\":\"http://ca/f\"}", "finalize"},
	    {"{\"status\":\"ready\",\"finalize\":[\"https://ca/f\"]}", "finalize"},
	    {"{\"status\":\"ready\",\"finalize\":\"https://ca/f\",\"authorizations\":[1]}", "authorizations"},
	    {"{\"status\":\"ready\",\"finalize\":\"https://ca/f\",\"authorizations\":[\"https://a\",\"https:/"
	     "/a\","
	     "\"https://a\",\"https://a\",\"https://a\"]}",
		"authorizations"},
	    {"{\"status\":\"valid\",\"finalize\":\"https://ca/f\",\"certificate\":\"ftp://ca/c\"}",
		"certificate"},
	    {"{\"status\":\"valid\",\"status\":\"invalid\",\"finalize\":\"https://ca/f\"}", "JSON"},
	    {"{\"status\":\"val\\u0000id\",\"finalize\":\"https://ca/f\"}", "JSON"},
	    {"{\"status\":\"\xff\",\"finalize\":\"https://ca/f\"}", "JSON"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (read_order(cases[i].json) != R_INVALID || !strstr(error.text, cases[i].place))
			fail_msg("%s: %s", cases[i].json, error.text);
	}
}

static void ten_thousand_levels_of_nesting_are_refused(void **state)
{
	(void)state;
	enum { DEPTH = 10000 };
	char *json = malloc(2 * DEPTH + 1);
	memset(json, '[', DEPTH);
	memset(json + DEPTH, ']', DEPTH);
	json[2 * DEPTH] = '\0';
	assert_int_equal(read_order(json), R_INVALID);
	struct acme_problem problem;
	acme_parse_problem(&problem, json, 2 * DEPTH, NULL);
	assert_string_equal(problem.type, "");
	free(json);
}

static void known_challenges_are_read(void **state)
{
	(void)state;
	assert_int_equal(
	    read_authorization(AUTHORIZATION(
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/1\",\"token\":\"tok_1\"},"
		"{\"type\":\"tls-alpn-01\",\"status\":\"invalid\",\"url\":\"https://ca/"
		"2\",\"token\":\"tok-2\","
		"\"error\":{\"type\":\"urn:ietf:params:acme:error:tls\",\"detail\":\"no\"}}")),
	    R_OK);
	assert_string_equal(authorization.name, "a.test");
	assert_false(authorization.wildcard);
	assert_int_equal(authorization.challenge_count, 2);
	assert_int_equal(authorization.challenges[0].type, ACME_HTTP_01);
	assert_string_equal(authorization.challenges[0].token, "tok_1");
	assert_string_equal(authorization.challenges[0].url, "https://ca/1");
	assert_int_equal(authorization.challenges[1].type, ACME_TLS_ALPN_01);
	assert_string_equal(authorization.challenges[1].problem.type, "tls");
}

static void challenges_that_we_cannot_answer_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(
	    read_authorization(AUTHORIZATION(
		"{\"type\":\"dns-persist-01\",\"status\":\"pending\",\"url\":\"https://ca/1\"},"
		"{\"type\":\"dns-account-01\",\"status\":\"pending\",\"url\":\"https://ca/"
		"2\",\"token\":\"t\"},"
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/3\"},"
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/4\",\"token\":\"../../"
		"x\"},"
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/"
		"5\",\"token\":\"a\\r\\nb\"},"
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/6\",\"token\":17},"
		"{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"http://ca/7\",\"token\":\"t\"},"
		"{\"type\":\"http-01\",\"url\":\"https://ca/8\",\"token\":\"t\"},"
		"{\"type\":17,\"status\":\"pending\",\"url\":\"https://ca/9\",\"token\":\"t\"},"
		"null,[],\"http-01\","
		"{\"type\":\"tls-alpn-01\",\"status\":\"pending\",\"url\":\"https://ca/"
		"10\",\"token\":\"good\"}")),
	    R_OK);
	assert_int_equal(authorization.challenge_count, 1);
	assert_string_equal(authorization.challenges[0].token, "good");
}

static void a_challenge_that_comes_twice_is_kept_once(void **state)
{
	(void)state;
#define SAME "{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/1\",\"token\":\"t\"}"
	assert_int_equal(read_authorization(AUTHORIZATION(SAME "," SAME "," SAME)), R_OK);
	assert_int_equal(authorization.challenge_count, 1);
}

static void a_thousand_challenges_do_not_overflow(void **state)
{
	(void)state;
	struct buf json;
	buf_init(&json, 256 * 1024);
	buf_append_string(&json, "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a."
				 "test\"},\"challenges\":[");
	for (int i = 0; i < 1000; i++)
		buf_append_format(&json,
		    "%s{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/"
		    "%d\",\"token\":\"t%d\"}",
		    i ? "," : "", i, i);
	buf_append_string(&json, "]}");
	assert_int_equal(read_authorization(buf_string(&json)), R_OK);
	assert_int_equal(authorization.challenge_count, ACME_CHALLENGES_MAX);
	buf_fini(&json);
}

static void an_authorization_for_something_else_than_a_dns_name_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "{\"status\":\"valid\",\"identifier\":{\"type\":\"ip\",\"value\":\"192.0.2.1\"}}",
	    "{\"status\":\"valid\",\"identifier\":{\"type\":\"dns\"}}",
	    "{\"status\":\"valid\",\"identifier\":\"a.test\"}",
	    "{\"status\":\"valid\"}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(read_authorization(bad[i]), R_INVALID);
		assert_non_null(strstr(error.text, "identifier"));
	}
}

static struct acme_problem problem_of(const char *json)
{
	struct acme_problem problem;
	acme_parse_problem(&problem, json, strlen(json), NULL);
	return problem;
}

static void a_problem_needs_neither_status_nor_detail(void **state)
{
	(void)state;
	struct acme_problem problem = problem_of("{\"type\":\"urn:ietf:params:acme:error:badNonce\"}");
	assert_string_equal(problem.type, "badNonce");
	assert_string_equal(problem.detail, "");
}

static void a_problem_of_another_namespace_has_no_type(void **state)
{
	(void)state;
	assert_string_equal(problem_of("{\"type\":\"about:blank\",\"detail\":\"x\"}").type, "");
	assert_string_equal(problem_of("{\"type\":\"badNonce\"}").type, "");
	assert_string_equal(problem_of("{\"type\":7,\"detail\":[]}").detail, "");
	assert_string_equal(problem_of("<html>503</html>").detail, "");
}

static void a_compound_problem_is_its_first_subproblem(void **state)
{
	(void)state;
	struct acme_problem problem = problem_of(
	    "{\"type\":\"urn:ietf:params:acme:error:compound\",\"detail\":\"several\",\"subproblems\":["
	    "{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"CAA of a.test\"}]}");
	assert_string_equal(problem.type, "caa");
	assert_string_equal(problem.detail, "CAA of a.test");
}

static void a_megabyte_of_detail_is_cut(void **state)
{
	(void)state;
	struct buf json;
	buf_init(&json, 2 * 1024 * 1024);
	buf_append_string(&json, "{\"type\":\"urn:ietf:params:acme:error:");
	for (int i = 0; i < 1000; i++)
		buf_append_string(&json, "dns");
	buf_append_string(&json, "\",\"detail\":\"");
	for (int i = 0; i < 100000; i++)
		buf_append_string(&json, "0123456789");
	buf_append_string(&json, "\"}");
	struct acme_problem problem = problem_of(buf_string(&json));
	assert_int_equal(strlen(problem.detail), FAILURE_DETAIL_MAX);
	assert_int_equal(strlen(problem.type), PROBLEM_TYPE_SIZE - 1);
	buf_fini(&json);
}

static void what_a_directory_offers_beyond_the_least_is_read(void **state)
{
	(void)state;
	struct acme_directory directory;
	static const char json[] =
	    "{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\",\"newOrder\":\"https://ca/o\","
	    "\"keyChange\":\"http://ca/k\",\"revokeCert\":\"https://ca/r\",\"renewalInfo\":\"https://ca/ri\","
	    "\"meta\":{\"externalAccountRequired\":true,\"caaIdentities\":[\"ca.test\",7],"
	    "\"profiles\":{\"classic\":\"https://ca/p\",\"shortlived\":\"https://ca/p\"}}}";
	assert_int_equal(acme_parse_directory(&directory, json, strlen(json), NULL), R_OK);
	assert_string_equal(directory.key_change, "");
	assert_string_equal(directory.revoke_cert, "https://ca/r");
	assert_string_equal(directory.renewal_info, "https://ca/ri");
	assert_true(directory.external_account_required);
	assert_int_equal(directory.caa_identity_count, 1);
	assert_true(acme_directory_has_profile(&directory, "shortlived"));
	assert_false(acme_directory_has_profile(&directory, "short"));
}

static void a_subproblem_is_taken_for_its_own_name_only(void **state)
{
	(void)state;
	static const char json[] =
	    "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"some\",\"subproblems\":["
	    "{\"type\":\"urn:ietf:params:acme:error:caa\",\"identifier\":{\"type\":\"dns\",\"value\":\"b."
	    "test\"}},"
	    "{\"type\":\"urn:ietf:params:acme:error:dns\",\"identifier\":{\"type\":\"dns\",\"value\":\"A."
	    "test\"}}]}";
	struct acme_problem problem;
	acme_parse_problem(&problem, json, strlen(json), "a.test");
	assert_string_equal(problem.type, "dns");
	acme_parse_problem(&problem, json, strlen(json), "c.test");
	assert_string_equal(problem.type, "malformed");
}

static void a_persistent_challenge_needs_issuer_names_and_no_token(void **state)
{
	(void)state;
	assert_int_equal(read_authorization(
			     "{\"status\":\"pending\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},"
			     "\"challenges\":[{\"type\":\"dns-persist-01\",\"status\":\"pending\","
			     "\"url\":\"https://ca/1\"},{\"type\":\"dns-persist-01\",\"status\":\"pending\","
			     "\"url\":\"https://ca/2\",\"issuer-domain-names\":[\"ca.test\",\"ca.example\"]},"
			     "{\"type\":\"http-01\",\"status\":\"pending\",\"url\":\"https://ca/3\"}]}"),
	    R_OK);
	assert_int_equal(authorization.challenge_count, 1);
	assert_int_equal(authorization.challenges[0].type, ACME_DNS_PERSIST_01);
	assert_string_equal(authorization.challenges[0].url, "https://ca/2");
	assert_int_equal(authorization.issuer_names.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_directory_offers_beyond_the_least_is_read),
	    cmocka_unit_test(a_subproblem_is_taken_for_its_own_name_only),
	    cmocka_unit_test(a_persistent_challenge_needs_issuer_names_and_no_token),
	    cmocka_unit_test(a_directory_gives_its_three_urls),
	    cmocka_unit_test(a_directory_without_a_url_says_which),
	    cmocka_unit_test(only_clean_https_urls_are_taken),
	    cmocka_unit_test(an_order_is_read_whole),
	    cmocka_unit_test(an_order_may_have_no_authorizations),
	    cmocka_unit_test(an_orders_error_is_kept),
	    cmocka_unit_test(a_hostile_order_is_refused_with_its_place),
	    cmocka_unit_test(ten_thousand_levels_of_nesting_are_refused),
	    cmocka_unit_test(known_challenges_are_read),
	    cmocka_unit_test(challenges_that_we_cannot_answer_are_left_out),
	    cmocka_unit_test(a_challenge_that_comes_twice_is_kept_once),
	    cmocka_unit_test(a_thousand_challenges_do_not_overflow),
	    cmocka_unit_test(an_authorization_for_something_else_than_a_dns_name_is_refused),
	    cmocka_unit_test(a_problem_needs_neither_status_nor_detail),
	    cmocka_unit_test(a_problem_of_another_namespace_has_no_type),
	    cmocka_unit_test(a_compound_problem_is_its_first_subproblem),
	    cmocka_unit_test(a_megabyte_of_detail_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
