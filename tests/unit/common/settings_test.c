/* Settings: three sources in order, and an error with its place and mend for everything that is wrong. */
#include "common/settings/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

static const struct setting table[] = {
    {"config", SETTING_FILE, 0, NULL, "File.", NULL, 0, 0},
    {"log-level", SETTING_CHOICE, 0, "info", "Level.", "debug|info|warn|error", 0, 0},
    {"log-format", SETTING_CHOICE, 0, "text", "Format.", "text|json", 0, 0},
    {"listen-http", SETTING_ADDRESS, SETTING_REPEAT, ":80", "Plain HTTP.", NULL, 0, 0},
    {"upstream", SETTING_URL, SETTING_REPEAT, NULL, "App tier.", NULL, 0, 0},
    {"jobs", SETTING_INTEGER, 0, "4", "Jobs.", NULL, 1, 64},
    {"offset", SETTING_INTEGER, 0, NULL, "Any number.", NULL, 0, 0},
    {"cache", SETTING_BYTES, 0, "64M", "Memory.", NULL, 1024, INT64_C(1) << 40},
    {"wait", SETTING_DURATION, 0, "30s", "Wait.", NULL, 100, 300000},
    {"ttl", SETTING_DURATION, 0, "0", "How long.", NULL, 0, 10000},
    {"pre-issue", SETTING_SWITCH, 0, "on", "Ahead of time.", NULL, 0, 0},
    {"access-log", SETTING_SWITCH, 0, "off", "Log.", NULL, 0, 0},
    {"token", SETTING_STRING, SETTING_SECRET, NULL, "A \\secret.", NULL, 0, 0},
    {"token-file", SETTING_FILE, 0, NULL, "Its file.", NULL, 0, 0},
    {"pin", SETTING_INTEGER, SETTING_SECRET, NULL, "A secret number.", NULL, 0, 0},
    {"types", SETTING_CHOICE, SETTING_REPEAT, "tls-alpn-01,http-01", "Types.", "tls-alpn-01|http-01", 0, 0},
};

static const struct setting table_with_required[] = {
    {"config", SETTING_FILE, 0, NULL, "File.", NULL, 0, 0},
    {"database", SETTING_STRING, SETTING_REQUIRED, NULL, "Database.", NULL, 0, 0},
    {"database-file", SETTING_FILE, 0, NULL, "Its file.", NULL, 0, 0},
};

static const struct settings_program program = {
    .name = "postern-test",
    .summary = "tests settings",
    .table = table,
    .count = sizeof table / sizeof *table,
};
static const struct settings_program strict_program = {
    .name = "postern-strict",
    .summary = "needs a database",
    .table = table_with_required,
    .count = sizeof table_with_required / sizeof *table_with_required,
    .description = "First paragraph.\n\n.Second paragraph \\ with a backslash.",
};

static char folder[32], file_path[64], secret_path[64], config_option[128], secret_option[128];
static struct settings *settings;
static struct error problem;

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/settings_test.XXXXXX");
	bool made = mkdtemp(folder) != NULL;
	snprintf(file_path, sizeof file_path, "%s/postern.conf", folder);
	snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
	snprintf(config_option, sizeof config_option, "--config=%s", file_path);
	snprintf(secret_option, sizeof secret_option, "--token-file=%s", secret_path);
	clearenv();
	return made ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	settings_free(settings);
	settings = NULL;
	unlink(file_path);
	unlink(secret_path);
	return rmdir(folder);
}

static void write_file(const char *path, const char *bytes, size_t size)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fwrite(bytes, 1, size, file);
	fclose(file);
}

/* Arguments end with NULL. */
static enum result load(const struct settings_program *what, ...)
{
	char *argv[32] = {mem_string("program")};
	int argc = 1;
	va_list list;
	va_start(list, what);
	for (const char *argument; (argument = va_arg(list, const char *)) != NULL;)
		argv[argc++] = mem_string(argument);
	va_end(list);
	settings_free(settings);
	problem.text[0] = '\0';
	enum result result = settings_load(&settings, what, argc, argv, &problem);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	if (result != R_OK)
		assert_null(settings);
	return result;
}

