/* Which URLs a webhook may have, and to which addresses a connection may be made. */
#include "common/dns/webhook_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

static const struct webhook_rules strict;
static struct webhook_target target;
static struct error error;

static struct webhook_rules allowing(struct ip_range *range, const char *network)
{
	assert_int_equal(ip_range_parse(range, network, &error), R_OK);
	return (struct webhook_rules){.allowed = {.ranges = range, .count = 1}};
}

static void public_https_is_a_target(void **state)
{
	(void)state;
	static const struct {
		const char *given, *url, *host;
		uint16_t port;
	} good[] = {
	    {"https://hooks.brand.com/postern?key=1", "https://hooks.brand.com/postern?key=1",
		"hooks.brand.com", 443},
	    {"HTTPS://Hooks.Brand.COM", "https://hooks.brand.com/", "hooks.brand.com", 443},
	    {"https://hooks.brand.com.:8443/a/../b", "https://hooks.brand.com:8443/b", "hooks.brand.com",
		8443},
	    {"https://8.8.8.8/x", "https://8.8.8.8/x", "", 443},
	    {"https://[2606:4700::1111]:1024/", "https://[2606:4700::1111]:1024/", "", 1024},
	    {"https://myapp.github.io/hook", "https://myapp.github.io/hook", "myapp.github.io", 443},
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (webhook_target_parse(&target, &strict, good[i].given, &error) != R_OK)
			fail_msg("%s %s", good[i].given, error.text);
		assert_string_equal(target.url, good[i].url);
		assert_string_equal(target.host.text, good[i].host);
		assert_int_equal(target.port, good[i].port);
	}
}

static void what_is_refused_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *url, *why;
	} bad[] = {
	    {"http://hooks.brand.com/", "https://"},
	    {"ftp://hooks.brand.com/", "https://"},
	    {"file:///etc/passwd", "https://"},
	    {"gopher://hooks.brand.com/", "https://"},
	    {"hooks.brand.com", "no URL"},
	    {"", "no URL"},
	    {"https://", "no URL"},
	    {"https:///path", "no name"},
	    {"https://user@hooks.brand.com/", "password"},
	    {"https://user:secret@hooks.brand.com/", "password"},
	    {"https://:secret@hooks.brand.com/", "password"},
	    {"https://hooks.brand.com/#top", "fragment"},
	    {"https://[fe80::1%25eth0]/", "zone"},
	    {"https://hooks.brand.com:0/", "port"},
	    {"https://hooks.brand.com:22/", "port"},
	    {"https://hooks.brand.com:25/", "port"},
	    {"https://hooks.brand.com:1023/", "port"},
	    {"https://hooks.brand.com:65536/", "no URL"},
	    {"https://hooks.brand.com:-1/", "no URL"},
	    {"https://localhost/", "no name"},
	    {"https://localhost./", "no name"},
	    {"https://hooks/", "no name"},
	    {"https://github.io/", "no name"},
	    {"https://hooks_brand.com/", "no name"},
	    {"https://hooks..brand.com/", "no name"},
	    {"https://hooks.brand.com /", "printable"},
	    {"https://hooks.brand.com/\r\nX-Evil: 1", "printable"},
	    {"https://h\xc3\xa4user.brand.com/", "printable"},
	    {"https://127.0.0.1/", "not a public"},
	    {"https://127.0.0.1./", "no name"},
	    {"https://127.1/", "not a public"},
	    {"https://2130706433/", "not a public"},
	    {"https://0x7f000001/", "not a public"},
	    {"https://0177.0.0.1/", "not a public"},
	    {"https://0/", "not a public"},
	    {"https://10.1.2.3/", "not a public"},
	    {"https://100.64.0.1/", "not a public"},
	    {"https://169.254.169.254/latest/meta-data/", "not a public"},
	    {"https://172.16.0.1/", "not a public"},
	    {"https://192.168.0.1/", "not a public"},
	    {"https://224.0.0.1/", "not a public"},
	    {"https://255.255.255.255/", "not a public"},
	    {"https://[::1]/", "not a public"},
	    {"https://[::]/", "not a public"},
	    {"https://[::ffff:127.0.0.1]/", "not a public"},
	    {"https://[::ffff:a9fe:a9fe]/", "not a public"},
	    {"https://[::127.0.0.1]/", "not a public"},
	    {"https://[64:ff9b::10.0.0.1]/", "not a public"},
	    {"https://[2002:7f00:1::]/", "not a public"},
	    {"https://[fe80::1]/", "not a public"},
	    {"https://[fd00::1]/", "not a public"},
	    {"https://[ff02::1]/", "not a public"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (webhook_target_parse(&target, &strict, bad[i].url, &error) != R_INVALID)
			fail_msg("%s is taken as %s", bad[i].url, target.url);
		if (!strstr(error.text, bad[i].why))
			fail_msg("%s: %s", bad[i].url, error.text);
	}
}

