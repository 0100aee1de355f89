/* Settings read again while the program runs: what may change changes, what may not keeps its value and is
 * named. */
#include "common/settings/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct setting table[] = {
    {"config", SETTING_FILE, 0, NULL, "File.", NULL, 0, 0},
    {"database", SETTING_STRING, SETTING_REQUIRED, NULL, "Database.", NULL, 0, 0},
    {"database-file", SETTING_FILE, 0, NULL, "Its file.", NULL, 0, 0},
    {"workers", SETTING_INTEGER, 0, "2", "Threads.", NULL, 0, 64},
    {"wait", SETTING_DURATION, SETTING_RELOAD, "30s", "Wait.", NULL, 100, 300000},
    {"upstream", SETTING_URL, SETTING_REPEAT | SETTING_RELOAD, NULL, "App tier.", NULL, 0, 0},
    {"token", SETTING_STRING, SETTING_SECRET | SETTING_RELOAD, NULL, "A secret.", NULL, 0, 0},
    {"token-file", SETTING_FILE, SETTING_RELOAD, NULL, "Its file.", NULL, 0, 0},
};

static const struct settings_program program = {
    .name = "postern-test",
    .summary = "reloads",
    .table = table,
    .count = sizeof table / sizeof *table,
    .reloads = true,
};

static char folder[32], config[64], secret[64], config_option[96];
static char name[] = "program", *argv[] = {name, config_option, NULL};
static struct settings *running, *fresh;
static struct error problem;
static char kept[256];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void remember(const char *setting)
{
	strcat(strcat(kept, setting), " ");
}

static enum result reload(const char *lines)
{
	write_file(config, lines);
	kept[0] = problem.text[0] = '\0';
	settings_free(fresh);
	return settings_load_again(&fresh, running, 2, argv, remember, &problem);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/settings_reload.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	clearenv();
	snprintf(config, sizeof config, "%s/postern.conf", folder);
	snprintf(secret, sizeof secret, "%s/secret", folder);
	snprintf(config_option, sizeof config_option, "--config=%s", config);
	write_file(config, "database host=one\nupstream http://a:1, http://b:2\nworkers 4\n");
	return settings_load(&running, &program, 2, argv, &problem) == R_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	settings_free(running);
	settings_free(fresh);
	running = fresh = NULL;
	unlink(config);
	unlink(secret);
	return rmdir(folder);
}

static void what_may_change_changes(void **state)
{
	(void)state;
	assert_int_equal(reload("database host=one\nupstream http://c:3\nworkers 4\nwait 5s\n"), R_OK);
	assert_int_equal(settings_number(fresh, "wait"), 5000);
	assert_int_equal(settings_count(fresh, "upstream"), 1);
	assert_string_equal(settings_string(fresh, "upstream"), "http://c:3");
	assert_string_equal(kept, "");
	assert_int_equal(settings_number(running, "wait"), 30000);
	assert_int_equal(settings_count(running, "upstream"), 2);
}

static void what_may_not_keeps_its_value_and_is_named(void **state)
{
	(void)state;
	assert_int_equal(reload("database host=other\nworkers 9\n"), R_OK);
	assert_string_equal(settings_string(fresh, "database"), "host=one");
	assert_int_equal(settings_number(fresh, "workers"), 4);
	assert_string_equal(kept, "database workers ");
	assert_int_equal(settings_count(fresh, "upstream"), 0);
	assert_int_equal(reload("workers 4\n"), R_OK);
	assert_string_equal(kept, "database ");
	assert_string_equal(settings_string(fresh, "database"), "host=one");
}

static void a_bad_value_is_an_error_with_its_place(void **state)
{
	(void)state;
	assert_int_equal(reload("database host=one\nworkers 4\nwait soon\n"), R_INVALID);
	assert_null(fresh);
	assert_non_null(strstr(problem.text, "postern.conf:3: wait"));
	assert_int_equal(reload("database host=one\nworkers four\n"), R_INVALID);
	assert_int_equal(reload("databse host=one\n"), R_INVALID);
	assert_int_equal(unlink(config), 0);
	assert_int_equal(settings_load_again(&fresh, running, 2, argv, remember, &problem), R_INVALID);
	assert_null(fresh);
	write_file(config, "");
}

static void a_secret_file_is_read_again(void **state)
{
	char lines[160];

	(void)state;
	snprintf(lines, sizeof lines, "database host=one\nworkers 4\ntoken-file %s\n", secret);
	write_file(secret, "first\n");
	assert_int_equal(reload(lines), R_OK);
	assert_string_equal(settings_string(fresh, "token"), "first");
	write_file(secret, "second\n");
	assert_int_equal(reload(lines), R_OK);
	assert_string_equal(settings_string(fresh, "token"), "second");
	write_file(secret, "");
	assert_int_equal(reload(lines), R_INVALID);
	assert_non_null(strstr(problem.text, "token-file"));
}

/* The rights to read it went with the start. */
static void a_file_of_what_stays_is_not_looked_at(void **state)
{
	char lines[160];

	(void)state;
	settings_free(running);
	snprintf(lines, sizeof lines, "database-file %s\nworkers 4\n", secret);
	write_file(secret, "host=secret\n");
	write_file(config, lines);
	assert_int_equal(settings_load(&running, &program, 2, argv, &problem), R_OK);
	unlink(secret);
	assert_int_equal(reload(lines), R_OK);
	assert_string_equal(settings_string(fresh, "database"), "host=secret");
	assert_string_equal(kept, "");
}

static void fresh_settings_outlive_the_ones_before(void **state)
{
	(void)state;
	assert_int_equal(reload("database host=one\nworkers 4\n"), R_OK);
	settings_free(running);
	running = fresh;
	fresh = NULL;
	assert_int_equal(reload("database host=one\nworkers 4\nwait 1s\n"), R_OK);
	assert_string_equal(settings_string(fresh, "database"), "host=one");
}

static void help_says_what_a_reload_takes(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	settings_print_help(out, &program);
	fclose(out);
	const char *wait = strstr(text, "--wait="), *workers = strstr(text, "--workers=");
	assert_non_null(strstr(wait, "SIGHUP reloads it"));
	const char *next = strstr(workers, "SIGHUP reloads it");
	assert_true(next > wait);
	free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_may_change_changes),
	    TEST(what_may_not_keeps_its_value_and_is_named),
	    TEST(a_bad_value_is_an_error_with_its_place),
	    TEST(a_secret_file_is_read_again),
	    TEST(a_file_of_what_stays_is_not_looked_at),
	    TEST(fresh_settings_outlive_the_ones_before),
	    TEST(help_says_what_a_reload_takes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