static enum result load_file(const char *lines)
{
	write_file(file_path, lines, strlen(lines));
	return load(&program, config_option, NULL);
}

static void assert_problem(const char *expected)
{
	if (strstr(problem.text, expected) == NULL)
		fail_msg("`%s` is not in `%s`", expected, problem.text);
}

static void assert_argument_refused(const char *argument, const char *expected)
{
	assert_int_equal(load(&program, argument, NULL), R_INVALID);
	assert_problem(expected);
}

static void defaults_hold_where_nothing_is_set(void **state)
{
	(void)state;
	assert_int_equal(load(&program, NULL), R_OK);
	assert_string_equal(settings_string(settings, "log-level"), "info");
	assert_int_equal(settings_number(settings, "jobs"), 4);
	assert_int_equal(settings_number(settings, "cache"), 64 << 20);
	assert_int_equal(settings_number(settings, "wait"), 30000);
	assert_int_equal(settings_number(settings, "ttl"), 0);
	assert_true(settings_switch(settings, "pre-issue"));
	assert_false(settings_switch(settings, "access-log"));
	assert_null(settings_string(settings, "token"));
	assert_int_equal(settings_count(settings, "upstream"), 0);
	assert_int_equal(settings_count(settings, "types"), 2);
	assert_string_equal(settings_string_at(settings, "types", 1), "http-01");
}

static void the_later_source_wins(void **state)
{
	(void)state;
	write_file(file_path, "jobs 2\nlog-level debug\nwait 1s\n", 31);
	setenv("POSTERN_LOG_LEVEL", "warn", 1);
	setenv("POSTERN_WAIT", "2s", 1);
	assert_int_equal(load(&program, config_option, "--wait=3s", NULL), R_OK);
	assert_int_equal(settings_number(settings, "jobs"), 2);
	assert_string_equal(settings_string(settings, "log-level"), "warn");
	assert_int_equal(settings_number(settings, "wait"), 3000);
	assert_int_equal(load(&program, config_option, "--wait=3s", "--wait=4s", NULL), R_OK);
	assert_int_equal(settings_number(settings, "wait"), 4000);
}

static void a_later_source_replaces_the_whole_list(void **state)
{
	(void)state;
	const char *lines = "upstream http://one:1\nupstream http://two:2 , http://three:3\n";
	assert_int_equal(load_file(lines), R_OK);
	assert_int_equal(settings_count(settings, "upstream"), 3);
	assert_string_equal(settings_string_at(settings, "upstream", 2), "http://three:3");
	setenv("POSTERN_UPSTREAM", "http://four, http://five,", 1);
	assert_int_equal(load_file(lines), R_OK);
	assert_int_equal(settings_count(settings, "upstream"), 2);
	assert_string_equal(settings_string(settings, "upstream"), "http://four");
	assert_string_equal(settings_string_at(settings, "upstream", 1), "http://five");
	assert_int_equal(
	    load(&program, config_option, "--upstream=http://six", "--upstream=http://seven", NULL), R_OK);
	assert_int_equal(settings_count(settings, "upstream"), 2);
	assert_string_equal(settings_string(settings, "upstream"), "http://six");
	assert_int_equal(load(&program, "--listen-http=:81", NULL), R_OK);
	assert_int_equal(settings_count(settings, "listen-http"), 1);
}

static void an_empty_option_takes_the_value_away(void **state)
{
	(void)state;
	assert_int_equal(load(&program, "--listen-http=", NULL), R_OK);
	assert_int_equal(settings_count(settings, "listen-http"), 0);
	assert_null(settings_string(settings, "listen-http"));
	assert_argument_refused("--jobs=", "--jobs: its value is missing");
	assert_argument_refused("--pre-issue=", "its value is missing");
}