static void url_has_a_longest(void **state)
{
	(void)state;
	char url[WEBHOOK_URL_MAX + 2];
	memset(url, 'a', sizeof url);
	memcpy(url, "https://hooks.brand.com/", 24);
	url[WEBHOOK_URL_MAX] = '\0';
	assert_int_equal(webhook_target_parse(&target, &strict, url, &error), R_OK);
	memcpy(url + WEBHOOK_URL_MAX, "a", 2);
	assert_int_equal(webhook_target_parse(&target, &strict, url, &error), R_INVALID);
	url[WEBHOOK_URL_MAX] = '\0';
	memcpy(url, "https://hooks.brand.com?", 24); /* a slash longer once it is normal */
	assert_int_equal(webhook_target_parse(&target, &strict, url, &error), R_INVALID);
	assert_string_equal(error.text, "is too long");
}

static void operator_allows_networks_and_http(void **state)
{
	(void)state;
	struct ip_range range;
	struct webhook_rules rules = allowing(&range, "10.1.0.0/16");
	assert_int_equal(webhook_target_parse(&target, &rules, "https://10.1.2.3:8080/", &error), R_OK);
	assert_int_equal(webhook_target_parse(&target, &rules, "https://[::ffff:10.1.2.3]/", &error), R_OK);
	assert_int_equal(webhook_target_parse(&target, &rules, "https://10.2.2.3/", &error), R_INVALID);
	assert_int_equal(webhook_target_parse(&target, &rules, "http://10.1.2.3/", &error), R_INVALID);
	rules.http = true;
	assert_int_equal(webhook_target_parse(&target, &rules, "http://10.1.2.3/", &error), R_OK);
	assert_int_equal(target.port, 80);
	assert_int_equal(webhook_target_parse(&target, &rules, "gopher://10.1.2.3/", &error), R_INVALID);
}

static bool reaches(const struct webhook_rules *rules, const char *text)
{
	unsigned char bytes[16];
	bool is_v6 = strchr(text, ':');
	assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, text, bytes), 1);
	return webhook_may_reach(rules, bytes, is_v6 ? 16 : 4);
}

static void connections_go_to_public_addresses_and_those_allowed(void **state)
{
	(void)state;
	static const char *const inner[] = {"127.0.0.1", "169.254.169.254", "10.0.0.1", "100.127.255.255",
	    "192.168.1.1", "0.0.0.0", "224.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1", "fc00::1",
	    "ff02::1"};
	struct ip_range range;
	for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
		if (reaches(&strict, inner[i]))
			fail_msg("%s", inner[i]);
	assert_true(reaches(&strict, "8.8.8.8"));
	assert_true(reaches(&strict, "2606:4700::1111"));
	struct webhook_rules rules = allowing(&range, "fd00:1::/32");
	assert_true(reaches(&rules, "fd00:1::7"));
	assert_false(reaches(&rules, "fd00:2::7"));
	rules = allowing(&range, "127.0.0.0/8");
	assert_true(reaches(&rules, "127.9.9.9"));
	assert_true(reaches(&rules, "::ffff:127.0.0.1"));
	assert_false(reaches(&rules, "::1"));
	assert_false(webhook_may_reach(&rules, (const unsigned char *)"", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(public_https_is_a_target),
	    cmocka_unit_test(what_is_refused_says_why),
	    cmocka_unit_test(url_has_a_longest),
	    cmocka_unit_test(operator_allows_networks_and_http),
	    cmocka_unit_test(connections_go_to_public_addresses_and_those_allowed),
	};
	return cmocka_run_group_tests_name("webhook_target", tests, NULL, NULL);
}
