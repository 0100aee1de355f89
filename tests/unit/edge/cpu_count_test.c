#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "edge/cpu_count.h"

struct root {
	char path[64];
	int allowed;
};

static int setup(void **state)
{
	struct root *root = calloc(1, sizeof *root);
	cpu_set_t set;

	snprintf(root->path, sizeof root->path, "/tmp/cpu_count_XXXXXX");
	assert_non_null(mkdtemp(root->path));
	sched_getaffinity(0, sizeof set, &set);
	root->allowed = CPU_COUNT(&set);
	*state = root;
	return 0;
}

static void path_in(const struct root *root, const char *name, char path[128])
{
	snprintf(path, 128, "%s/%s", root->path, name);
}

static int teardown(void **state)
{
	static const char *const names[] = {"cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"};
	struct root *root = *state;
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		path_in(root, names[i], path);
		unlink(path);
	}
	path_in(root, "cpu", path);
	rmdir(path);
	rmdir(root->path);
	free(root);
	return 0;
}

static void write_file(const struct root *root, const char *name, const char *text)
{
	char path[128];

	path_in(root, name, path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int at_most_allowed(const struct root *root, int count)
{
	return count < root->allowed ? count : root->allowed;
}

static void quota_is_rounded_up(void **state)
{
	struct root *root = *state;

	write_file(root, "cpu.max", "50000 100000\n");
	assert_int_equal(cpu_count(root->path), 1);
	write_file(root, "cpu.max", "110000 100000\n");
	assert_int_equal(cpu_count(root->path), at_most_allowed(root, 2));
	write_file(root, "cpu.max", "100000 100000\n");
	assert_int_equal(cpu_count(root->path), 1);
}

static void no_quota_leaves_all_allowed_cpus(void **state)
{
	struct root *root = *state;

	assert_int_equal(cpu_count(root->path), root->allowed);
	write_file(root, "cpu.max", "max 100000\n");
	assert_int_equal(cpu_count(root->path), root->allowed);
	assert_int_equal(cpu_count("/nowhere"), root->allowed);
}

static void nonsense_counts_as_no_quota(void **state)
{
	static const char *const texts[] = {"", "x y", "-1 100000", "100000 0", "100000", "99999999999999 1"};
	struct root *root = *state;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		write_file(root, "cpu.max", texts[i]);
		assert_int_equal(cpu_count(root->path), root->allowed);
	}
}

static void first_version_of_cgroups_is_read(void **state)
{
	struct root *root = *state;
	char path[128];

	path_in(root, "cpu", path);
	mkdir(path, 0700);
	write_file(root, "cpu/cpu.cfs_quota_us", "100000\n");
	write_file(root, "cpu/cpu.cfs_period_us", "100000\n");
	assert_int_equal(cpu_count(root->path), 1);
	write_file(root, "cpu/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(cpu_count(root->path), root->allowed);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(quota_is_rounded_up),
	    TEST(no_quota_leaves_all_allowed_cpus),
	    TEST(nonsense_counts_as_no_quota),
	    TEST(first_version_of_cgroups_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
