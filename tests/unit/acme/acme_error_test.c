/* Problems become causes, causes become delays, and the CA's words become safe to store. */
#include "acme/ca/acme_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MIDDLE = 1000, MINUTE_MS = 60 * 1000, DAY_MS = 24 * 60 * MINUTE_MS };

static struct acme_problem problem(const char *type, const char *detail)
{
	struct acme_problem out = {.type = ""};
	snprintf(out.type, sizeof out.type, "%s", type);
	snprintf(out.detail, sizeof out.detail, "%s", detail);
	return out;
}

static struct acme_failure response(int status, const char *type, int64_t retry_after)
{
	struct acme_failure failure;
	struct acme_problem words = problem(type, "words of the CA");
	acme_failure_of_response(&failure, status, &words, retry_after);
	return failure;
}

static struct acme_failure validation(const char *type)
{
	struct acme_failure failure;
	struct acme_problem words = problem(type, "words of the CA");
	acme_failure_of_validation(&failure, &words);
	return failure;
}

static void a_refused_validation_is_the_customers_side(void **state)
{
	(void)state;
	assert_int_equal(validation("dns").cause, CAUSE_DNS);
	assert_int_equal(validation("connection").cause, CAUSE_CONNECTION);
	assert_int_equal(validation("tls").cause, CAUSE_TLS);
	assert_int_equal(validation("unauthorized").cause, CAUSE_UNAUTHORIZED);
	assert_int_equal(validation("incorrectResponse").cause, CAUSE_UNAUTHORIZED);
	assert_int_equal(validation("caa").cause, CAUSE_CAA);
	assert_int_equal(validation("serverInternal").cause, CAUSE_CA);
	assert_int_equal(validation("malformed").cause, CAUSE_UNAUTHORIZED);
	assert_false(validation("malformed").permanent);
	assert_int_equal(validation("").cause, CAUSE_UNAUTHORIZED);
	assert_false(validation("dns").permanent);
	assert_string_equal(validation("dns").detail, "words of the CA");
}

static void a_refused_request_is_told_apart_from_a_refused_validation(void **state)
{
	(void)state;
	struct acme_failure ours = response(403, "unauthorized", -1);
	assert_int_equal(ours.cause, CAUSE_CA);
	assert_string_equal(ours.type, "unauthorized");
	assert_int_equal(ours.status, 403);
	assert_int_equal(response(403, "caa", -1).cause, CAUSE_CAA);
}

static void what_only_a_person_can_mend_waits_for_tomorrow(void **state)
{
	(void)state;
	static const char *const types[] = {"badCSR", "rejectedIdentifier", "unsupportedIdentifier",
	    "malformed", "externalAccountRequired", "userActionRequired"};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct acme_failure failure = response(400, types[i], -1);
		assert_int_equal(failure.cause, CAUSE_REJECTED);
		assert_true(failure.permanent);
		assert_int_equal(acme_failure_delay_ms(&failure, 1, MIDDLE), DAY_MS);
	}
}

static void a_server_error_is_the_cas_whatever_its_words(void **state)
{
	(void)state;
	assert_int_equal(response(500, "malformed", -1).cause, CAUSE_CA);
	assert_false(response(500, "malformed", -1).permanent);
	assert_int_equal(response(503, "", 120).cause, CAUSE_CA);
	assert_int_equal(response(503, "rateLimited", 120).cause, CAUSE_RATE_LIMITED);
	assert_int_equal(response(504, "dns", -1).cause, CAUSE_CA);
}

static void a_limit_is_known_by_its_type_or_status(void **state)
{
	(void)state;
	assert_int_equal(response(429, "rateLimited", 60).cause, CAUSE_RATE_LIMITED);
	assert_int_equal(response(429, "", -1).cause, CAUSE_RATE_LIMITED);
	assert_int_equal(response(429, "rateLimited", 60).retry_after, 60);
	assert_int_equal(response(429, "rateLimited", -1).retry_after, 0);
}

static void a_paused_name_waits_for_a_person(void **state)
{
	(void)state;
	/* What the operator must open is kept whole. */
	char token[600];
	struct acme_problem problem = {.type = "rateLimited"};
	struct acme_failure failure;
	memset(token, 't', sizeof token - 1);
	token[sizeof token - 1] = '\0';
	snprintf(problem.detail, sizeof problem.detail,
	    "Your account is temporarily prevented from requesting certificates for shop.client-brand.com "
	    "and possibly others. "
	    "Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=%s",
	    token);
	acme_failure_of_response(&failure, 429, &problem, -1);
	assert_int_equal(failure.cause, CAUSE_REJECTED);
	assert_true(failure.permanent);
	assert_non_null(strstr(failure.detail, token));
	assert_string_equal(acme_cause_actor(failure.cause), "operator");
	/* With a time it is a limit like any other. */
	acme_failure_of_response(&failure, 429, &problem, 60);
	assert_int_equal(failure.cause, CAUSE_RATE_LIMITED);
}

static void an_unknown_problem_says_nothing_about_the_name(void **state)
{
	(void)state;
	struct acme_failure failure = response(418, "", -1);
	assert_int_equal(failure.cause, CAUSE_CA);
	assert_false(failure.permanent);
	struct acme_problem silent = problem("", "");
	acme_failure_of_response(&failure, 418, &silent, -1);
	assert_non_null(strstr(failure.detail, "418"));
	silent = problem("orderNotReady", "");
	acme_failure_of_response(&failure, 403, &silent, -1);
	assert_non_null(strstr(failure.detail, "orderNotReady"));
}

