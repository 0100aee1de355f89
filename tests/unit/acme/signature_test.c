/* Signatures as receivers check them, against a value that receivers' libraries are tested with. */
#include "acme/webhook/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw in base64. */
static const unsigned char secret[] = {0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4,
    0x3c, 0x3f, 0x08, 0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0};

static void known_message_has_its_known_signature(void **state)
{
	(void)state;
	char signature[SIGNATURE_SIZE];
	signature_make(signature, secret, sizeof secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
	    "{\"test\": 2432232314}");
	assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void every_part_counts(void **state)
{
	(void)state;
	char first[SIGNATURE_SIZE], other[SIGNATURE_SIZE];
	signature_make(first, secret, sizeof secret, "msg_1", 1, "{}");
	signature_make(other, secret, sizeof secret - 1, "msg_1", 1, "{}");
	assert_string_not_equal(first, other);
	signature_make(other, secret, sizeof secret, "msg_2", 1, "{}");
	assert_string_not_equal(first, other);
	signature_make(other, secret, sizeof secret, "msg_1", 2, "{}");
	assert_string_not_equal(first, other);
	signature_make(other, secret, sizeof secret, "msg_1", 1, "");
	assert_string_not_equal(first, other);
	signature_make(other, secret, sizeof secret, "msg_1", 1, "{}");
	assert_string_equal(first, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_message_has_its_known_signature),
	    cmocka_unit_test(every_part_counts),
	};
	return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
