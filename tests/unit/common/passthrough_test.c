#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain/passthrough.h"

static struct passthrough read_text(const char *text)
{
	struct passthrough out;
	struct error error = {""};

	if (passthrough_parse(&out, text, &error) != R_OK)
		fail_msg("%s: %s", text, error.text);
	return out;
}

static void servers_alone_take_turns_unchecked(void **state)
{
	struct passthrough out = read_text(" 10.0.0.1:993\t[2001:db8::1]:993 mail.internal:993 ");

	(void)state;
	assert_int_equal(out.count, 3);
	assert_string_equal(out.servers[0], "10.0.0.1:993");
	assert_string_equal(out.servers[1], "[2001:db8::1]:993");
	assert_string_equal(out.servers[2], "mail.internal:993");
	assert_int_equal(out.check, PASSTHROUGH_CHECK_OFF);
	assert_int_equal(out.affinity, PASSTHROUGH_IN_TURN);
	assert_int_equal(out.interval_ms, PASSTHROUGH_INTERVAL_MS);
	assert_false(out.proxy_v2 || out.takes_plain);
}

static void options_may_stand_anywhere_and_the_last_counts(void **state)
{
	struct passthrough out = read_text("check=tcp a.example:1 affinity=client interval=500ms check=tls "
					   "proxy=v2 plain=on b.example:2 affinity=session-id");

	(void)state;
	assert_int_equal(out.count, 2);
	assert_int_equal(out.check, PASSTHROUGH_CHECK_TLS);
	assert_int_equal(out.interval_ms, 500);
	assert_int_equal(out.affinity, PASSTHROUGH_BY_SESSION);
	assert_true(out.proxy_v2 && out.takes_plain);
	assert_int_equal(read_text("a.example:1 interval=60m").interval_ms, 3600 * 1000);
	assert_false(read_text("a.example:1 proxy=v2 proxy=off").proxy_v2);
}

static void what_is_wrong_is_named_with_its_mend(void **state)
{
	static const struct {
		const char *text, *says;
	} wrong[] = {
	    {"", "it names no server: write host:port"},
	    {"check=tls", "it names no server: write host:port"},
	    {"10.0.0.1", "`10.0.0.1`: no server; write host:port, [v6]:port or an option=value"},
	    {":993", "`:993`: no server; write host:port, [v6]:port or an option=value"},
	    {"2001:db8::1:993",
		"`2001:db8::1:993`: no server; write host:port, [v6]:port or an option=value"},
	    {"a.example:0x1f", "`a.example:0x1f`: no server; write host:port, [v6]:port or an option=value"},
	    {"a.example:70000",
		"`a.example:70000`: no server; write host:port, [v6]:port or an option=value"},
	    {"a.example:0", "`a.example:0`: no server; write host:port, [v6]:port or an option=value"},
	    {"[::1]:00", "`[::1]:00`: no server; write host:port, [v6]:port or an option=value"},
	    {"a.example:1 check=ssl", "`check=ssl`: check is off, tcp or tls"},
	    {"a.example:1 interval=5", "`interval=5`: interval is a time from 500ms to 60m, such as 5s"},
	    {"a.example:1 interval=100ms",
		"`interval=100ms`: interval is a time from 500ms to 60m, such as 5s"},
	    {"a.example:1 interval=99999999999999999999s",
		"`interval=99999999999999999999s`: interval is a time from 500ms to 60m, such as 5s"},
	    {"a.example:1 interval=-5s", "`interval=-5s`: interval is a time from 500ms to 60m, such as 5s"},
	    {"a.example:1 affinity=cookie", "`affinity=cookie`: affinity is off, client or session-id"},
	    {"a.example:1 proxy=v1", "`proxy=v1`: proxy is off or v2"},
	    {"a.example:1 plain=yes", "`plain=yes`: plain is on or off"},
	    {"a.example:1 weight=3",
		"`weight=3`: no such option; there are check, interval, affinity, proxy and plain"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct passthrough out;
		struct error error = {""};

		assert_int_equal(passthrough_parse(&out, wrong[i].text, &error), R_INVALID);
		assert_string_equal(error.text, wrong[i].says);
	}
}

static void servers_and_bytes_are_bounded(void **state)
{
	char text[PASSTHROUGH_TEXT_MAX + 2] = "";
	struct passthrough out;
	struct error error = {""};

	(void)state;
	for (int i = 0; i < PASSTHROUGH_SERVERS_MAX; i++)
		strcat(text, "a.example:1 ");
	assert_int_equal(read_text(text).count, PASSTHROUGH_SERVERS_MAX);
	strcat(text, "a.example:1");
	assert_int_equal(passthrough_parse(&out, text, &error), R_INVALID);
	assert_non_null(strstr(error.text, "16 is the most"));
	memset(text, ' ', sizeof text - 1);
	assert_int_equal(passthrough_parse(&out, text, &error), R_INVALID);
	assert_non_null(strstr(error.text, "longer than 2048 bytes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers_alone_take_turns_unchecked),
	    cmocka_unit_test(options_may_stand_anywhere_and_the_last_counts),
	    cmocka_unit_test(what_is_wrong_is_named_with_its_mend),
	    cmocka_unit_test(servers_and_bytes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