static void an_empty_variable_counts_as_not_set(void **state)
{
	(void)state;
	setenv("POSTERN_LISTEN_HTTP", "", 1);
	setenv("POSTERN_JOBS", "", 1);
	setenv("POSTERN_CONFIG", "", 1);
	assert_int_equal(load(&program, NULL), R_OK);
	assert_string_equal(settings_string(settings, "listen-http"), ":80");
	assert_int_equal(settings_number(settings, "jobs"), 4);
}

static void file_lines_may_have_comments_blanks_and_crlf(void **state)
{
	(void)state;
	assert_int_equal(
	    load_file("\xef\xbb\xbf# comment\r\n\r\n  jobs \t 7  # seven\r\n#jobs 8\npre-issue off\n"
		      "token pass#word with blanks\naccess-log"),
	    R_OK);
	assert_int_equal(settings_number(settings, "jobs"), 7);
	assert_false(settings_switch(settings, "pre-issue"));
	assert_true(settings_switch(settings, "access-log"));
	assert_string_equal(settings_string(settings, "token"), "pass#word with blanks");
}

static void errors_of_a_file_name_the_line(void **state)
{
	(void)state;
	static const struct {
		const char *lines, *expected;
	} cases[] = {
	    {"\n\nlog-levl info\n", "postern.conf:3: unknown setting `log-levl`; did you mean `log-level`?"},
	    {"nothing-like-it 1\n", "postern.conf:1: unknown setting `nothing-like-it`; --help lists all"},
	    {"jobs=3\n", "postern.conf:1: unknown setting `jobs=3`; write `name value`, without `=`"},
	    {"jobs many\n", "postern.conf:1: jobs: `many` is not a whole number"},
	    {"jobs\n", "postern.conf:1: jobs: its value is missing; write `jobs NUMBER`"},
	    {"jobs 1\njobs 2\n", "postern.conf:2: jobs: line 1 has set it already"},
	    {"config /etc/passwd\n", "postern.conf:1: config: a file of settings cannot name another"},
	    {"--jobs 3\n", "unknown setting `--jobs`"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(load_file(cases[i].lines), R_INVALID);
		assert_problem(cases[i].expected);
	}
}

static void an_error_never_shows_a_control_byte_of_the_file(void **state)
{
	(void)state;
	static const char *const lines[] = {
	    "jobs 1\n\x1b[31mjobs 3\n", "jobs 1\ncache \x1b]0;x\a\n", "jobs 1\ntoken a\rb\n"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		assert_int_equal(load_file(lines[i]), R_INVALID);
		assert_problem("postern.conf:2: holds a control byte; write plain text");
	}
}

static void a_file_that_is_none_is_refused(void **state)
{
	(void)state;
	assert_int_equal(load(&program, "--config=/nowhere/postern.conf", NULL), R_INVALID);
	assert_problem("config: cannot read `/nowhere/postern.conf`: No such file");
	assert_int_equal(load(&program, "--config=/tmp", NULL), R_INVALID);
	assert_problem("directory");
	write_file(file_path, "jobs 3\0\n", 8);
	assert_int_equal(load(&program, config_option, NULL), R_INVALID);
	assert_problem("NUL byte");
	char *large = mem_alloc(300000);
	memset(large, '#', 300000);
	write_file(file_path, large, 300000);
	free(large);
	assert_int_equal(load(&program, config_option, NULL), R_INVALID);
	assert_problem("is larger than");
	setenv("POSTERN_CONFIG", "/nowhere", 1);
	assert_int_equal(load(&program, NULL), R_INVALID);
	assert_problem("/nowhere");
}

static void errors_of_arguments_name_the_option(void **state)
{
	(void)state;
	assert_argument_refused(
	    "--lisn-http=:1", "unknown setting `--lisn-http`; did you mean `--listen-http`?");
	assert_argument_refused("--", "unexpected argument `--`");
	assert_argument_refused("start", "unexpected argument `start`");
	assert_argument_refused("-x", "unexpected argument `-x`");
	assert_argument_refused("", "unexpected argument ``");
	assert_argument_refused("--=x", "unknown setting `--`");
	assert_argument_refused("--jobs", "--jobs: its value is missing; write --jobs=NUMBER");
	assert_argument_refused(
	    "--log-level=loud", "--log-level: `loud` is not one of debug|info|warn|error");
	assert_argument_refused("--log-level=inf", "is not one of");
	assert_argument_refused("--types=http-01,dns-01", "--types: `dns-01` is not one of");
}

static void errors_of_variables_name_the_variable(void **state)
{
	(void)state;
	setenv("POSTERN_LOG_LEVEL", "loud", 1);
	assert_int_equal(load(&program, NULL), R_INVALID);
	assert_problem("POSTERN_LOG_LEVEL: `loud` is not one of");
}

static void switches_need_no_value_on_the_command_line(void **state)
{
	(void)state;
	assert_int_equal(load(&program, "--access-log", "--pre-issue=off", NULL), R_OK);
	assert_true(settings_switch(settings, "access-log"));
	assert_false(settings_switch(settings, "pre-issue"));
	assert_argument_refused("--access-log=yes", "`yes` is neither on nor off");
}

static void numbers_are_checked(void **state)
{
	(void)state;
	assert_int_equal(load(&program, "--jobs=64", "--offset=-9", NULL), R_OK);
	assert_int_equal(settings_number(settings, "jobs"), 64);
	assert_int_equal(settings_number(settings, "offset"), -9);
	assert_argument_refused("--jobs=65", "`65` is out of range: from 1 to 64");
	assert_argument_refused("--jobs=0", "out of range");
	assert_argument_refused("--jobs=-1", "out of range");
	static const char *const bad[] = {
	    "1x", " 1", "1.5", "-", "+1", "0x10", "99999999999999999999", "--1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char argument[64];
		snprintf(argument, sizeof argument, "--offset=%s", bad[i]);
		assert_argument_refused(argument, "is not a whole number");
	}
}

static void durations_and_sizes_have_units(void **state)
{
	(void)state;
	assert_int_equal(load(&program, "--wait=250ms", "--cache=1G", "--ttl=0s", NULL), R_OK);
	assert_int_equal(settings_number(settings, "wait"), 250);
	assert_int_equal(settings_number(settings, "cache"), 1 << 30);
	assert_int_equal(load(&program, "--wait=5m", "--cache=2048", NULL), R_OK);
	assert_int_equal(settings_number(settings, "wait"), 300000);
	assert_int_equal(settings_number(settings, "cache"), 2048);
	assert_argument_refused(
	    "--wait=30", "`30` is not a duration: write a whole number and its unit, as in 250ms");
	assert_argument_refused("--wait=1h", "`1h` is out of range: from 100ms to 5m");
	assert_argument_refused("--ttl=11s", "`11s` is out of range: from 0 to 10s");
	assert_argument_refused("--wait=-5s", "is not a duration");
	assert_argument_refused("--wait=5S", "is not a duration");
	assert_argument_refused("--wait=5 s", "is not a duration");
	assert_argument_refused("--wait=9223372036854775807d", "is not a duration");
	assert_argument_refused("--cache=1M1", "is not a size");
	assert_argument_refused("--cache=64MB", "is not a size");
	assert_argument_refused("--cache=1", "`1` is out of range: from 1K to 1T");
	assert_argument_refused("--cache=9000000T", "is not a size");
}

static void urls_and_addresses_are_checked(void **state)
{
	(void)state;
	static const char *const good[] = {"http://app", "https://app:8443/path?query=1#x",
	    "http://[::1]:80/", "HTTP://127.0.0.1", "http://my_app:3000"};
	static const char *const bad[] = {"ftp://app", "app:80", "http://", "http:///x", "http://:80",
	    "http://app:x", "http://app:70000", "http://a b", "http://user:pass@app", "http://[::1",
	    "http://::1", "http://b\xc3\xbc.de", "http://app:", "http://?x"};
	char argument[128];
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		snprintf(argument, sizeof argument, "--upstream=%s", good[i]);
		if (load(&program, argument, NULL) != R_OK)
			fail_msg("%s: %s", good[i], problem.text);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(argument, sizeof argument, "--upstream=%s", bad[i]);
		assert_argument_refused(argument, "--upstream: ");
	}
	assert_argument_refused("--listen-http=80", "`80` is not an address: write host:port");
	assert_argument_refused("--listen-http=::1:80", "an IPv6 address stands in brackets");
	/* Nothing is looked up. */
	assert_int_equal(load(&program, "--listen-http=no-such-host.invalid:80", NULL), R_OK);
}

