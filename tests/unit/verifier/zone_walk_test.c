/* Which name servers of a stranger's zone are to be asked. None is: only their names are looked up. */
#include "verifier/diagnose/zone_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/support/fake_dns.h"

enum { PATIENCE_MS = 20000, SERVERS = 5 };

static void a_machine_of_several_names_is_asked_once(void **state)
{
	(void)state;
	static const char *const names[SERVERS] = {
	    "public.test", "goal.test", "public.one.test", "none.test", "public.two.test"};
	static const char *const level = "shop.brand";
	struct resolver_value values[SERVERS];
	const struct resolver_answer servers = {
	    .outcome = RESOLVER_FOUND, .values = values, .count = SERVERS};
	const struct look_access access = {.stub_count = 0};
	struct fake_dns *dns = fake_dns_start();
	struct dns_look *look = calloc(1, sizeof *look);
	struct error error = {""};
	char stub[40];
	snprintf(stub, sizeof stub, "test=127.0.0.1@%d", dns->port);
	const char *stubs[] = {stub};
	const struct resolver_options options = {.stubs = stubs, .stub_count = 1, .program = "test"};
	struct zone_walk walk = {.access = &access,
	    .name = level,
	    .subject = "zone_walk_test",
	    .deadline_ms = clock_monotonic_ms() + PATIENCE_MS};
	if (resolver_new(&walk.resolver, &options, &error) != R_OK)
		fail_msg("%s", error.text);
	for (size_t i = 0; i < SERVERS; i++)
		values[i] = (struct resolver_value){(unsigned char *)names[i], strlen(names[i])};
	zone_walk(&walk, &level, &servers, 1, look);
	assert_int_equal(look->server_count, SERVERS);
	assert_int_equal(walk.target_count, 1);
	for (size_t i = 0; i < SERVERS; i++) {
		assert_string_equal(look->servers[i].name, names[i]);
		assert_int_equal(walk.target_of[i], i % 2 == 0 ? 1 : 0);
	}
	assert_string_equal(look->servers[4].address, "9.9.9.9");
	assert_int_equal(look->servers[1].standing, SERVER_PRIVATE);
	assert_string_equal(look->servers[3].address, "");
	dns_look_free(look);
	resolver_free(walk.resolver);
	fake_dns_stop(dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_machine_of_several_names_is_asked_once)};
	alarm(60);
	return cmocka_run_group_tests_name("zone_walk", tests, NULL, NULL);
}
