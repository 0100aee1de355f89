#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "edge/http/websocket.h"

static bool is_accepted(const char *key, const char *accept)
{
	return websocket_is_accepted(key, http_slice_of(accept));
}

static void the_example_of_rfc_6455_is_accepted(void **state)
{
	(void)state;
	assert_true(is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

static void anything_else_is_not(void **state)
{
	(void)state;
	assert_false(is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "S3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	assert_false(is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"));
	assert_false(is_accepted("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="));
	assert_false(is_accepted("dGhlIHNhbXBsZSBub25jZQ==", ""));
	assert_false(is_accepted("dGhlIHNhbXBsZSBub25jZg==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
}

static void no_key_is_made_twice(void **state)
{
	char one[WEBSOCKET_KEY_SIZE + 1];
	char other[WEBSOCKET_KEY_SIZE + 1];

	(void)state;
	websocket_key_make(one);
	websocket_key_make(other);
	assert_int_equal(strlen(one), WEBSOCKET_KEY_SIZE);
	assert_string_equal(one + WEBSOCKET_KEY_SIZE - 2, "==");
	assert_string_not_equal(one, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_example_of_rfc_6455_is_accepted),
	    cmocka_unit_test(anything_else_is_not),
	    cmocka_unit_test(no_key_is_made_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
