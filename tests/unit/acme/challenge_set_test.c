/* Which challenge is answered: by preference, the next type after a failure, never two at once. */
#include "acme/proof/challenge_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct challenge_context nobody_looks = {.arg = NULL};
static const char account[] = "https://ca.test/account/1";
static const struct challenge_types both = {.list = {ACME_TLS_ALPN_01, ACME_HTTP_01}, .count = 2};

static struct acme_authorization offering(enum acme_challenge_type first, enum acme_challenge_type second)
{
	struct acme_authorization out = {.challenge_count = 2};
	out.challenges[0] = (struct acme_challenge){.type = first, .status = ACME_PENDING};
	out.challenges[1] = (struct acme_challenge){.type = second, .status = ACME_PENDING};
	return out;
}

static struct challenge_question question;

static const struct acme_challenge *choose(const struct acme_authorization *offer,
    const struct challenge_types *types, int attempts, const struct challenge_context *context)
{
	question.types = types;
	question.attempts = attempts;
	question.context = context;
	return challenge_choose(offer, &question);
}

static int ask_anew(void **state)
{
	static const bool all[ACME_CHALLENGE_TYPES] = {true, true, true, true};
	(void)state;
	question =
	    (struct challenge_question){.name = "shop.brand.test", .allowed = all, .account_url = account};
	return 0;
}

static void the_preferred_type_is_taken_whatever_the_cas_order(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_TLS_ALPN_01);
	assert_int_equal(choose(&offer, &both, 0, &nobody_looks)->type, ACME_TLS_ALPN_01);
}

static void after_a_failure_the_next_type_is_tried(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_TLS_ALPN_01);
	assert_int_equal(choose(&offer, &both, 1, &nobody_looks)->type, ACME_HTTP_01);
	assert_int_equal(choose(&offer, &both, 2, &nobody_looks)->type, ACME_TLS_ALPN_01);
}

static void what_the_ca_does_not_offer_is_skipped(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_HTTP_01);
	assert_int_equal(choose(&offer, &both, 0, &nobody_looks)->type, ACME_HTTP_01);
	assert_int_equal(choose(&offer, &both, 1, &nobody_looks)->type, ACME_HTTP_01);
}

static void a_type_that_is_not_set_is_never_taken(void **state)
{
	(void)state;
	const struct challenge_types alpn = {.list = {ACME_TLS_ALPN_01}, .count = 1};
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_HTTP_01);
	assert_null(choose(&offer, &alpn, 0, &nobody_looks));
	struct acme_authorization nothing = {.challenge_count = 0};
	assert_null(choose(&nothing, &both, 5, &nobody_looks));
}

static void a_challenge_under_way_is_gone_on_with(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_TLS_ALPN_01, ACME_HTTP_01);
	offer.challenges[1].status = ACME_PROCESSING;
	assert_int_equal(choose(&offer, &both, 0, &nobody_looks)->type, ACME_HTTP_01);
}

static void types_are_added_by_name_once(void **state)
{
	(void)state;
	struct challenge_types types = {.count = 0};
	struct error error = {0};
	assert_int_equal(challenge_types_add(&types, "http-01", &error), R_OK);
	assert_int_equal(challenge_types_add(&types, "http-01", &error), R_INVALID);
	assert_non_null(strstr(error.text, "twice"));
	assert_int_equal(challenge_types_add(&types, "dns-account-01", &error), R_INVALID);
	assert_non_null(strstr(error.text, "dns-account-01"));
	assert_int_equal(challenge_types_add(&types, "tls-alpn-01", &error), R_OK);
	assert_int_equal(types.count, 2);
	assert_int_equal(types.list[0], ACME_HTTP_01);
}

static bool record_is_seen(
    void *arg, const char *sought, const struct acme_issuer_names *issuers, const char *account_url)
{
	return strcmp(sought, "shop.brand.test") == 0 && issuers->count == 1 &&
	       strcmp(account_url, account) == 0 && *(bool *)arg;
}

static void a_persistent_record_is_used_where_it_is_offered_and_seen(void **state)
{
	(void)state;
	static const struct challenge_types all = {
	    .list = {ACME_DNS_PERSIST_01, ACME_TLS_ALPN_01, ACME_HTTP_01}, .count = 3};
	bool seen = true;
	const struct challenge_context context = {.persist_record_seen = record_is_seen, .arg = &seen};
	struct acme_authorization offer = offering(ACME_TLS_ALPN_01, ACME_DNS_PERSIST_01);
	offer.issuer_names.count = 1;
	strcpy(offer.name, "shop.brand.test");
	assert_int_equal(choose(&offer, &all, 0, &context)->type, ACME_DNS_PERSIST_01);
	assert_int_equal(choose(&offer, &all, 1, &context)->type, ACME_TLS_ALPN_01);
	seen = false;
	assert_int_equal(choose(&offer, &all, 0, &context)->type, ACME_TLS_ALPN_01);
	assert_int_equal(choose(&offer, &all, 0, &nobody_looks)->type, ACME_TLS_ALPN_01);
}

static bool leads_to_us(void *arg, const char *name)
{
	return strcmp(name, arg) == 0;
}

static void a_wildcard_is_proven_by_dns_alone(void **state)
{
	(void)state;
	static const struct challenge_types all = {
	    .list = {ACME_TLS_ALPN_01, ACME_HTTP_01, ACME_DNS_01}, .count = 3};
	char wildcard[] = "*.brand.test";
	const struct challenge_context context = {.is_delegated = leads_to_us, .arg = wildcard};
	struct acme_authorization offer = offering(ACME_TLS_ALPN_01, ACME_DNS_01);
	question.name = wildcard;
	for (int attempts = 0; attempts < 3; attempts++)
		assert_int_equal(choose(&offer, &all, attempts, &context)->type, ACME_DNS_01);
	assert_null(choose(&offer, &both, 0, &context));
	assert_null(choose(&offer, &all, 0, &nobody_looks));
}

static void what_caa_records_do_not_allow_is_not_taken(void **state)
{
	(void)state;
	const bool http_alone[ACME_CHALLENGE_TYPES] = {[ACME_HTTP_01] = true};
	const bool none[ACME_CHALLENGE_TYPES] = {false};
	struct acme_authorization offer = offering(ACME_TLS_ALPN_01, ACME_HTTP_01);
	question.allowed = http_alone;
	assert_int_equal(choose(&offer, &both, 0, &nobody_looks)->type, ACME_HTTP_01);
	assert_int_equal(choose(&offer, &both, 1, &nobody_looks)->type, ACME_HTTP_01);
	question.allowed = none;
	assert_null(choose(&offer, &both, 0, &nobody_looks));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_preferred_type_is_taken_whatever_the_cas_order, ask_anew),
	    cmocka_unit_test_setup(after_a_failure_the_next_type_is_tried, ask_anew),
	    cmocka_unit_test_setup(what_the_ca_does_not_offer_is_skipped, ask_anew),
	    cmocka_unit_test_setup(a_type_that_is_not_set_is_never_taken, ask_anew),
	    cmocka_unit_test_setup(a_challenge_under_way_is_gone_on_with, ask_anew),
	    cmocka_unit_test_setup(types_are_added_by_name_once, ask_anew),
	    cmocka_unit_test_setup(a_persistent_record_is_used_where_it_is_offered_and_seen, ask_anew),
	    cmocka_unit_test_setup(a_wildcard_is_proven_by_dns_alone, ask_anew),
	    cmocka_unit_test_setup(what_caa_records_do_not_allow_is_not_taken, ask_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
