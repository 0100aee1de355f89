/* A name points here by its CNAME or by its addresses; a left-over AAAA leads away; no answer is no verdict.
 */
#include "common/dns/routing_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#define TARGET "nlb.acme-saas.test"

enum { ADDRESSES_MAX = 4 };

/* The addresses of one name and type; freed by nobody: static storage of a test. */
struct addresses {
	unsigned char bytes[ADDRESSES_MAX][16];
	struct resolver_value values[ADDRESSES_MAX];
	size_t count;
};

static struct resolver_answer found(struct addresses *addresses, const char *text)
{
	size_t i = addresses->count++;
	bool ipv6 = strchr(text, ':');
	assert_int_equal(inet_pton(ipv6 ? AF_INET6 : AF_INET, text, addresses->bytes[i]), 1);
	addresses->values[i] = (struct resolver_value){addresses->bytes[i], ipv6 ? 16 : 4};
	return (struct resolver_answer){
	    .outcome = RESOLVER_FOUND, .values = addresses->values, .count = addresses->count};
}

static const struct resolver_answer nothing = {.outcome = RESOLVER_NO_DATA};
static const struct resolver_answer silence = {.outcome = RESOLVER_TEMPORARY};

static struct routing_facts no_facts(void)
{
	return (struct routing_facts){.target = TARGET,
	    .name_a = nothing,
	    .name_aaaa = nothing,
	    .target_a = nothing,
	    .target_aaaa = nothing};
}

static enum routing judge(const struct routing_facts *facts, const char *word)
{
	char note[300] = "";
	enum routing routing = routing_check(facts, note, sizeof note);
	if (!strstr(note, word))
		fail_msg("\"%s\" does not say \"%s\"", note, word);
	return routing;
}

static void cname_to_the_target_points_here(void **state)
{
	(void)state;
	struct routing_facts facts = no_facts();
	snprintf(facts.name_a.canonical, sizeof facts.name_a.canonical, TARGET);
	assert_int_equal(judge(&facts, "points here"), ROUTING_HERE);
}

/* cname-target is an alias of the load balancer's name itself. */
static void cname_through_the_target_points_here(void **state)
{
	(void)state;
	struct routing_facts facts = no_facts();
	snprintf(facts.name_a.canonical, sizeof facts.name_a.canonical, "nlb-1.elb.example");
	snprintf(facts.target_a.canonical, sizeof facts.target_a.canonical, "nlb-1.elb.example");
	assert_int_equal(judge(&facts, "points here"), ROUTING_HERE);
}

static void cname_to_somebody_else_points_elsewhere(void **state)
{
	(void)state;
	struct addresses a = {.count = 0}, b = {.count = 0};
	struct routing_facts facts = no_facts();
	facts.name_a = found(&a, "198.51.100.7");
	facts.target_a = found(&b, "192.0.2.1");
	snprintf(facts.name_a.canonical, sizeof facts.name_a.canonical, "shops.other.example");
	assert_int_equal(judge(&facts, "198.51.100.7"), ROUTING_ELSEWHERE);
}

static void address_of_the_target_points_here(void **state)
{
	(void)state;
	struct addresses a = {.count = 0}, b = {.count = 0};
	struct routing_facts facts = no_facts();
	facts.name_a = found(&a, "192.0.2.1");
	found(&b, "192.0.2.9");
	facts.target_a = found(&b, "192.0.2.1");
	assert_int_equal(judge(&facts, "points here"), ROUTING_HERE);
}

static void apex_address_points_here(void **state)
{
	(void)state;
	struct addresses a = {.count = 0};
	struct our_address apex = {.bytes = {192, 0, 2, 5}, .size = 4};
	struct routing_facts facts = no_facts();
	facts.name_a = found(&a, "192.0.2.5");
	facts.apex = &apex;
	facts.apex_count = 1;
	assert_int_equal(judge(&facts, "points here"), ROUTING_HERE);
}

static void left_over_aaaa_leads_elsewhere(void **state)
{
	(void)state;
	struct addresses a = {.count = 0}, b = {.count = 0}, c = {.count = 0};
	struct routing_facts facts = no_facts();
	facts.name_a = found(&a, "192.0.2.1");
	facts.target_a = found(&b, "192.0.2.1");
	facts.name_aaaa = found(&c, "2001:db8::99");
	assert_int_equal(judge(&facts, "2001:db8::99"), ROUTING_ELSEWHERE);
}

static void second_a_is_mentioned(void **state)
{
	(void)state;
	struct addresses a = {.count = 0}, b = {.count = 0};
	struct routing_facts facts = no_facts();
	found(&a, "192.0.2.1");
	facts.name_a = found(&a, "198.51.100.7");
	facts.target_a = found(&b, "192.0.2.1");
	assert_int_equal(judge(&facts, "198.51.100.7"), ROUTING_HERE);
}

static void no_address_is_elsewhere(void **state)
{
	(void)state;
	struct routing_facts facts = no_facts();
	assert_int_equal(judge(&facts, "no address"), ROUTING_ELSEWHERE);
}

static void silence_about_the_name_is_no_verdict(void **state)
{
	(void)state;
	struct addresses b = {.count = 0};
	struct routing_facts facts = no_facts();
	facts.target_a = found(&b, "192.0.2.1");
	facts.name_aaaa = silence;
	assert_int_equal(judge(&facts, "could not be looked up"), ROUTING_UNKNOWN);
	facts.name_aaaa = nothing;
	facts.name_a.outcome = RESOLVER_BOGUS;
	assert_int_equal(judge(&facts, "could not be looked up"), ROUTING_UNKNOWN);
}

static void silence_about_our_own_address_is_no_verdict(void **state)
{
	(void)state;
	struct addresses a = {.count = 0};
	struct routing_facts facts = no_facts();
	facts.name_a = found(&a, "192.0.2.1");
	facts.target_a = silence;
	assert_int_equal(judge(&facts, TARGET), ROUTING_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cname_to_the_target_points_here),
	    cmocka_unit_test(cname_through_the_target_points_here),
	    cmocka_unit_test(cname_to_somebody_else_points_elsewhere),
	    cmocka_unit_test(address_of_the_target_points_here),
	    cmocka_unit_test(apex_address_points_here),
	    cmocka_unit_test(left_over_aaaa_leads_elsewhere),
	    cmocka_unit_test(second_a_is_mentioned),
	    cmocka_unit_test(no_address_is_elsewhere),
	    cmocka_unit_test(silence_about_the_name_is_no_verdict),
	    cmocka_unit_test(silence_about_our_own_address_is_no_verdict),
	};
	return cmocka_run_group_tests_name("routing_check", tests, NULL, NULL);
}
