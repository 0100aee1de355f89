#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "edge/edge_settings.h"
#include "edge/upstream/upstream_config.h"

static char path[] = "/tmp/upstream-config-XXXXXX";

static enum result load(struct upstream_config **out, struct error *error, const char *one, const char *other)
{
	char *arguments[] = {mem_string("postern-edge"), mem_string("--database=x"),
	    mem_string("--seal-key-file=/dev/null"), mem_string("--upstream=http://127.0.0.1:1"),
	    mem_string(one), mem_string(other)};
	int count = other ? 6 : 5;
	struct settings *settings = NULL;
	enum result result = settings_load(&settings, &edge_settings, count, arguments, error);

	if (result == R_OK)
		result = upstream_config_load(out, settings, error);
	settings_free(settings);
	for (int i = 0; i < 6; i++)
		free(arguments[i]);
	return result;
}

static void write_file(size_t size)
{
	char *bytes = malloc(size);
	FILE *file = fopen(path, "w");

	memset(bytes, 'x', size);
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
	free(bytes);
}

static int setup(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void settings_become_a_config(void **state)
{
	struct upstream_config *config = NULL;
	struct error error = {""};

	(void)state;
	if (load(&config, &error, "--upstream-sni=app.internal", "--upstream-health=/healthz?deep=1") != R_OK)
		fail_msg("%s", error.text);
	assert_int_equal(config->url_count, 1);
	assert_string_equal(config->server_name, "app.internal");
	assert_string_equal(config->health_path, "/healthz?deep=1");
	assert_false(config->proxy_v2);
	assert_int_equal(config->connect_ms, 5000);
	assert_int_equal(config->first_byte_ms, 60000);
	upstream_config_unref(config);
}

static void cas_without_a_certificate_are_refused(void **state)
{
	char argument[64];
	struct upstream_config *config = NULL;
	struct error error = {""};

	(void)state;
	snprintf(argument, sizeof argument, "--upstream-ca=%s", path);
	write_file(100);
	assert_int_equal(load(&config, &error, argument, NULL), R_INVALID);
	assert_non_null(strstr(error.text, "upstream-ca"));
}

static void bad_values_are_refused_by_name(void **state)
{
	static const char *const bad[][2] = {{"--upstream-health=healthz", "upstream-health"},
	    {"--upstream-health=/a b", "upstream-health"}, {"--upstream-health=/\xc3\xa4", "upstream-health"},
	    {"--upstream-sni=a b", "upstream-sni"}, {"--upstream-sni=app:443", "upstream-sni"},
	    {"--upstream-sni=app/", "upstream-sni"}, {"--upstream=http://app/path", "upstream"},
	    {"--upstream=http://[app]", "upstream"},
	    {"--upstream-proxy-protocol=v1", "upstream-proxy-protocol"},
	    {"--upstream-resolve=0s", "upstream-resolve"}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct upstream_config *config = NULL;
		struct error error = {""};

		if (load(&config, &error, bad[i][0], NULL) != R_INVALID || !strstr(error.text, bad[i][1]))
			fail_msg("%s: taken, or refused without its name: %s", bad[i][0], error.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(settings_become_a_config),
	    cmocka_unit_test(cas_without_a_certificate_are_refused),
	    cmocka_unit_test(bad_values_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