static void a_secret_comes_from_its_file(void **state)
{
	(void)state;
	write_file(secret_path, "two words\n", 10);
	assert_int_equal(load(&program, secret_option, NULL), R_OK);
	assert_string_equal(settings_string(settings, "token"), "two words");
	write_file(secret_path, "crlf\r\n", 6);
	assert_int_equal(load(&program, secret_option, NULL), R_OK);
	assert_string_equal(settings_string(settings, "token"), "crlf");
	write_file(secret_path, "a\n\n", 3);
	assert_int_equal(load(&program, secret_option, NULL), R_OK);
	assert_string_equal(settings_string(settings, "token"), "a\n");
}

static void a_secret_and_its_file_are_ordered_by_source(void **state)
{
	(void)state;
	write_file(secret_path, "from file\n", 10);
	setenv("POSTERN_TOKEN", "from variable", 1);
	assert_int_equal(load(&program, secret_option, NULL), R_OK);
	assert_string_equal(settings_string(settings, "token"), "from file");
	setenv("POSTERN_TOKEN_FILE", secret_path, 1);
	assert_int_equal(load(&program, "--token=from option", NULL), R_OK);
	assert_string_equal(settings_string(settings, "token"), "from option");
	assert_int_equal(load(&program, NULL), R_INVALID);
	assert_problem("`token` and `token-file` are both set; keep one");
}

