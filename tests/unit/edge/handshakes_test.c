/* What is kept of each name's handshakes: counts, causes, times; bounded, whoever floods it. */
#include "edge/site/handshakes_internal.h"

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"

#define NAME "shop.brand.test"
/* The end of a second: what happened a moment ago was in it. */
static const int64_t now_ms = 1767225600999;

static void refuse(
    struct handshakes *handshakes, size_t worker, const char *name, const char *cause, int alert)
{
	handshakes_refused(
	    handshakes, worker, name, &(struct handshake_refusal){.cause = cause, .alert = alert});
}

static json_t *told(struct handshakes *handshakes, const char *name)
{
	char *text = handshakes_tell(handshakes, name, now_ms);
	json_t *json = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(json);
	return json;
}

static void counts(struct handshakes *handshakes, const char *name, int full, int resumed, int refusals)
{
	json_t *json = told(handshakes, name);
	assert_int_equal(json_integer_value(json_object_get(json, "full")), full);
	assert_int_equal(json_integer_value(json_object_get(json, "resumed")), resumed);
	assert_int_equal(json_array_size(json_object_get(json, "refusals")), refusals);
	json_decref(json);
}

static void workers_are_told_as_one(void **state)
{
	struct handshakes *handshakes = handshakes_new(2);
	(void)state;
	handshakes_completed(handshakes, 0, NAME, HANDSHAKE_FULL);
	handshakes_completed(handshakes, 1, NAME, HANDSHAKE_FULL);
	handshakes_completed(handshakes, 1, NAME, HANDSHAKE_RESUMED);
	refuse(handshakes, 0, NAME, "suspended", 112);
	refuse(handshakes, 1, NAME, "suspended", 112);
	refuse(handshakes, 1, NAME, "database", 80);
	counts(handshakes, NAME, 2, 1, 2);
	counts(handshakes, "other.brand.test", 0, 0, 0);
	assert_int_equal(handshakes_count(handshakes), 2);
	handshakes_free(handshakes);
}

static void a_time_is_the_same_whenever_it_is_told(void **state)
{
	struct handshake_record record = {.last_ms = 50000, .ends = {1}};
	static const int64_t later[] = {0, 1, 198, 199, 200, 1198, 1199, 60000};
	(void)state;
	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		char *text =
		    handshake_record_json(&record, now_ms - 199 + later[i], record.last_ms + later[i]);
		if (!strstr(text, "\"last_at\":\"2026-01-01T00:00:00Z\""))
			fail_msg("after %d ms: %s", (int)later[i], text);
		free(text);
	}
}

static void cause_comes_with_its_alert_its_count_and_its_time(void **state)
{
	struct handshakes *handshakes = handshakes_new(1);
	json_t *first = NULL, *json = NULL;
	(void)state;
	refuse(handshakes, 0, NAME, "denied", 112);
	refuse(handshakes, 0, NAME, "database", 80);
	refuse(handshakes, 0, NAME, "database", 80);
	json = told(handshakes, NAME);
	assert_true(json_is_null(json_object_get(json, "last_at")));
	first = json_array_get(json_object_get(json, "refusals"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "cause")), "database");
	assert_int_equal(json_integer_value(json_object_get(first, "count")), 2);
	assert_int_equal(json_integer_value(json_object_get(first, "alert")), 80);
	assert_string_equal(json_string_value(json_object_get(first, "last_at")), "2026-01-01T00:00:00Z");
	json_decref(json);
	refuse(handshakes, 0, NAME, "client_left", -1);
	json = told(handshakes, NAME);
	assert_true(
	    json_is_null(json_object_get(json_array_get(json_object_get(json, "refusals"), 0), "alert")));
	json_decref(json);
	handshakes_free(handshakes);
}

static void oldest_cause_makes_room(void **state)
{
	static const char *const causes[] = {"a", "b", "c", "d", "e", "f", "g"};
	struct handshake_record record = {.last_ms = 0};
	(void)state;
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++)
		handshake_record_refuse(
		    &record, &(struct handshake_refusal){.cause = causes[i]}, (int64_t)i + 1);
	assert_string_equal(record.causes[0].cause, "g");
	assert_string_equal(record.causes[HANDSHAKE_CAUSES - 1].cause, "b");
	handshake_record_refuse(&record, &(struct handshake_refusal){.cause = "c"}, 9);
	assert_string_equal(record.causes[0].cause, "c");
	assert_int_equal(record.causes[0].count, 2);
	assert_string_equal(record.causes[1].cause, "g");
}

