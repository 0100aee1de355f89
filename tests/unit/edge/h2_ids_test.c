#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/front/h2_ids.h"

static void a_number_is_opened_and_then_ended(void **state)
{
	struct h2_ids ids = {0};

	(void)state;
	assert_int_equal(h2_ids_find(&ids, 1), H2_ID_UNKNOWN);
	h2_ids_open(&ids, 1);
	assert_int_equal(h2_ids_find(&ids, 1), H2_ID_OPENED);
	h2_ids_end(&ids, 1);
	assert_int_equal(h2_ids_find(&ids, 1), H2_ID_ENDED);
	assert_int_equal(h2_ids_find(&ids, 3), H2_ID_UNKNOWN);
}

static void what_was_passed_over_is_told_from_its_neighbours(void **state)
{
	struct h2_ids ids = {0};

	(void)state;
	h2_ids_open(&ids, 1);
	h2_ids_open(&ids, 9);
	h2_ids_open(&ids, 11);
	h2_ids_end(&ids, 9);
	for (int32_t id = 3; id < 9; id += 2)
		assert_int_equal(h2_ids_find(&ids, id), H2_ID_PASSED_OVER);
	assert_int_equal(h2_ids_find(&ids, 1), H2_ID_OPENED);
	assert_int_equal(h2_ids_find(&ids, 9), H2_ID_ENDED);
	assert_int_equal(h2_ids_find(&ids, 11), H2_ID_OPENED);
}

static void trailers_open_nothing_anew(void **state)
{
	struct h2_ids ids = {0};

	(void)state;
	h2_ids_open(&ids, 1);
	h2_ids_open(&ids, 5);
	h2_ids_open(&ids, 1);
	h2_ids_open(&ids, 3);
	assert_int_equal(h2_ids_find(&ids, 3), H2_ID_PASSED_OVER);
	assert_int_equal(h2_ids_find(&ids, 5), H2_ID_OPENED);
	h2_ids_end(&ids, 5);
	h2_ids_open(&ids, 5);
	assert_int_equal(h2_ids_find(&ids, 5), H2_ID_ENDED);
}

/* A place that is used again holds nothing of who had it before. */
static void the_oldest_are_forgotten(void **state)
{
	struct h2_ids ids = {0};
	int32_t last = 2 * 1000 - 1;

	(void)state;
	for (int32_t id = 1; id <= last; id += 2) {
		h2_ids_open(&ids, id);
		if (id % 3 == 0)
			h2_ids_end(&ids, id);
	}
	for (int32_t id = 1; id <= last - 2 * H2_IDS; id += 2)
		assert_int_equal(h2_ids_find(&ids, id), H2_ID_UNKNOWN);
	for (int32_t id = last - 2 * H2_IDS + 2; id <= last; id += 2)
		assert_int_equal(h2_ids_find(&ids, id), id % 3 == 0 ? H2_ID_ENDED : H2_ID_OPENED);
	h2_ids_end(&ids, 1);
	assert_int_equal(h2_ids_find(&ids, last), last % 3 == 0 ? H2_ID_ENDED : H2_ID_OPENED);
}

static void a_leap_leaves_nothing_but_what_was_passed_over(void **state)
{
	struct h2_ids ids = {0};

	(void)state;
	for (int32_t id = 1; id < 2 * H2_IDS; id += 2)
		h2_ids_open(&ids, id);
	h2_ids_open(&ids, INT32_MAX);
	assert_int_equal(h2_ids_find(&ids, INT32_MAX), H2_ID_OPENED);
	for (int32_t id = INT32_MAX - 2 * H2_IDS + 2; id < INT32_MAX - 1; id += 2)
		assert_int_equal(h2_ids_find(&ids, id), H2_ID_PASSED_OVER);
	assert_int_equal(h2_ids_find(&ids, 1), H2_ID_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_number_is_opened_and_then_ended),
	    cmocka_unit_test(what_was_passed_over_is_told_from_its_neighbours),
	    cmocka_unit_test(trailers_open_nothing_anew),
	    cmocka_unit_test(the_oldest_are_forgotten),
	    cmocka_unit_test(a_leap_leaves_nothing_but_what_was_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
