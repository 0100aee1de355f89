/* Bodies: an object with known fields, not deep, and an error that says where. */
#include "verifier/http/json_body.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void refused(const char *body, const char *word)
{
	json_t *json = NULL;
	struct error error = {""};
	assert_int_equal(json_body_parse(&json, body, strlen(body), &error), R_INVALID);
	assert_null(json);
	if (!strstr(error.text, word))
		fail_msg("\"%s\" does not say \"%s\"", error.text, word);
}

static void object_is_taken(void **state)
{
	(void)state;
	json_t *json = NULL;
	const char body[] = "{\"name\": \"[{shop\\\"[[[[[[[[[[[[[[[[[[[[\"}";
	assert_int_equal(json_body_parse(&json, body, strlen(body), NULL), R_OK);
	json_decref(json);
}

static void what_is_no_object_is_refused(void **state)
{
	(void)state;
	refused("", "no JSON");
	refused("{", "no JSON");
	refused("{\"a\": 1} x", "no JSON");
	refused("{\"a\": \"\xff\"}", "no JSON");
	refused("{\"a\": \"\\u0000\"}", "no JSON");
	refused("{\"a\": 1, \"a\": 2}", "no JSON");
	refused("[]", "object");
}

static void ten_thousand_levels_are_refused(void **state)
{
	(void)state;
	char body[20001];
	memset(body, '[', sizeof body - 1);
	body[sizeof body - 1] = '\0';
	refused(body, "deep");
	memcpy(body, "{\"a\":", 5);
	refused(body, "deep");
}

static void first_unknown_field_is_named(void **state)
{
	(void)state;
	static const char *const known[] = {"name", "tenant", NULL};
	json_t *json = json_pack("{s:s, s:s}", "name", "a", "tenant", "b");
	assert_null(json_body_unknown_field(json, known));
	json_object_set_new(json, "status", json_string("active"));
	assert_string_equal(json_body_unknown_field(json, known), "status");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(object_is_taken),
	    cmocka_unit_test(what_is_no_object_is_refused),
	    cmocka_unit_test(ten_thousand_levels_are_refused),
	    cmocka_unit_test(first_unknown_field_is_named),
	};
	return cmocka_run_group_tests_name("json_body", tests, NULL, NULL);
}