static void flood_of_strangers_pushes_out_no_name_of_ours(void **state)
{
	struct handshakes *handshakes = handshakes_new(1);
	char name[64];
	(void)state;
	handshakes_completed(handshakes, 0, NAME, HANDSHAKE_FULL);
	refuse(handshakes, 0, "suspended.brand.test", "suspended", 112);
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "junk%d.test", i);
		refuse(handshakes, 0, name, i % 2 ? "denied" : "client_left", 112);
	}
	counts(handshakes, NAME, 1, 0, 0);
	counts(handshakes, "suspended.brand.test", 0, 0, 1);
	counts(handshakes, "junk0.test", 0, 0, 0);
	counts(handshakes, "junk19999.test", 0, 0, 1);
	assert_int_equal(handshakes_count(handshakes), 2 + HANDSHAKES_STRANGERS);
	handshakes_free(handshakes);
}

static void names_of_ours_are_bounded_too(void **state)
{
	struct handshakes *handshakes = handshakes_new(1);
	char name[64];
	(void)state;
	for (int i = 0; i < 2 * HANDSHAKES_OURS; i++) {
		snprintf(name, sizeof name, "n%d.test", i);
		handshakes_completed(handshakes, 0, name, HANDSHAKE_FULL);
		handshakes_completed(handshakes, 0, NAME, HANDSHAKE_FULL);
	}
	assert_int_equal(handshakes_count(handshakes), HANDSHAKES_OURS);
	counts(handshakes, NAME, 2 * HANDSHAKES_OURS, 0, 0);
	/* A stranger that turns out to be ours moves over. */
	refuse(handshakes, 0, "late.test", "denied", 112);
	handshakes_completed(handshakes, 0, "late.test", HANDSHAKE_FULL);
	assert_int_equal(handshakes_count(handshakes), HANDSHAKES_OURS);
	handshakes_free(handshakes);
}

static void nameless_ones_and_no_table_are_let_be(void **state)
{
	struct handshakes *handshakes = handshakes_new(1);
	(void)state;
	refuse(handshakes, 0, "", "bad_name", 112);
	assert_int_equal(handshakes_count(handshakes), 0);
	refuse(NULL, 0, NAME, "denied", 112);
	handshakes_completed(NULL, 0, NAME, HANDSHAKE_FULL);
	handshakes_free(NULL);
	handshakes_free(handshakes);
}

struct racer {
	struct handshakes *handshakes;
	size_t worker;
};

static void *race(void *arg)
{
	const struct racer *racer = arg;
	char name[64];
	for (int i = 0; i < 20000; i++) {
		snprintf(name, sizeof name, "n%d.test", i % 3000);
		handshakes_completed(racer->handshakes, racer->worker, name, HANDSHAKE_FULL);
		refuse(racer->handshakes, racer->worker, name, "denied", 112);
	}
	return NULL;
}

static void who_asks_disturbs_no_worker(void **state)
{
	struct handshakes *handshakes = handshakes_new(2);
	struct racer racers[2] = {{handshakes, 0}, {handshakes, 1}};
	pthread_t threads[2];
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	for (int i = 0; i < 2000; i++)
		free(handshakes_tell(handshakes, "n7.test", now_ms));
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	counts(handshakes, "n7.test", 14, 0, 1);
	handshakes_free(handshakes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(workers_are_told_as_one),
	    cmocka_unit_test(a_time_is_the_same_whenever_it_is_told),
	    cmocka_unit_test(cause_comes_with_its_alert_its_count_and_its_time),
	    cmocka_unit_test(oldest_cause_makes_room),
	    cmocka_unit_test(flood_of_strangers_pushes_out_no_name_of_ours),
	    cmocka_unit_test(names_of_ours_are_bounded_too),
	    cmocka_unit_test(nameless_ones_and_no_table_are_let_be),
	    cmocka_unit_test(who_asks_disturbs_no_worker),
	};
	return cmocka_run_group_tests_name("handshakes", tests, NULL, NULL);
}
