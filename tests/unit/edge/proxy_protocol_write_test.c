#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "edge/conn/proxy_protocol.h"
#include "edge/upstream/proxy_protocol_write.h"

static struct net_address at(const char *text)
{
	struct net_address address;

	assert_int_equal(net_parse_address(&address, text, NULL), R_OK);
	return address;
}

/* What is written is what our own reader reads. */
static void expect(
    const char *client, const char *local, size_t size, const char *read_client, const char *read_local)
{
	unsigned char bytes[PROXY_V2_MAX];
	struct net_address from = at(client);
	struct net_address to = at(local);
	struct proxy_header header;
	enum proxy_problem problem = PROXY_OK;
	char text[NET_ADDRESS_TEXT];
	size_t used = 0;

	assert_int_equal(proxy_v2_write(bytes, &from, &to), size);
	assert_int_equal(proxy_header_parse(&header, bytes, size, &used, &problem), R_OK);
	assert_int_equal(used, size);
	assert_false(header.local);
	assert_string_equal(net_format_address(&header.source, text), read_client);
	assert_string_equal(net_format_address(&header.destination, text), read_local);
}

static void an_ipv4_client_is_told_in_28_bytes(void **state)
{
	static const unsigned char expected[28] =
	    "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\x04\xd2\x01\xbb";
	unsigned char bytes[PROXY_V2_MAX];
	struct net_address from = at("192.0.2.7:1234");
	struct net_address to = at("127.0.0.1:443");

	(void)state;
	assert_int_equal(proxy_v2_write(bytes, &from, &to), sizeof expected);
	assert_memory_equal(bytes, expected, sizeof expected);
	expect("192.0.2.7:1234", "127.0.0.1:443", 28, "192.0.2.7:1234", "127.0.0.1:443");
}

static void an_ipv6_client_is_told_in_52_bytes(void **state)
{
	(void)state;
	expect("[2001:db8::7]:1234", "[2001:db8::1]:443", 52, "[2001:db8::7]:1234", "[2001:db8::1]:443");
}

static void a_mapped_address_is_ipv4(void **state)
{
	(void)state;
	expect("[::ffff:192.0.2.7]:1234", "127.0.0.1:443", 28, "192.0.2.7:1234", "127.0.0.1:443");
}

static void of_two_families_both_become_ipv6(void **state)
{
	(void)state;
	expect("[2001:db8::7]:1234", "127.0.0.1:443", 52, "[2001:db8::7]:1234", "127.0.0.1:443");
}

static void a_connection_of_our_own_is_local(void **state)
{
	unsigned char bytes[PROXY_V2_MAX];
	struct proxy_header header;
	enum proxy_problem problem = PROXY_OK;
	size_t used = 0;

	(void)state;
	assert_int_equal(proxy_v2_write(bytes, NULL, NULL), 16);
	assert_int_equal(proxy_header_parse(&header, bytes, 16, &used, &problem), R_OK);
	assert_true(header.local);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_ipv4_client_is_told_in_28_bytes),
	    cmocka_unit_test(an_ipv6_client_is_told_in_52_bytes),
	    cmocka_unit_test(a_mapped_address_is_ipv4),
	    cmocka_unit_test(of_two_families_both_become_ipv6),
	    cmocka_unit_test(a_connection_of_our_own_is_local),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
