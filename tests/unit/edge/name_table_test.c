#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "edge/loop/name_table.h"

static void entries_are_found_until_removed(void **state)
{
	enum { COUNT = 500 };
	static char names[COUNT][16];
	static struct name_entry entries[COUNT];
	struct name_table table = {0};

	(void)state;
	assert_null(name_table_find(&table, "n0"));
	for (int i = 0; i < COUNT; i++) {
		snprintf(names[i], sizeof names[i], "n%d", i);
		entries[i].name = names[i];
		name_table_add(&table, &entries[i]);
	}
	for (int i = 0; i < COUNT; i += 2)
		name_table_remove(&table, &entries[i]);
	for (int i = 0; i < COUNT; i++)
		assert_ptr_equal(name_table_find(&table, names[i]), i % 2 ? &entries[i] : NULL);
	assert_null(name_table_find(&table, "n"));
	assert_int_equal(table.count, COUNT / 2);
	name_table_fini(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(entries_are_found_until_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