static void the_customers_ladder_is_1_10_100_minutes_then_daily(void **state)
{
	(void)state;
	struct acme_failure failure = validation("dns");
	assert_int_equal(acme_failure_delay_ms(&failure, 1, MIDDLE), MINUTE_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 2, MIDDLE), 10 * MINUTE_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 3, MIDDLE), 100 * MINUTE_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 4, MIDDLE), DAY_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 1000000, MIDDLE), DAY_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 0, MIDDLE), MINUTE_MS);
}

static void a_ca_that_is_down_is_tried_again_within_seconds(void **state)
{
	(void)state;
	struct acme_failure failure;
	acme_failure_set(&failure, CAUSE_NETWORK, "connection refused");
	assert_int_equal(acme_failure_delay_ms(&failure, 1, MIDDLE), 5000);
	assert_int_equal(acme_failure_delay_ms(&failure, 2, MIDDLE), 15000);
	assert_int_equal(acme_failure_delay_ms(&failure, 3, MIDDLE), MINUTE_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 4, MIDDLE), 5 * MINUTE_MS);
	assert_int_equal(acme_failure_delay_ms(&failure, 99, MIDDLE), 120 * MINUTE_MS);
}

static void the_jitter_is_ten_percent_either_way(void **state)
{
	(void)state;
	struct acme_failure failure = validation("dns");
	int64_t least = DAY_MS;
	int64_t most = 0;
	for (uint32_t random = 0; random < 2001; random++) {
		int64_t delay = acme_failure_delay_ms(&failure, 2, random * 2001u + random);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
	}
	assert_int_equal(least, 9 * MINUTE_MS);
	assert_int_equal(most, 11 * MINUTE_MS);
}

static void retry_after_is_obeyed_and_never_undercut(void **state)
{
	(void)state;
	struct acme_failure limited = response(429, "rateLimited", 3);
	for (uint32_t random = 0; random < 5000; random += 7) {
		int64_t delay = acme_failure_delay_ms(&limited, 4, random);
		assert_in_range(delay, 3000, 3300);
	}
	struct acme_failure busy = response(503, "", 600);
	assert_in_range(acme_failure_delay_ms(&busy, 1, 0), 600 * 1000, 660 * 1000);
	busy = response(503, "", 1);
	assert_int_equal(acme_failure_delay_ms(&busy, 2, MIDDLE), 15000);
}

static void retry_after_comes_as_seconds_or_as_a_date(void **state)
{
	(void)state;
	int64_t now = 1445412480; /* Wed, 21 Oct 2015 07:28:00 GMT */
	assert_int_equal(acme_parse_retry_after("120", now), 120);
	assert_int_equal(acme_parse_retry_after("  120 ", now), 120);
	assert_int_equal(acme_parse_retry_after("0", now), 0);
	assert_int_equal(acme_parse_retry_after("Wed, 21 Oct 2015 07:30:00 GMT", now), 120);
	assert_int_equal(acme_parse_retry_after("Wednesday, 21-Oct-15 07:30:00 GMT", now), 120);
	assert_int_equal(acme_parse_retry_after("Wed Oct 21 07:30:00 2015", now), 120);
}

static void retry_after_is_clamped_to_a_day(void **state)
{
	(void)state;
	int64_t now = 1445412480;
	assert_int_equal(acme_parse_retry_after("315360000", now), RETRY_AFTER_MAX);
	assert_int_equal(acme_parse_retry_after("99999999999999999999999999999", now), RETRY_AFTER_MAX);
	assert_int_equal(acme_parse_retry_after("Wed, 21 Oct 2025 07:28:00 GMT", now), RETRY_AFTER_MAX);
	assert_int_equal(acme_parse_retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), 0);
}

static void nonsense_in_retry_after_counts_as_absent(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "", " ", "soon", "-5", "+5", "1.5", "5s", "12 34", "0x10", ";", "\xff"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (acme_parse_retry_after(bad[i], 1445412480) != -1)
			fail_msg("taken for a time: `%s`", bad[i]);
}

static void a_dead_order_is_told_from_one_that_may_go_on(void **state)
{
	(void)state;
	assert_true(acme_cause_ends_order(CAUSE_UNAUTHORIZED));
	assert_true(acme_cause_ends_order(CAUSE_REJECTED));
	assert_true(acme_cause_ends_order(CAUSE_CERTIFICATE));
	assert_false(acme_cause_ends_order(CAUSE_NETWORK));
	assert_false(acme_cause_ends_order(CAUSE_CA));
	assert_false(acme_cause_ends_order(CAUSE_RATE_LIMITED));
	for (int cause = 0; cause < CAUSE_COUNT; cause++)
		assert_non_null(acme_cause_name((enum acme_cause)cause));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_refused_validation_is_the_customers_side),
	    cmocka_unit_test(a_refused_request_is_told_apart_from_a_refused_validation),
	    cmocka_unit_test(what_only_a_person_can_mend_waits_for_tomorrow),
	    cmocka_unit_test(a_server_error_is_the_cas_whatever_its_words),
	    cmocka_unit_test(a_limit_is_known_by_its_type_or_status),
	    cmocka_unit_test(a_paused_name_waits_for_a_person),
	    cmocka_unit_test(an_unknown_problem_says_nothing_about_the_name),
	    cmocka_unit_test(the_customers_ladder_is_1_10_100_minutes_then_daily),
	    cmocka_unit_test(a_ca_that_is_down_is_tried_again_within_seconds),
	    cmocka_unit_test(the_jitter_is_ten_percent_either_way),
	    cmocka_unit_test(retry_after_is_obeyed_and_never_undercut),
	    cmocka_unit_test(retry_after_comes_as_seconds_or_as_a_date),
	    cmocka_unit_test(retry_after_is_clamped_to_a_day),
	    cmocka_unit_test(nonsense_in_retry_after_counts_as_absent),
	    cmocka_unit_test(a_dead_order_is_told_from_one_that_may_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
