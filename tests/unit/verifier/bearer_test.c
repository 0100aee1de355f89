/* Bearer tokens. */
#include "verifier/http/bearer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/sha.h>

static void token_follows_the_scheme(void **state)
{
	(void)state;
	assert_string_equal(bearer_token("Bearer abc"), "abc");
	assert_string_equal(bearer_token("bearer   abc"), "abc");
	assert_null(bearer_token(NULL));
	assert_null(bearer_token(""));
	assert_null(bearer_token("Basic abc"));
	assert_null(bearer_token("Bearerabc"));
	assert_null(bearer_token("abc"));
}

static void only_the_whole_token_matches(void **state)
{
	(void)state;
	unsigned char hash[CONFIG_HASH];
	SHA256((const unsigned char *)"secret", 6, hash);
	assert_true(bearer_is("secret", hash));
	assert_false(bearer_is("secre", hash));
	assert_false(bearer_is("secret ", hash));
	assert_false(bearer_is("", hash));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(token_follows_the_scheme),
	    cmocka_unit_test(only_the_whole_token_matches),
	};
	return cmocka_run_group_tests_name("bearer", tests, NULL, NULL);
}
