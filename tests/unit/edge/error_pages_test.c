/* The operator's pages: read from the files that the settings name, up to their bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/error_pages.h"

static const struct setting table[] = {ERROR_PAGES_SETTINGS};
static const struct settings_program program = {
    .name = "t", .summary = "x", .table = table, .count = sizeof table / sizeof *table};
static char path[] = "/tmp/error_pages_XXXXXX";

static int setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return remove(path);
}

static void write_file(size_t size)
{
	FILE *file = fopen(path, "w");

	for (size_t i = 0; i < size; i++)
		putc('x', file);
	fclose(file);
}

static enum result load(struct error_pages *pages, int status, struct error *error)
{
	char argument[64];
	char name[] = "t";
	char *argv[] = {name, argument, NULL};
	struct settings *settings = NULL;

	snprintf(argument, sizeof argument, "--error-page-%d=%s", status, path);
	assert_int_equal(settings_load(&settings, &program, 2, argv, error), R_OK);
	enum result result = error_pages_load(pages, settings, error);
	settings_free(settings);
	return result;
}

static void each_status_has_its_page(void **state)
{
	static const int statuses[] = {421, 502, 503, 504};
	struct error_pages pages;

	(void)state;
	write_file(7);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(load(&pages, statuses[i], NULL), R_OK);
		for (int j = 0; j < 4; j++)
			assert_int_equal(error_pages_find(&pages, statuses[j]).size, i == j ? 7 : 0);
		assert_int_equal(error_pages_find(&pages, 404).size, 0);
		error_pages_fini(&pages);
	}
}

static void page_is_read_up_to_its_bound(void **state)
{
	struct error_pages pages;
	struct error error = {{0}};

	(void)state;
	write_file(ERROR_PAGE_MAX);
	assert_int_equal(load(&pages, 503, &error), R_OK);
	assert_int_equal(error_pages_find(&pages, 503).size, ERROR_PAGE_MAX);
	error_pages_fini(&pages);
	write_file(ERROR_PAGE_MAX + 1);
	assert_int_equal(load(&pages, 504, &error), R_LIMIT);
	assert_non_null(strstr(error.text, "error-page-504"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_status_has_its_page),
	    cmocka_unit_test(page_is_read_up_to_its_bound),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
