/* The label at which a name's validation is answered: the name's own, and its wildcard's. */
#include "common/domain/delegation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_name_has_one_label_for_ever(void **state)
{
	char label[DELEGATION_LABEL + 1];
	(void)state;
	delegation_label(label, "example.com");
	/* printf example.com | sha256sum */
	assert_string_equal(label, "a379a6f6eeafb9a55e378c118034e275");
}

static void a_wildcard_shares_it_with_the_name_below(void **state)
{
	char name[DELEGATION_LABEL + 1];
	char wildcard[DELEGATION_LABEL + 1];
	char deeper[DELEGATION_LABEL + 1];
	(void)state;
	delegation_label(name, "shop.brand.test");
	delegation_label(wildcard, "*.shop.brand.test");
	delegation_label(deeper, "a.shop.brand.test");
	assert_string_equal(name, wildcard);
	assert_string_not_equal(name, deeper);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_has_one_label_for_ever),
	    cmocka_unit_test(a_wildcard_shares_it_with_the_name_below),
	};
	return cmocka_run_group_tests_name("delegation", tests, NULL, NULL);
}
