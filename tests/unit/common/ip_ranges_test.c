#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/net/ip_ranges.h"

static const struct setting table[] = {
    {"nets", SETTING_STRING, SETTING_REPEAT, NULL, "x", NULL, 0, 0},
};
static const struct settings_program program = {.name = "t", .summary = "x", .table = table, .count = 1};

static enum result load(struct ip_ranges *out, const char *value, struct error *error)
{
	char argument[256];
	char name[] = "t";
	char *argv[] = {name, argument, NULL};
	struct settings *settings = NULL;

	snprintf(argument, sizeof argument, "--nets=%s", value);
	assert_int_equal(settings_load(&settings, &program, 2, argv, error), R_OK);
	enum result result = ip_ranges_load(out, settings, "nets", error);
	settings_free(settings);
	return result;
}

static bool is_in(const char *networks, const char *address)
{
	struct ip_ranges ranges;
	struct net_address parsed;
	struct error error = {{0}};

	if (load(&ranges, networks, &error) != R_OK)
		fail_msg("%s: %s", networks, error.text);
	assert_int_equal(net_parse_address(&parsed, address, NULL), R_OK);
	bool found = ip_ranges_contain(&ranges, &parsed);
	ip_ranges_fini(&ranges);
	return found;
}

static void addresses_are_found_to_the_bit(void **state)
{
	static const struct {
		const char *networks, *address;
		bool found;
	} cases[] = {
	    {"192.0.2.0/24", "192.0.2.255:1", true},
	    {"192.0.2.0/24", "192.0.3.0:1", false},
	    {"192.0.2.64/27", "192.0.2.95:1", true},
	    {"192.0.2.64/27", "192.0.2.96:1", false},
	    {"192.0.2.64/27", "192.0.2.63:1", false},
	    {"192.0.2.7", "192.0.2.7:1", true},
	    {"192.0.2.7", "192.0.2.6:1", false},
	    {"0.0.0.0/0", "255.255.255.255:1", true},
	    {"0.0.0.0/0", "[2001:db8::1]:1", false},
	    {"::/0", "192.0.2.1:1", false},
	    {"::/0", "[2001:db8::1]:1", true},
	    {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
	    {"2001:db8::/33", "[2001:db8:8000::1]:1", false},
	    {"2001:db8::1/128", "[2001:db8::1]:1", true},
	    {"10.0.0.0/8,192.0.2.0/24", "192.0.2.1:1", true},
	    {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true},
	    {"10.0.0.0/8", "[::ffff:11.1.2.3]:1", false},
	    {"::ffff:10.0.0.0/104", "10.1.2.3:1", true},
	    {"::ffff:10.0.0.0/104", "[::ffff:10.1.2.3]:1", true},
	    {"::ffff:10.0.0.0/104", "11.1.2.3:1", false},
	    {"::ffff:0.0.0.0/96", "192.0.2.1:1", true},
	    {"::ffff:192.0.2.1", "192.0.2.1:1", true},
	    {"::/95", "192.0.2.1:1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (is_in(cases[i].networks, cases[i].address) != cases[i].found)
			fail_msg("%s in %s", cases[i].address, cases[i].networks);
}

static void what_is_no_network_is_refused_with_the_mend(void **state)
{
	static const struct {
		const char *value, *words;
	} cases[] = {
	    {"192.0.2.1/24", "bits behind its prefix"},
	    {"2001:db8::1/64", "bits behind its prefix"},
	    {"192.0.2.0/33", "is not a network"},
	    {"2001:db8::/129", "is not a network"},
	    {"192.0.2.0/", "is not a network"},
	    {"192.0.2.0/08", "is not a network"},
	    {"192.0.2.0/-1", "is not a network"},
	    {"192.0.2.0/24/8", "is not a network"},
	    {"192.0.2/24", "is not a network"},
	    {"192.0.02.0/24", "is not a network"},
	    {"private", "is not a network"},
	    {"/8", "is not a network"},
	    {"10.0.0.0/8,x", "is not a network"},
	    {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "none"},
	};
	struct ip_ranges ranges;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error error = {{0}};

		if (load(&ranges, cases[i].value, &error) != R_INVALID)
			fail_msg("%s was taken", cases[i].value);
		if (!strstr(error.text, cases[i].words) || strncmp(error.text, "nets: ", 6) != 0)
			fail_msg("%s: %s", cases[i].value, error.text);
	}
}

static void no_list_and_no_address_hold_nothing(void **state)
{
	const struct ip_ranges none = {0};
	struct net_address address = {.size = 0};

	(void)state;
	assert_false(ip_ranges_contain(&none, &address));
	assert_false(is_in("10.0.0.0/8", "127.0.0.1:1"));
	address.storage.ss_family = AF_UNIX;
	struct ip_range all = {.family = AF_INET};
	const struct ip_ranges ranges = {&all, 1};
	assert_false(ip_ranges_contain(&ranges, &address));
}

static void text_is_found_like_a_socket_address(void **state)
{
	static const struct {
		const char *network, *address;
		bool found;
	} cases[] = {
	    {"10.0.0.0/8", "10.1.2.3", true},
	    {"10.0.0.0/8", "::ffff:10.1.2.3", true},
	    {"10.0.0.0/8", "11.1.2.3", false},
	    {"2001:db8::/32", "2001:db8::9", true},
	    {"2001:db8::/32", "2001:db9::9", false},
	    {"::/0", "", false},
	    {"0.0.0.0/0", "", false},
	    {"0.0.0.0/0", "unix", false},
	    {"0.0.0.0/0", "10.1.2.3:80", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ip_range range;

		assert_int_equal(ip_range_parse(&range, cases[i].network, NULL), R_OK);
		if (ip_ranges_contain_text(&(struct ip_ranges){&range, 1}, cases[i].address) !=
		    cases[i].found)
			fail_msg("%s in %s", cases[i].address, cases[i].network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_are_found_to_the_bit),
	    cmocka_unit_test(what_is_no_network_is_refused_with_the_mend),
	    cmocka_unit_test(text_is_found_like_a_socket_address),
	    cmocka_unit_test(no_list_and_no_address_hold_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
