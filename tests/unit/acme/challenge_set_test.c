/* Which challenge is answered: by preference, the next type after a failure, never two at once. */
#include "acme/challenge_set.h"

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

static void the_preferred_type_is_taken_whatever_the_cas_order(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_TLS_ALPN_01);
	assert_int_equal(challenge_choose(&offer, &both, 0, &nobody_looks, account)->type, ACME_TLS_ALPN_01);
}

static void after_a_failure_the_next_type_is_tried(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_TLS_ALPN_01);
	assert_int_equal(challenge_choose(&offer, &both, 1, &nobody_looks, account)->type, ACME_HTTP_01);
	assert_int_equal(challenge_choose(&offer, &both, 2, &nobody_looks, account)->type, ACME_TLS_ALPN_01);
}

static void what_the_ca_does_not_offer_is_skipped(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_HTTP_01);
	assert_int_equal(challenge_choose(&offer, &both, 0, &nobody_looks, account)->type, ACME_HTTP_01);
	assert_int_equal(challenge_choose(&offer, &both, 1, &nobody_looks, account)->type, ACME_HTTP_01);
}

static void a_type_that_is_not_set_is_never_taken(void **state)
{
	(void)state;
	const struct challenge_types alpn = {.list = {ACME_TLS_ALPN_01}, .count = 1};
	struct acme_authorization offer = offering(ACME_HTTP_01, ACME_HTTP_01);
	assert_null(challenge_choose(&offer, &alpn, 0, &nobody_looks, account));
	struct acme_authorization nothing = {.challenge_count = 0};
	assert_null(challenge_choose(&nothing, &both, 5, &nobody_looks, account));
}

static void a_challenge_under_way_is_gone_on_with(void **state)
{
	(void)state;
	struct acme_authorization offer = offering(ACME_TLS_ALPN_01, ACME_HTTP_01);
	offer.challenges[1].status = ACME_PROCESSING;
	assert_int_equal(challenge_choose(&offer, &both, 0, &nobody_looks, account)->type, ACME_HTTP_01);
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
	assert_int_equal(challenge_choose(&offer, &all, 0, &context, account)->type, ACME_DNS_PERSIST_01);
	assert_int_equal(challenge_choose(&offer, &all, 1, &context, account)->type, ACME_TLS_ALPN_01);
	seen = false;
	assert_int_equal(challenge_choose(&offer, &all, 0, &context, account)->type, ACME_TLS_ALPN_01);
	assert_int_equal(challenge_choose(&offer, &all, 0, &nobody_looks, account)->type, ACME_TLS_ALPN_01);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_preferred_type_is_taken_whatever_the_cas_order),
	    cmocka_unit_test(after_a_failure_the_next_type_is_tried),
	    cmocka_unit_test(what_the_ca_does_not_offer_is_skipped),
	    cmocka_unit_test(a_type_that_is_not_set_is_never_taken),
	    cmocka_unit_test(a_challenge_under_way_is_gone_on_with),
	    cmocka_unit_test(types_are_added_by_name_once),
	    cmocka_unit_test(a_persistent_record_is_used_where_it_is_offered_and_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
