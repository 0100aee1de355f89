/* Renewal information: the id of RFC 9773's own example, windows good and bad, and a moment that stays. */
#include "acme/ca/ari.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 9773 appendix A. */
static const char rfc_certificate[] = "-----BEGIN CERTIFICATE-----\n"
				      "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
				      "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
				      "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
				      "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
				      "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
				      "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
				      "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
				      "-----END CERTIFICATE-----\n";

static enum result read_window(struct ari_plan *plan, const char *json, uint32_t random)
{
	struct error error = {0};
	return ari_read(plan, json, strlen(json), random, &error);
}

static void the_id_is_the_rfcs(void **state)
{
	(void)state;
	char id[ARI_CERT_ID_SIZE];
	assert_int_equal(ari_cert_id(id, rfc_certificate, NULL), R_OK);
	assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
}

static void what_is_no_certificate_has_no_id(void **state)
{
	(void)state;
	char id[ARI_CERT_ID_SIZE];
	struct error error = {0};
	assert_int_equal(ari_cert_id(id, "", &error), R_INVALID);
	assert_int_equal(
	    ari_cert_id(id, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &error),
	    R_INVALID);
}

static void a_moment_of_the_window_is_chosen_and_kept_while_it_stands(void **state)
{
	(void)state;
	static const char json[] =
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T04:00:00Z\","
	    "\"end\":\"2026-11-23T05:00:00.5Z\"},\"explanationURL\":\"https://ca.test/why\"}";
	struct ari_plan plan = {.start = 0};
	assert_int_equal(read_window(&plan, json, UINT32_MAX), R_OK);
	assert_int_equal(plan.end - plan.start, 3600);
	assert_in_range(plan.selected, plan.start + 3599, plan.end - 1);
	assert_string_equal(plan.explanation, "https://ca.test/why");
	int64_t selected = plan.selected;
	assert_int_equal(read_window(&plan, json, 0), R_OK);
	assert_int_equal(plan.selected, selected);
	assert_int_equal(read_window(&plan,
			     "{\"suggestedWindow\":{\"start\":\"2026-11-20T04:00:00+01:00\","
			     "\"end\":\"2026-11-20T05:00:00+01:00\"}}",
			     0),
	    R_OK);
	assert_int_equal(plan.selected, plan.start);
	assert_int_equal(plan.start, selected / 3600 * 3600 - 3 * 86400 - 3600);
}

static void a_window_that_is_none_changes_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "[]",
	    "{}",
	    "{\"suggestedWindow\":[]}",
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T04:00:00Z\"}}",
	    "{\"suggestedWindow\":{\"start\":1,\"end\":2}}",
	    "{\"suggestedWindow\":{\"start\":\"yesterday\",\"end\":\"2026-11-23T04:00:00Z\"}}",
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T04:00:00\",\"end\":\"2026-11-23T05:00:00\"}}",
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T05:00:00Z\",\"end\":\"2026-11-23T04:00:00Z\"}}",
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T04:00:00Z\",\"end\":\"2026-11-23T04:00:00Z\"}}",
	    "{\"suggestedWindow\":{\"start\":\"2026-11-23T04:00:00+1\",\"end\":\"2026-11-23T05:00:00+1\"}}",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ari_plan plan = {.start = 10, .end = 20, .selected = 15};
		if (read_window(&plan, bad[i], 0) != R_INVALID)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(plan.start + plan.end + plan.selected, 45);
	}
}

static void the_next_question_is_not_sooner_than_a_minute_nor_later_than_a_day(void **state)
{
	(void)state;
	assert_int_equal(ari_ask_again_s(-1), ARI_ASK_S);
	assert_int_equal(ari_ask_again_s(0), 60);
	assert_int_equal(ari_ask_again_s(21600), 21600);
	assert_int_equal(ari_ask_again_s(10 * 365 * 86400), 86400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_id_is_the_rfcs),
	    cmocka_unit_test(what_is_no_certificate_has_no_id),
	    cmocka_unit_test(a_moment_of_the_window_is_chosen_and_kept_while_it_stands),
	    cmocka_unit_test(a_window_that_is_none_changes_nothing),
	    cmocka_unit_test(the_next_question_is_not_sooner_than_a_minute_nor_later_than_a_day),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
