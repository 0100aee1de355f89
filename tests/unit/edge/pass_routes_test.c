#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/edge_settings.h"
#include "edge/pass/pass_routes.h"

/* Up to seven values of the setting. */
static enum result load(struct pass_routes **out, struct error *error, const char *const *values)
{
	char *arguments[16] = {mem_string("postern-edge"), mem_string("--database=x"),
	    mem_string("--seal-key-file=/dev/null"), mem_string("--upstream=http://127.0.0.1:1")};
	struct settings *settings = NULL;
	int count = 4;

	for (; *values; values++)
		arguments[count++] = mem_format("--passthrough=%s", *values);
	enum result result = settings_load(&settings, &edge_settings, count, arguments, error);
	if (result == R_OK)
		result = pass_routes_load(out, settings, error);
	settings_free(settings);
	while (count > 0)
		free(arguments[--count]);
	return result;
}

static struct pass_routes *routes_of(const char *const *values)
{
	struct pass_routes *routes = NULL;
	struct error error = {""};

	if (load(&routes, &error, values) != R_OK)
		fail_msg("%s", error.text);
	return routes;
}

static const char *label(const struct pass_route *route)
{
	return route ? route->label : "none";
}

static void the_most_particular_pattern_wins(void **state)
{
	struct pass_routes *routes =
	    routes_of((const char *const[]){"mail.example.com 10.0.0.1:1", "*.example.com 10.0.0.2:1",
		".example.com 10.0.0.3:1", ".deep.example.com 10.0.0.4:1", "* 10.0.0.5:1", NULL});
	static const char *const expected[][2] = {
	    {"mail.example.com", "mail.example.com"},
	    {"other.example.com", "*.example.com"},
	    {"deep.example.com", "*.example.com"},
	    {"a.b.example.com", ".example.com"},
	    {"a.deep.example.com", ".deep.example.com"},
	    {"a.b.deep.example.com", ".deep.example.com"},
	    {"example.com", "none"},
	    {"notexample.com", "none"},
	    {"mail.example.com.evil.test", "none"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
		assert_string_equal(label(pass_routes_find(routes, expected[i][0], 443)), expected[i][1]);
	assert_string_equal(label(pass_routes_default(routes, 993, true)), "*");
	pass_routes_free(routes);
}

static void a_port_is_more_particular_than_none(void **state)
{
	struct pass_routes *routes = routes_of((const char *const[]){"mail.example.com 10.0.0.1:1",
	    "mail.example.com:993 10.0.0.2:1", ".example.com:465 10.0.0.3:1", NULL});

	(void)state;
	assert_string_equal(label(pass_routes_find(routes, "mail.example.com", 443)), "mail.example.com");
	assert_string_equal(label(pass_routes_find(routes, "mail.example.com", 993)), "mail.example.com:993");
	assert_string_equal(label(pass_routes_find(routes, "a.example.com", 465)), ".example.com:465");
	assert_null(pass_routes_find(routes, "a.example.com", 443));
	pass_routes_free(routes);
}

/* Else one value would end everything that the edge serves itself. */
static void a_default_without_a_port_is_for_ports_that_only_pass_on(void **state)
{
	struct pass_routes *routes =
	    routes_of((const char *const[]){"* 10.0.0.1:1", "*:993 10.0.0.2:1", "*:443 10.0.0.3:1", NULL});
	struct pass_routes *one = routes_of((const char *const[]){"* 10.0.0.1:1", NULL});

	(void)state;
	assert_string_equal(label(pass_routes_default(routes, 993, true)), "*:993");
	assert_string_equal(label(pass_routes_default(routes, 465, true)), "*");
	assert_string_equal(label(pass_routes_default(routes, 443, false)), "*:443");
	assert_null(pass_routes_default(one, 443, false));
	pass_routes_free(routes);
	pass_routes_free(one);
}

static void patterns_are_normalised(void **state)
{
	struct pass_routes *routes = routes_of((const char *const[]){"MAIL.Example.COM. 10.0.0.1:1",
	    "b\xc3\xbc"
	    "cher.example 10.0.0.2:1",
	    NULL});

	(void)state;
	assert_non_null(pass_routes_find(routes, "mail.example.com", 443));
	assert_non_null(pass_routes_find(routes, "xn--bcher-kva.example", 443));
	pass_routes_free(routes);
}

static void what_is_wrong_is_named_with_its_mend(void **state)
{
	static const char *const wrong[][2] = {
	    {"mail.example.com", "passthrough: mail.example.com: it names no server: write host:port"},
	    {"mail.example.com:0 10.0.0.1:1",
		"passthrough: `mail.example.com:0` ends in no port: write name:443"},
	    {"10.0.0.9 10.0.0.1:1", "passthrough: `10.0.0.9` is an address: a value begins with a name"},
	    {"*.*.example.com 10.0.0.1:1", "passthrough: `*.*.example.com` is not a host name"},
	    {"mail.example.com 10.0.0.1:1 check=x",
		"passthrough: mail.example.com: `check=x`: check is off, tcp or tls"},
	    {"mail.example.com 10.0.0.1:1 plain=on",
		"passthrough: mail.example.com: plain=on is for the default, `*`"},
	    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaa h:1",
		"passthrough: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...` is longer than any name"},
	};
	struct pass_routes *routes = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct error error = {""};

		assert_int_equal(load(&routes, &error, (const char *const[]){wrong[i][0], NULL}), R_INVALID);
		if (strncmp(error.text, wrong[i][1], strlen(wrong[i][1])) != 0)
			fail_msg("says `%s`, not `%s`", error.text, wrong[i][1]);
	}
	struct error error = {""};
	assert_int_equal(
	    load(&routes, &error,
		(const char *const[]){"a.example.com 10.0.0.1:1", "A.example.com 10.0.0.2:1", NULL}),
	    R_INVALID);
	assert_non_null(strstr(error.text, "`a.example.com` is there twice"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_most_particular_pattern_wins),
	    cmocka_unit_test(a_port_is_more_particular_than_none),
	    cmocka_unit_test(a_default_without_a_port_is_for_ports_that_only_pass_on),
	    cmocka_unit_test(patterns_are_normalised),
	    cmocka_unit_test(what_is_wrong_is_named_with_its_mend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
