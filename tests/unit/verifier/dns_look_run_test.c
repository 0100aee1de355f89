/* What a thorough look holds is its own. */
#include "verifier/diagnose/dns_look_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/fake_dns.h"

/* The poller's is judged when the job that asked for it is gone. */
static void it_outlives_the_name_that_was_asked_for(void **state)
{
	(void)state;
	const struct look_access access = {.stub_count = 0};
	struct fake_dns *dns = fake_dns_start();
	struct resolver *resolver = NULL;
	struct error error = {""};
	char stub[40], name[] = "empty.test";
	snprintf(stub, sizeof stub, "test=127.0.0.1@%d", dns->port);
	const char *stubs[] = {stub};
	const struct resolver_options options = {.stubs = stubs, .stub_count = 1, .program = "test"};
	if (resolver_new(&resolver, &options, &error) != R_OK)
		fail_msg("%s", error.text);
	struct dns_look *look = dns_look_run(&(struct look_request){.resolver = resolver,
	    .access = &access,
	    .name = name,
	    .txt_name = "_proof.empty.test",
	    .label = "_proof",
	    .target = "edge.test"});
	memset(name, 'x', sizeof name - 1);
	assert_int_equal(look->climb_count, 2);
	assert_string_equal(look->climb[0], "empty.test");
	assert_string_equal(look->climb[1], "test");
	assert_int_equal(look->caa[0].outcome, RESOLVER_NO_DATA);
	dns_look_free(look);
	resolver_free(resolver);
	fake_dns_stop(dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_outlives_the_name_that_was_asked_for)};
	alarm(60);
	return cmocka_run_group_tests_name("dns_look_run", tests, NULL, NULL);
}
