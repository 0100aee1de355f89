/* The resolver against a scripted server: what each answer becomes, that nothing is remembered, that nothing
 * hangs. */
#include "common/dns/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/support/fake_dns.h"

struct bench {
	struct fake_dns *dns;
	struct resolver *resolver;
};

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof *bench);
	bench->dns = fake_dns_start();
	char stub[40];
	snprintf(stub, sizeof stub, "test=127.0.0.1@%d", bench->dns->port);
	const char *stubs[] = {stub};
	struct resolver_options options = {.stubs = stubs, .stub_count = 1, .program = "test"};
	struct error error = {""};
	if (resolver_new(&bench->resolver, &options, &error) != R_OK)
		fail_msg("%s", error.text);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	resolver_free(bench->resolver);
	fake_dns_stop(bench->dns);
	free(bench);
	return 0;
}

static struct resolver_query *start(struct bench *bench, const char *name, enum resolver_type type)
{
	struct resolver_query *query;
	resolver_start(bench->resolver, name, &(struct resolver_question){name, type}, 1, &query);
	return query;
}

static struct resolver_answer look_up(void **state, const char *name, enum resolver_type type)
{
	struct bench *bench = *state;
	struct resolver_answer answer;
	resolver_finish(start(bench, name, type), &answer);
	return answer;
}

static void expect(void **state, const char *name, enum resolver_type type, enum resolver_outcome outcome)
{
	struct resolver_answer answer = look_up(state, name, type);
	if (answer.outcome != outcome)
		fail_msg("%s: outcome %d, not %d; %s", name, answer.outcome, outcome, answer.detail);
	resolver_answer_free(&answer);
}

static void strings_of_a_txt_record_are_joined(void **state)
{
	struct resolver_answer answer = look_up(state, "txt.test", RESOLVER_TXT);
	assert_int_equal(answer.outcome, RESOLVER_FOUND);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.values[0].size, 4);
	assert_memory_equal(answer.values[0].bytes, "abcd", 4);
	resolver_answer_free(&answer);
}

static void any_byte_comes_through(void **state)
{
	struct resolver_answer answer = look_up(state, "binary.test", RESOLVER_TXT);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.values[0].size, 3);
	assert_memory_equal(answer.values[0].bytes, "\0\xff\\", 3);
	resolver_answer_free(&answer);
}

static void addresses_come_as_bytes(void **state)
{
	struct resolver_answer answer = look_up(state, "goal.test", RESOLVER_A);
	assert_int_equal(answer.count, 1);
	assert_memory_equal(answer.values[0].bytes, "\xc0\0\2\1", 4);
	assert_string_equal(answer.canonical, "");
	resolver_answer_free(&answer);
	answer = look_up(state, "goal.test", RESOLVER_AAAA);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.values[0].size, 16);
	resolver_answer_free(&answer);
}

static void alias_tells_where_it_ends(void **state)
{
	struct resolver_answer answer = look_up(state, "alias.test", RESOLVER_A);
	assert_int_equal(answer.outcome, RESOLVER_FOUND);
	assert_string_equal(answer.canonical, "goal.test");
	assert_int_equal(answer.count, 1);
	resolver_answer_free(&answer);
}

static void absence_has_two_kinds(void **state)
{
	expect(state, "none.test", RESOLVER_TXT, RESOLVER_NO_NAME);
	expect(state, "empty.test", RESOLVER_TXT, RESOLVER_NO_DATA);
}

static void failing_servers_are_temporary(void **state)
{
	expect(state, "fail.test", RESOLVER_TXT, RESOLVER_TEMPORARY);
	expect(state, "refused.test", RESOLVER_TXT, RESOLVER_TEMPORARY);
	expect(state, "loop.test", RESOLVER_A, RESOLVER_TEMPORARY);
}

static void impossible_name_is_temporary_not_a_crash(void **state)
{
	char name[400];
	memset(name, 'a', sizeof name);
	name[sizeof name - 1] = '\0';
	expect(state, name, RESOLVER_TXT, RESOLVER_TEMPORARY);
	expect(state, "a..test", RESOLVER_TXT, RESOLVER_TEMPORARY);
}

