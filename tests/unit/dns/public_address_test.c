/* What a request of our own may be sent to. */
#include "common/dns/public_address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

static bool is_public(const char *text)
{
	unsigned char bytes[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, text, bytes), 1);
	return public_address_is(bytes, family == AF_INET6 ? 16 : 4);
}

static void addresses_of_the_internet_are_public(void **state)
{
	(void)state;
	const char *const good[] = {"8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255",
	    "172.32.0.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255",
	    "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!is_public(good[i]))
			fail_msg("%s is not", good[i]);
}

static void what_is_set_aside_is_not(void **state)
{
	(void)state;
	const char *const bad[] = {"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254",
	    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1",
	    "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
	    "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2001::1", "::ffff:10.0.0.1",
	    "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::1", "2002:a00:1::1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (is_public(bad[i]))
			fail_msg("%s is public", bad[i]);
	assert_false(public_address_is((const unsigned char *)"", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_of_the_internet_are_public),
	    cmocka_unit_test(what_is_set_aside_is_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
