/*
 * A file of settings: it is read, or refused with one line that names the file and shows no secret.
 */
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/settings/settings.h"
#include "tests/fuzz/fuzz.h"

static const struct setting table[] = {
    {"config", SETTING_FILE, 0, NULL, "File.", NULL, 0, 0},
    {"log-level", SETTING_CHOICE, 0, "info", "Level.", "debug|info|warn|error", 0, 0},
    {"listen-http", SETTING_ADDRESS, SETTING_REPEAT, ":80", "Plain HTTP.", NULL, 0, 0},
    {"upstream", SETTING_URL, SETTING_REPEAT, NULL, "App tier.", NULL, 0, 0},
    {"jobs", SETTING_INTEGER, 0, "4", "Jobs.", NULL, 1, 64},
    {"offset", SETTING_INTEGER, 0, NULL, "Any number.", NULL, 0, 0},
    {"cache", SETTING_BYTES, 0, "64M", "Memory.", NULL, 1024, INT64_C(1) << 40},
    {"wait", SETTING_DURATION, 0, "30s", "Wait.", NULL, 100, 300000},
    {"pre-issue", SETTING_SWITCH, 0, "on", "Ahead of time.", NULL, 0, 0},
    {"name", SETTING_STRING, SETTING_REPEAT, NULL, "Names.", NULL, 0, 0},
    {"pin", SETTING_INTEGER, SETTING_SECRET, NULL, "A secret number.", NULL, 0, 0},
};

static const struct settings_program program = {
    .name = "postern-fuzz",
    .summary = "reads settings",
    .table = table,
    .count = sizeof table / sizeof *table,
};

static const char secret[] = "hunter2-is-no-number";

static void check_error(const struct error *error)
{
	fuzz_check(strstr(error->text, "/proc/self/fd/"));
	for (const char *at = error->text; *at; at++)
		fuzz_check(*at == 0x09 || (unsigned char)*at >= 0x20);
}

static void check_values(const struct settings *settings)
{
	int64_t jobs = settings_number(settings, "jobs");
	int64_t cache = settings_number(settings, "cache");
	int64_t wait = settings_number(settings, "wait");

	fuzz_check(jobs >= 1 && jobs <= 64);
	fuzz_check(cache >= 1024 && cache <= INT64_C(1) << 40);
	fuzz_check(wait >= 100 && wait <= 300000);
	for (size_t i = 0; i < settings_count(settings, "upstream"); i++)
		fuzz_check(strncasecmp(settings_string_at(settings, "upstream", i), "http", 4) == 0);
}

static enum result load(int fd, struct error *error)
{
	char option[64];
	char name[] = "postern-fuzz";
	char *argv[] = {name, option, NULL};
	struct settings *settings = NULL;

	snprintf(option, sizeof option, "--config=/proc/self/fd/%d", fd);
	enum result result = settings_load(&settings, &program, 2, argv, error);
	if (result == R_OK)
		check_values(settings);
	settings_free(settings);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error error = {.text = ""};
	int fd = memfd_create("settings", MFD_CLOEXEC);

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	enum result result = load(fd, &error);
	fuzz_check(result == R_OK || result == R_INVALID);
	if (result == R_INVALID)
		check_error(&error);
	fuzz_check(dprintf(fd, "\npin %s\n", secret) > 0);
	fuzz_check(load(fd, &error) == R_INVALID);
	check_error(&error);
	fuzz_check(!strstr(error.text, secret) || memmem(data, size, secret, strlen(secret)));
	close(fd);
	return 0;
}