/* NXDOMAIN was good for an hour. */
static void record_is_seen_as_soon_as_it_is_there(void **state)
{
	struct bench *bench = *state;
	for (int i = 0; i < 3; i++)
		expect(state, "later.test", RESOLVER_TXT, RESOLVER_NO_NAME);
	fake_dns_publish(bench->dns);
	expect(state, "later.test", RESOLVER_TXT, RESOLVER_FOUND);
}

/* The old value was good for an hour. */
static void changed_record_is_seen_at_once(void **state)
{
	struct bench *bench = *state;
	struct resolver_answer answer = look_up(state, "changing.test", RESOLVER_TXT);
	assert_memory_equal(answer.values[0].bytes, "old", 3);
	resolver_answer_free(&answer);
	fake_dns_publish(bench->dns);
	answer = look_up(state, "changing.test", RESOLVER_TXT);
	assert_memory_equal(answer.values[0].bytes, "new", 3);
	resolver_answer_free(&answer);
}

static bool sees_new_value(struct bench *bench, int subject)
{
	char name[40];
	struct resolver_query *query;
	struct resolver_answer answer;
	snprintf(name, sizeof name, "subject%d.test", subject);
	resolver_start(
	    bench->resolver, name, &(struct resolver_question){"changing.test", RESOLVER_TXT}, 1, &query);
	resolver_finish(query, &answer);
	bool seen = answer.count == 1 && memcmp(answer.values[0].bytes, "new", 3) == 0;
	resolver_answer_free(&answer);
	return seen;
}

static void domains_share_what_is_known_for_a_moment_only(void **state)
{
	struct bench *bench = *state;
	int subject = 0;
	assert_false(sees_new_value(bench, subject++));
	fake_dns_publish(bench->dns);
	int64_t start = clock_monotonic_ms();
	while (!sees_new_value(bench, subject++) && clock_monotonic_ms() - start < 10000)
		usleep(10000);
	assert_in_range(clock_monotonic_ms() - start, 0, 5000);
}

/* libunbound itself would remember the failure for five seconds. */
static void mended_server_is_noticed_within_a_second(void **state)
{
	struct bench *bench = *state;
	expect(state, "flaky.test", RESOLVER_TXT, RESOLVER_TEMPORARY);
	fake_dns_publish(bench->dns);
	int64_t start = clock_monotonic_ms();
	enum resolver_outcome outcome;
	do {
		struct resolver_answer answer = look_up(state, "flaky.test", RESOLVER_TXT);
		outcome = answer.outcome;
		resolver_answer_free(&answer);
	} while (outcome == RESOLVER_TEMPORARY && clock_monotonic_ms() - start < 4000);
	assert_int_equal(outcome, RESOLVER_NO_DATA);
}

static void big_answer_comes_whole_by_tcp(void **state)
{
	struct resolver_answer answer = look_up(state, "big.test", RESOLVER_TXT);
	assert_int_equal(answer.outcome, RESOLVER_FOUND);
	assert_in_range(answer.count, 2, FAKE_DNS_BIG + 1);
	bool needle = false;
	for (size_t i = 0; i < answer.count; i++)
		needle = needle ||
			 (answer.values[i].size == 6 && memcmp(answer.values[i].bytes, "needle", 6) == 0);
	assert_true(needle);
	resolver_answer_free(&answer);
}

static void silent_server_is_given_up_in_time(void **state)
{
	int64_t start = clock_monotonic_ms();
	expect(state, "silent.test", RESOLVER_TXT, RESOLVER_TEMPORARY);
	assert_in_range(clock_monotonic_ms() - start, 0, 2 * RESOLVER_DEADLINE_MS - 1);
}

