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
#include "edge/tls/default_names.h"

static enum result load(struct default_names *out, struct error *error, const char *values)
{
	char *arguments[] = {mem_string("postern-edge"), mem_string("--database=x"),
	    mem_string("--seal-key-file=/dev/null"), mem_string("--upstream=http://127.0.0.1:1"),
	    mem_format("--default-certificate=%s", values)};
	struct settings *settings = NULL;
	enum result result = settings_load(&settings, &edge_settings, 5, arguments, error);

	if (result == R_OK)
		result = default_names_load(out, settings, error);
	settings_free(settings);
	for (int i = 0; i < 5; i++)
		free(arguments[i]);
	return result;
}

static const char *find(const struct default_names *names, const char *address)
{
	struct net_address local;

	assert_int_equal(net_parse_address(&local, address, NULL), R_OK);
	const struct hostname *name = default_names_find(names, &local);
	return name ? name->text : "none";
}

static void address_and_port_then_address_then_port_then_all(void **state)
{
	struct default_names names;
	struct error error = {""};

	(void)state;
	assert_int_equal(load(&names, &error,
			     "*=all.example.com,:444=port.example.com,192.0.2.1=ip.example.com,"
			     "192.0.2.1:444=both.example.com,[2001:db8::1]:443=six.example.com,"
			     "[2001:db8::2]=bare.example.com,[2001:db8::3]=*.example.com"),
	    R_OK);
	assert_string_equal(find(&names, "198.51.100.1:443"), "all.example.com");
	assert_string_equal(find(&names, "198.51.100.1:444"), "port.example.com");
	assert_string_equal(find(&names, "192.0.2.1:443"), "ip.example.com");
	assert_string_equal(find(&names, "[::ffff:192.0.2.1]:443"), "ip.example.com");
	assert_string_equal(find(&names, "192.0.2.1:444"), "both.example.com");
	assert_string_equal(find(&names, "[2001:db8::1]:443"), "six.example.com");
	assert_string_equal(find(&names, "[2001:db8::1]:444"), "port.example.com");
	assert_string_equal(find(&names, "[2001:db8::2]:443"), "bare.example.com");
	assert_string_equal(find(&names, "[2001:db8::2]:444"), "bare.example.com");
	assert_string_equal(find(&names, "[2001:db8::3]:443"), "*.example.com");
}

static void none_fits_where_none_is_for_all(void **state)
{
	struct default_names names;
	struct error error = {""};

	(void)state;
	assert_int_equal(load(&names, &error, "192.0.2.1:444=both.example.com"), R_OK);
	assert_string_equal(find(&names, "192.0.2.1:443"), "none");
	assert_string_equal(find(&names, "192.0.2.2:444"), "none");
}

static void what_is_wrong_is_named(void **state)
{
	static const char *const wrong[] = {"www.example.com", "=www.example.com", "*=", "x=www.example.com",
	    ":0=www.example.com", ":70000=www.example.com", "192.0.2.1:=www.example.com",
	    "[192.0.2.1]x=www.example.com", "[2001:db8::1=www.example.com", "*=192.0.2.1", "*=*.com",
	    "*=localhost", "2001:db8::1:443=www.example.com", "*=a.example.com,*=b.example.com",
	    "192.0.2.1:443=a.example.com,[::ffff:192.0.2.1]:443=a.example.com"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct default_names names;
		struct error error = {""};

		if (load(&names, &error, wrong[i]) != R_INVALID)
			fail_msg("%s is taken", wrong[i]);
		assert_non_null(strstr(error.text, "default-certificate: `"));
	}
}

static void there_is_a_most(void **state)
{
	char values[(DEFAULT_NAMES_MAX + 1) * sizeof ",:1000=a.example.com"] = "";
	struct default_names names;
	struct error error = {""};

	(void)state;
	for (int i = 0; i < DEFAULT_NAMES_MAX; i++)
		sprintf(values + strlen(values), "%s:%d=a.example.com", i > 0 ? "," : "", 1000 + i);
	assert_int_equal(load(&names, &error, values), R_OK);
	assert_string_equal(find(&names, "192.0.2.1:1063"), "a.example.com");
	strcat(values, ",:999=a.example.com");
	assert_int_equal(load(&names, &error, values), R_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(address_and_port_then_address_then_port_then_all),
	    cmocka_unit_test(none_fits_where_none_is_for_all),
	    cmocka_unit_test(what_is_wrong_is_named),
	    cmocka_unit_test(there_is_a_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