static void a_bad_secret_file_is_refused(void **state)
{
	(void)state;
	assert_int_equal(load(&program, secret_option, NULL), R_INVALID);
	assert_problem("--token-file: cannot read");
	write_file(secret_path, "\n", 1);
	assert_int_equal(load(&program, secret_option, NULL), R_INVALID);
	assert_problem("is empty");
	write_file(secret_path, "a\0b", 3);
	assert_int_equal(load(&program, secret_option, NULL), R_INVALID);
	assert_problem("NUL byte");
}

static void a_secret_is_never_in_an_error(void **state)
{
	(void)state;
	assert_argument_refused("--pin=hunter2", "--pin: ");
	assert_null(strstr(problem.text, "hunter2"));
	assert_int_equal(load_file("pin hunter2\n"), R_INVALID);
	assert_null(strstr(problem.text, "hunter2"));
}

static void a_required_setting_is_demanded(void **state)
{
	(void)state;
	assert_int_equal(load(&strict_program, NULL), R_INVALID);
	assert_problem("database is not set: give --database=TEXT or --database-file=FILE, the variable "
		       "POSTERN_DATABASE");
	assert_int_equal(load(&strict_program, "--database=", NULL), R_INVALID);
	write_file(secret_path, "host=db\n", 8);
	char option[128];
	snprintf(option, sizeof option, "--database-file=%s", secret_path);
	assert_int_equal(load(&strict_program, option, NULL), R_OK);
	assert_string_equal(settings_string(settings, "database"), "host=db");
}

