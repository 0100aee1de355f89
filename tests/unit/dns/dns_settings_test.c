/* How programs are told to ask DNS and where customers' names are to lead, and what of it is refused. */
#include "common/dns/dns_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/dns/our_place.h"
#include "tests/support/fake_dns.h"

static const struct setting table[] = {
    SETTINGS_OF_THE_RESOLVER,
    SETTINGS_OF_OUR_PLACE(0),
};
static const struct settings_program program = {
    .name = "test", .summary = "a test", .table = table, .count = sizeof table / sizeof *table};

static struct settings *given(const char *first, const char *second)
{
	struct settings *settings = NULL;
	struct error error = {""};
	const char *argv[] = {"test", first, second, NULL};
	int argc = 1 + (first != NULL) + (second != NULL);
	if (settings_load(&settings, &program, argc, (char **)argv, &error) != R_OK)
		fail_msg("%s", error.text);
	return settings;
}

static void refused(const char *setting, const char *word)
{
	struct settings *settings = given(setting, NULL);
	struct resolver *resolver = NULL;
	struct our_place place;
	struct error error = {""};
	enum result result = our_place_load(&place, settings, &error);
	if (result == R_OK)
		result = dns_settings_resolver(&resolver, settings, "test", &error);
	if (result != R_INVALID || !strstr(error.text, word))
		fail_msg("%s: result %d, \"%s\" does not say \"%s\"", setting, result, error.text, word);
	our_place_fini(&place);
	settings_free(settings);
}

static void wrong_values_are_refused_with_the_name_of_their_setting(void **state)
{
	(void)state;
	refused("--dns-servers=127.0.0.1:nope", "dns-servers");
	refused("--dns-stub=test", "dns-stub");
	refused("--dns-trust-anchor=/nonexistent/root.key", "dns-trust-anchor");
	refused("--saas-root=localhost", "saas-root");
	refused("--cname-target=not a name", "cname-target");
	refused("--apex-addresses=192.0.2.1,192.0.2.999", "apex-addresses");
	char many[(DNS_SERVERS_MAX + 2) * 16] = "--dns-servers=";
	for (int i = 0; i <= DNS_SERVERS_MAX; i++)
		strcat(many, "127.0.0.1:53,");
	refused(many, "at most");
}

static void unset_there_is_no_place_of_ours(void **state)
{
	(void)state;
	struct settings *settings = given(NULL, NULL);
	struct our_place place;
	struct error error = {""};
	assert_int_equal(our_place_load(&place, settings, &error), R_OK);
	assert_null(place.target);
	assert_int_equal(place.apex_count, 0);
	our_place_fini(&place);
	settings_free(settings);
}

static void target_follows_from_the_root(void **state)
{
	(void)state;
	struct settings *settings =
	    given("--saas-root=Acme-SaaS.test", "--apex-addresses=192.0.2.1, 2001:DB8::1");
	struct our_place place;
	struct error error = {""};
	assert_int_equal(our_place_load(&place, settings, &error), R_OK);
	assert_string_equal(place.target, "nlb.acme-saas.test");
	assert_false(our_place_has_tenants(&place));
	assert_int_equal(place.apex_count, 2);
	assert_string_equal(place.apex[1].text, "2001:db8::1");
	our_place_fini(&place);
	settings_free(settings);
}

static void target_may_hold_the_tenant(void **state)
{
	(void)state;
	struct settings *settings = given("--cname-target={tenant}.edge.test", NULL);
	struct our_place place;
	struct error error = {""};
	char target[HOSTNAME_MAX + 1];
	assert_int_equal(our_place_load(&place, settings, &error), R_OK);
	assert_true(our_place_has_tenants(&place));
	our_place_target(&place, "brand-7", target);
	assert_string_equal(target, "brand-7.edge.test");
	our_place_fini(&place);
	settings_free(settings);
}

static struct resolver *resolver_at(const struct fake_dns *dns)
{
	char setting[60];
	struct resolver *resolver = NULL;
	struct error error = {""};
	snprintf(setting, sizeof setting, "--dns-servers=127.0.0.1:%d", dns->port);
	struct settings *settings = given(setting, NULL);
	if (dns_settings_resolver(&resolver, settings, "test", &error) != R_OK)
		fail_msg("%s", error.text);
	settings_free(settings);
	return resolver;
}

static void fixed_resolvers_are_asked(void **state)
{
	(void)state;
	struct fake_dns *dns = fake_dns_start();
	struct resolver *resolver = resolver_at(dns);
	const struct resolver_question questions[] = {{"txt.test", RESOLVER_TXT}, {"goal.test", RESOLVER_A}};
	struct resolver_answer answers[2];
	resolver_ask(resolver, "test", questions, 2, 4000, answers);
	assert_int_equal(answers[0].outcome, RESOLVER_FOUND);
	assert_memory_equal(answers[0].values[0].bytes, "abcd", 4);
	assert_int_equal(answers[1].outcome, RESOLVER_FOUND);
	resolver_answer_free(&answers[0]);
	resolver_answer_free(&answers[1]);
	resolver_free(resolver);
	fake_dns_stop(dns);
}

static void silence_ends_with_the_time_that_the_asker_gave(void **state)
{
	(void)state;
	struct fake_dns *dns = fake_dns_start();
	struct resolver *resolver = resolver_at(dns);
	const struct resolver_question question = {"silent.test", RESOLVER_A};
	struct resolver_answer answer;
	int64_t start = clock_monotonic_ms();
	resolver_ask(resolver, "test", &question, 1, 100, &answer);
	int64_t took = clock_monotonic_ms() - start;
	assert_int_equal(answer.outcome, RESOLVER_TEMPORARY);
	if (took < 100 || took > RESOLVER_DEADLINE_MS / 2)
		fail_msg("took %lld ms, not about 100", (long long)took);
	resolver_answer_free(&answer);
	resolver_free(resolver);
	fake_dns_stop(dns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrong_values_are_refused_with_the_name_of_their_setting),
	    cmocka_unit_test(unset_there_is_no_place_of_ours),
	    cmocka_unit_test(target_follows_from_the_root),
	    cmocka_unit_test(target_may_hold_the_tenant),
	    cmocka_unit_test(fixed_resolvers_are_asked),
	    cmocka_unit_test(silence_ends_with_the_time_that_the_asker_gave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
