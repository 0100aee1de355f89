/* When the poller looks thoroughly, and whom it may ask. */
#include "verifier/diagnose/look_due.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "verifier/diagnose/look_access.h"

enum { AGAIN_S = 600 };

static bool due(const char *was, const char *is, bool is_full, bool is_troubled, int age_s, bool is_well)
{
	struct domain_memory memory = {.is_full = is_full, .is_troubled = is_troubled, .age_s = age_s};
	struct domain_verdict verdict = {.txt = is_well ? TXT_VERIFIED : TXT_ABSENT,
	    .routing = is_well ? ROUTING_HERE : ROUTING_ELSEWHERE,
	    .rival = TXT_TEMPORARY};
	strcpy(memory.basis, was);
	strcpy(verdict.basis, is);
	return look_is_due(&memory, &verdict, AGAIN_S);
}

static void trouble_is_looked_at_when_it_is_new(void **state)
{
	(void)state;
	assert_true(due("", "a", false, false, 0, false));
	assert_true(due("b", "a", true, true, 1, false));
	assert_true(due("a", "a", false, true, 1, false));
	assert_false(due("a", "a", true, true, AGAIN_S - 1, false));
	assert_true(due("a", "a", true, true, AGAIN_S, false));
}

static void what_is_well_is_left_to_the_ordinary_check(void **state)
{
	(void)state;
	assert_false(due("a", "a", true, false, 100 * AGAIN_S, true));
	assert_false(due("b", "a", false, false, 100 * AGAIN_S, true));
	/* What was in trouble is looked at once more, and CAA with it. */
	assert_true(due("b", "a", true, true, 1, true));
	assert_true(due("", "a", false, false, 0, true));
	assert_false(due("a", "a", true, true, 1, true));
	assert_true(due("a", "a", true, true, AGAIN_S, true));
}

static void another_owners_record_is_trouble(void **state)
{
	(void)state;
	struct domain_memory memory = {.basis = "a", .is_full = true};
	struct domain_verdict verdict = {
	    .txt = TXT_VERIFIED, .routing = ROUTING_HERE, .rival = TXT_VERIFIED, .basis = "b"};
	assert_true(look_is_due(&memory, &verdict, AGAIN_S));
}

/* ---- whom */

static const struct settings_program program = {
    .name = "test", .table = (const struct setting[]){SETTINGS_OF_THE_RESOLVER}, .count = 4};

static struct look_access access_of(const char *first, const char *second)
{
	char *argv[] = {(char *)"test", (char *)first, (char *)second, NULL};
	struct settings *settings = NULL;
	struct error error = {""};
	struct look_access access;
	if (settings_load(&settings, &program, second ? 3 : first ? 2 : 1, argv, &error) != R_OK)
		fail_msg("%s", error.text);
	look_access_load(&access, settings);
	settings_free(settings);
	return access;
}

static bool may_ask(const struct look_access *access, const char *text)
{
	unsigned char bytes[16];
	struct ask_server server;
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, text, bytes), 1);
	return look_access_allow(access, bytes, family == AF_INET6 ? 16 : 4, &server);
}

static void inner_addresses_are_asked_only_where_the_operator_says_so(void **state)
{
	(void)state;
	struct look_access access = access_of(NULL, NULL);
	assert_true(may_ask(&access, "9.9.9.9") && may_ask(&access, "2620:fe::fe"));
	assert_false(may_ask(&access, "10.0.0.2") || may_ask(&access, "127.0.0.1") ||
		     may_ask(&access, "::1") || may_ask(&access, "169.254.169.254") ||
		     may_ask(&access, "::ffff:10.0.0.2"));
	access = access_of("--dns-servers=10.0.0.2:5353,9.9.9.9:53", NULL);
	assert_true(may_ask(&access, "10.0.0.2"));
	assert_false(may_ask(&access, "10.0.0.3"));
}

static void stubs_are_found_by_the_longest_zone(void **state)
{
	(void)state;
	struct look_access access =
	    access_of("--dns-stub=test=127.0.0.1@5300", "--dns-stub=Brand.test.=127.0.0.2");
	struct ask_server servers[ASK_SERVERS_MAX];
	assert_string_equal(look_access_stub_zone(&access, "shop.brand.test"), "brand.test");
	assert_string_equal(look_access_stub_zone(&access, "brand.test"), "brand.test");
	assert_string_equal(look_access_stub_zone(&access, "mybrand.test"), "test");
	assert_null(look_access_stub_zone(&access, "shop.brand.example"));
	assert_int_equal(look_access_stub_servers(&access, "test", servers), 1);
	assert_int_equal(net_port(&servers[0].address), 5300);
	assert_int_equal(look_access_stub_servers(&access, "brand.test", servers), 1);
	assert_int_equal(net_port(&servers[0].address), 53);
	assert_true(servers[0].may_be_own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(trouble_is_looked_at_when_it_is_new),
	    cmocka_unit_test(what_is_well_is_left_to_the_ordinary_check),
	    cmocka_unit_test(another_owners_record_is_trouble),
	    cmocka_unit_test(inner_addresses_are_asked_only_where_the_operator_says_so),
	    cmocka_unit_test(stubs_are_found_by_the_longest_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