static void unknown_variables_are_only_logged(void **state)
{
	(void)state;
	setenv("POSTERN_SAAS_ROOT", "acme-saas.test", 1);
	setenv("POSTERN_JOBBS", "3", 1);
	setenv("POSTERN_", "3", 1);
	setenv("POSTERNJOBS", "3", 1);
	assert_int_equal(load(&program, NULL), R_OK);
	assert_int_equal(settings_number(settings, "jobs"), 4);
	int saved = dup(STDERR_FILENO), ends[2];
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	settings_init_log(settings);
	dup2(saved, STDERR_FILENO);
	settings_init_log(settings);
	char text[1000] = "";
	ssize_t got = read(ends[0], text, sizeof text - 1);
	close(saved), close(ends[0]), close(ends[1]);
	assert_true(got > 0);
	assert_non_null(strstr(text, " warn postern-test "));
	assert_non_null(strstr(text, "POSTERN_SAAS_ROOT"));
	assert_non_null(strstr(text, "POSTERN_JOBBS (meant POSTERN_JOBS?)"));
	assert_null(strstr(text, "acme-saas"));
	assert_null(strstr(text, "POSTERNJOBS"));
}

static char *printed(
    void (*print)(FILE *out, const struct settings_program *program), const struct settings_program *what)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	print(out, what);
	fclose(out);
	return text;
}

static void help_shows_every_setting(void **state)
{
	(void)state;
	char *text = printed(settings_print_help, &program);
	for (size_t i = 0; i < program.count; i++) {
		char option[80];
		snprintf(option, sizeof option, "\n  --%s=", table[i].name);
		assert_non_null(strstr(text, option));
	}
	assert_non_null(strstr(text, "(POSTERN_LISTEN_HTTP; default :80; repeatable)"));
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
		assert_in_range(strcspn(line, "\n"), 0, 80);
	free(text);
}

static void manual_page_escapes_what_roff_would_obey(void **state)
{
	(void)state;
	char *text = printed(settings_print_mdoc, &program);
	assert_non_null(strstr(text, ".Dt POSTERN-TEST 8\n"));
	assert_non_null(strstr(text, "A \\esecret."));
	assert_non_null(strstr(text, ".It Fl -token-file Ns = Ns Ar FILE\n"));
	free(text);
	text = printed(settings_print_mdoc, &strict_program);
	assert_non_null(strstr(text, "First paragraph.\n.Pp\n\\&.Second paragraph \\e with"));
	free(text);
}

static void help_wins_over_everything_else(void **state)
{
	(void)state;
	int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	enum result help = load(&program, "--jobs=many", "--help", NULL);
	enum result version = load(&strict_program, "--version", NULL);
	enum result manual = load(&strict_program, "--help=mdoc", NULL);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved), close(null);
	assert_int_equal(help, R_NONE);
	assert_int_equal(version, R_NONE);
	assert_int_equal(manual, R_NONE);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    in_folder(defaults_hold_where_nothing_is_set),
	    in_folder(the_later_source_wins),
	    in_folder(a_later_source_replaces_the_whole_list),
	    in_folder(an_empty_option_takes_the_value_away),
	    in_folder(an_empty_variable_counts_as_not_set),
	    in_folder(file_lines_may_have_comments_blanks_and_crlf),
	    in_folder(errors_of_a_file_name_the_line),
	    in_folder(an_error_never_shows_a_control_byte_of_the_file),
	    in_folder(a_file_that_is_none_is_refused),
	    in_folder(errors_of_arguments_name_the_option),
	    in_folder(errors_of_variables_name_the_variable),
	    in_folder(switches_need_no_value_on_the_command_line),
	    in_folder(numbers_are_checked),
	    in_folder(durations_and_sizes_have_units),
	    in_folder(urls_and_addresses_are_checked),
	    in_folder(a_secret_comes_from_its_file),
	    in_folder(a_secret_and_its_file_are_ordered_by_source),
	    in_folder(a_bad_secret_file_is_refused),
	    in_folder(a_secret_is_never_in_an_error),
	    in_folder(a_required_setting_is_demanded),
	    in_folder(unknown_variables_are_only_logged),
	    in_folder(help_shows_every_setting),
	    in_folder(manual_page_escapes_what_roff_would_obey),
	    in_folder(help_wins_over_everything_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