static void fifty_silent_look_ups_delay_no_other(void **state)
{
	enum { SILENT = 50 };
	struct bench *bench = *state;
	struct resolver_query *queries[SILENT];
	for (int i = 0; i < SILENT; i++) {
		char name[40];
		snprintf(name, sizeof name, "silent.%d.test", i);
		queries[i] = start(bench, name, RESOLVER_TXT);
	}
	int64_t start = clock_monotonic_ms();
	expect(state, "txt.test", RESOLVER_TXT, RESOLVER_FOUND);
	assert_in_range(clock_monotonic_ms() - start, 0, RESOLVER_DEADLINE_MS - 1);
	for (int i = 0; i < SILENT; i++) {
		assert_false(resolver_is_done(queries[i]));
		resolver_cancel(queries[i]);
	}
	assert_in_range(clock_monotonic_ms() - start, 0, RESOLVER_DEADLINE_MS - 1);
}

static void waiting_ends_with_the_next_answer_or_a_wake(void **state)
{
	struct bench *bench = *state;
	uint64_t seen = resolver_wait(bench->resolver, 0, 0);
	struct resolver_query *query = start(bench, "txt.test", RESOLVER_TXT);
	uint64_t next = resolver_wait(bench->resolver, seen, 3000);
	assert_int_equal(next, seen + 1);
	assert_true(resolver_is_done(query));
	resolver_wake(bench->resolver);
	assert_int_equal(resolver_wait(bench->resolver, next, 3000), next + 1);
	resolver_cancel(query);
}

static void *look_up_many(void *arg)
{
	static const char *const names[] = {"txt.test", "none.test", "alias.test", "fail.test"};
	struct bench *bench = arg;
	for (int i = 0; i < 50; i++) {
		struct resolver_answer answer;
		resolver_finish(start(bench, names[i % 4], RESOLVER_A), &answer);
		resolver_answer_free(&answer);
	}
	return NULL;
}

static void threads_share_it(void **state)
{
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up_many, *state), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	expect(state, "txt.test", RESOLVER_TXT, RESOLVER_FOUND);
}

static void refused(const struct resolver_options *options, const char *word)
{
	struct resolver *resolver = NULL;
	struct error error = {""};
	assert_int_equal(resolver_new(&resolver, options, &error), R_INVALID);
	if (!strstr(error.text, word))
		fail_msg("\"%s\" does not say \"%s\"", error.text, word);
}

static void wrong_options_are_refused_at_start(void **state)
{
	(void)state;
	const char *const stubs[] = {"test", "test=", "=127.0.0.1@53", "test=localhost"};
	for (size_t i = 0; i < sizeof stubs / sizeof *stubs; i++)
		refused(&(struct resolver_options){.stubs = &stubs[i], .stub_count = 1, .program = "test"},
		    "dns-stub");
	const char *server = "not-an-address";
	refused(&(struct resolver_options){.servers = &server, .server_count = 1}, "dns-servers");
	refused(&(struct resolver_options){.trust_anchor = "/nonexistent/root.key"}, "dns-trust-anchor");
	refused(&(struct resolver_options){.root_hints = "/etc/passwd"}, "dns-root-hints");
}

int main(void)
{
#define bench_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    bench_test(strings_of_a_txt_record_are_joined),
	    bench_test(any_byte_comes_through),
	    bench_test(addresses_come_as_bytes),
	    bench_test(alias_tells_where_it_ends),
	    bench_test(absence_has_two_kinds),
	    bench_test(failing_servers_are_temporary),
	    bench_test(impossible_name_is_temporary_not_a_crash),
	    bench_test(record_is_seen_as_soon_as_it_is_there),
	    bench_test(changed_record_is_seen_at_once),
	    bench_test(domains_share_what_is_known_for_a_moment_only),
	    bench_test(mended_server_is_noticed_within_a_second),
	    bench_test(big_answer_comes_whole_by_tcp),
	    bench_test(silent_server_is_given_up_in_time),
	    bench_test(fifty_silent_look_ups_delay_no_other),
	    bench_test(waiting_ends_with_the_next_answer_or_a_wake),
	    bench_test(threads_share_it),
	    cmocka_unit_test(wrong_options_are_refused_at_start),
	};
	return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
