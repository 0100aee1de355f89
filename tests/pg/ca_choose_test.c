/* Which CA a name goes to: the first, until what it has against the name has lasted; and which keys are
 * barred. */
#include "acme/account/ca_choose.h"

#include <openssl/evp.h>
#include <string.h>

#include "acme/ca/jws.h"
#include "common/certificate/barred_key.h"
#include "tests/pg/database.h"

static const char name[] = "shop.brand.test";
static const struct ca_config configs[] = {
    {.directory_url = "https://one.test/dir"}, {.directory_url = "https://two.test/dir"}};

static struct error error;

static struct ca_list make_list(size_t count)
{
	struct ca_list list = {.count = 0};
	for (size_t i = 0; i < count; i++) {
		struct ca *ca = ca_new(&configs[i], NULL);
		ca_list_add(&list, ca, account_new(ca, NULL, 1000));
	}
	return list;
}

static struct job job_at(enum job_step step, const char *directory)
{
	struct job job = {.step = step};
	strcpy(job.name, name);
	strcpy(job.directory, directory);
	return job;
}

static size_t chosen(struct pg *pg, const struct ca_list *list, const struct job *job)
{
	size_t index = 9;
	assert_int_equal(ca_choose(pg, list, job, &index, &error), R_OK);
	return index;
}

/* True: the failure sends the name elsewhere. */
static bool note(struct pg *pg, const struct ca_list *list, size_t index, struct acme_failure failure)
{
	const struct job job = job_at(JOB_NONE, "");
	assert_int_equal(ca_note_failure(pg, list, &job, index, &failure, &error), R_OK);
	return failure.elsewhere;
}

static void trouble_that_lasts_moves_a_name_and_trouble_that_passes_does_not(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct ca_list list = make_list(2);
	const struct job job = job_at(JOB_NONE, "");
	const struct acme_failure down = {.cause = CAUSE_NETWORK};
	const struct acme_failure dns = {.cause = CAUSE_DNS};
	assert_false(note(pg, &list, 0, down));
	assert_false(note(pg, &list, 0, down));
	assert_false(note(pg, &list, 0, dns)); /* the customer's: the count begins anew */
	assert_false(note(pg, &list, 0, down));
	assert_false(note(pg, &list, 0, down));
	assert_int_equal(chosen(pg, &list, &job), 0);
	assert_true(note(pg, &list, 0, down));
	assert_int_equal(chosen(pg, &list, &job), 1);
	ca_list_fini(&list);
}

static void a_far_limit_and_a_caa_record_move_a_name_at_once(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct ca_list list = make_list(2);
	assert_false(note(pg, &list, 0,
	    (struct acme_failure){.cause = CAUSE_RATE_LIMITED, .retry_after = CHOOSE_FAR_S - 1}));
	assert_true(note(
	    pg, &list, 0, (struct acme_failure){.cause = CAUSE_RATE_LIMITED, .retry_after = CHOOSE_FAR_S}));
	/* The second one forbids it too: nowhere to go, so the sooner of both. */
	const struct job job = job_at(JOB_NONE, "");
	assert_false(note(pg, &list, 1, (struct acme_failure){.cause = CAUSE_CAA}));
	assert_int_equal(chosen(pg, &list, &job), 0);
	ca_list_fini(&list);
}

static void our_own_mistake_moves_nothing(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct ca_list list = make_list(2);
	assert_false(note(pg, &list, 0, (struct acme_failure){.cause = CAUSE_REJECTED}));
	assert_false(note(pg, &list, 0, (struct acme_failure){.cause = CAUSE_REJECTED, .type = "badCSR"}));
	assert_true(
	    note(pg, &list, 0, (struct acme_failure){.cause = CAUSE_REJECTED, .type = "rejectedIdentifier"}));
	ca_list_fini(&list);
}

static void an_order_stays_where_it_is_unless_its_ca_is_barred(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct ca_list list = make_list(2);
	const struct job at_second = job_at(JOB_ORDERED, configs[1].directory_url);
	const struct job at_third = job_at(JOB_ORDERED, "https://three.test/dir");
	assert_int_equal(chosen(pg, &list, &at_second), 1);
	assert_int_equal(chosen(pg, &list, &at_third), 0);
	assert_true(note(pg, &list, 1, (struct acme_failure){.cause = CAUSE_CAA}));
	assert_int_equal(chosen(pg, &list, &at_second), 0);
	database_run(admin, "UPDATE ca_trouble SET retry_at = now()");
	assert_int_equal(chosen(pg, &list, &at_second), 1);
	ca_list_fini(&list);
}

static void with_one_ca_nothing_is_remembered(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct ca_list list = make_list(1);
	const struct job job = job_at(JOB_NONE, "");
	assert_false(note(pg, &list, 0, (struct acme_failure){.cause = CAUSE_CAA}));
	assert_int_equal(chosen(pg, &list, &job), 0);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM ca_trouble"), "0");
	ca_list_fini(&list);
}

static void a_barred_key_is_known_again_and_others_are_not(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	EVP_PKEY *bad = jws_key_new();
	EVP_PKEY *good = jws_key_new();
	bool barred = true;
	assert_int_equal(barred_key_check(pg, bad, &barred, &error), R_OK);
	assert_false(barred);
	assert_int_equal(barred_key_add(pg, bad, &error), R_OK);
	assert_int_equal(barred_key_add(pg, bad, &error), R_OK);
	assert_int_equal(barred_key_check(pg, bad, &barred, &error), R_OK);
	assert_true(barred);
	assert_int_equal(barred_key_check(pg, good, &barred, &error), R_OK);
	assert_false(barred);
	EVP_PKEY_free(bad);
	EVP_PKEY_free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(trouble_that_lasts_moves_a_name_and_trouble_that_passes_does_not),
	    database_test(a_far_limit_and_a_caa_record_move_a_name_at_once),
	    database_test(our_own_mistake_moves_nothing),
	    database_test(an_order_stays_where_it_is_unless_its_ca_is_barred),
	    database_test(with_one_ca_nothing_is_remembered),
	    database_test(a_barred_key_is_known_again_and_others_are_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
