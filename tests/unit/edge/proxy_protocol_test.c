#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/conn/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 "\x21\x11"
#define TCP6 "\x21\x21"
#define ADDRESSES4 "\xc0\x00\x02\x07\xc6\x33\x64\x01\x30\x39\x01\xbb"

struct bytes {
	const char *at;
	size_t size;
};
#define BYTES(text) ((struct bytes){(text), sizeof(text) - 1})

/* Split at every byte: only the whole header is one, and all before it asks for more. */
static enum result feed(
    struct proxy_header *header, struct bytes in, size_t *used, enum proxy_problem *problem)
{
	enum result whole = proxy_header_parse(header, in.at, in.size, used, problem);
	enum result result = R_AGAIN;
	struct proxy_header piece;
	enum proxy_problem why;
	size_t taken = 0;
	size_t size = 0;

	while (result == R_AGAIN && size < in.size)
		result = proxy_header_parse(&piece, in.at, ++size, &taken, &why);
	if (result != whole || why != *problem)
		fail_msg("whole: %d (%d), in pieces: %d (%d) after %zu", whole, *problem, result, why, size);
	if (whole == R_OK && (taken != *used || size != *used))
		fail_msg("used %zu whole, %zu in pieces", *used, taken);
	return whole;
}

static void expect_addresses(struct bytes in, size_t used_wanted, const char *source, const char *destination)
{
	struct proxy_header header;
	enum proxy_problem problem;
	char text[NET_ADDRESS_TEXT];
	size_t used = 0;

	if (feed(&header, in, &used, &problem) != R_OK)
		fail_msg("refused: %s", proxy_problem_name(problem));
	assert_int_equal(used, used_wanted);
	assert_false(header.local);
	assert_string_equal(net_format_address(&header.source, text), source);
	assert_string_equal(net_format_address(&header.destination, text), destination);
}

static void expect_local(struct bytes in, size_t used_wanted)
{
	struct proxy_header header;
	enum proxy_problem problem;
	size_t used = 0;

	if (feed(&header, in, &used, &problem) != R_OK)
		fail_msg("refused: %s", proxy_problem_name(problem));
	assert_int_equal(used, used_wanted);
	assert_true(header.local);
}

static void expect_refused(struct bytes in, enum proxy_problem wanted)
{
	struct proxy_header header;
	enum proxy_problem problem;
	size_t used = 0;
	enum result result = feed(&header, in, &used, &problem);

	if (result != R_INVALID || problem != wanted)
		fail_msg("%d (%s) instead of %s: %.*s", result, proxy_problem_name(problem),
		    proxy_problem_name(wanted), (int)in.size, in.at);
}

static void lines_tell_addresses(void **state)
{
	(void)state;
	expect_addresses(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\r\nGET"), 45, "192.0.2.7:12345",
	    "198.51.100.1:443");
	expect_addresses(BYTES("PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n"), 44, "[2001:db8::7]:0",
	    "[2001:db8::1]:65535");
}

static void the_longest_line_fits_and_a_longer_one_is_refused(void **state)
{
	static const char longest[] = "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
	char longer[PROXY_V1_MAX + 1];

	(void)state;
	assert_int_equal(sizeof longest - 1, PROXY_V1_MAX);
	expect_local(BYTES(longest), PROXY_V1_MAX);
	memset(longer, 'x', sizeof longer);
	memcpy(longer, "PROXY UNKNOWN ", 14);
	memcpy(longer + PROXY_V1_MAX - 1, "\r\n", 2);
	expect_refused((struct bytes){longer, sizeof longer}, PROXY_BAD_LINE);
}

static void a_line_without_addresses_keeps_the_sockets(void **state)
{
	(void)state;
	expect_local(BYTES("PROXY UNKNOWN\r\n"), 15);
	expect_local(BYTES("PROXY UNKNOWN anything at all\r\n"), 31);
}

static void malformed_lines_are_refused(void **state)
{
	static const char *const lines[] = {
	    "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443 1\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 12345 443 \r\n",
	    "PROXY TCP4  192.0.2.7 198.51.100.1 12345 443\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 012 443\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
	    "PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
	    "PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
	    "PROXY TCP4 192.0.2 198.51.100.1 1 443\r\n",
	    "PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n",
	    "PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n",
	    "PROXY TCP6 fe80::1%lo 2001:db8::1 1 443\r\n",
	    "PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n",
	    "PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n",
	    "PROXY UNKNOWNX\r\n",
	    "PROXY unknown\r\n",
	    "PROXY \r\n",
	    "PROXY TCP4\r\n",
	    "PROXY TCP4 \r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		expect_refused((struct bytes){lines[i], strlen(lines[i])}, PROXY_BAD_LINE);
	expect_refused(BYTES("PROXY TCP4 192.0.2.7\0 198.51.100.1 1 443\r\n"), PROXY_BAD_LINE);
}

static void other_protocols_are_seen_at_the_first_byte_that_differs(void **state)
{
	static const char *const starts[] = {
	    "G", "PRI * HTTP/2.0", "PROXz", "proxy ", "\x16\x03\x01", "\r\n\r\nX"};
	struct proxy_header header;
	enum proxy_problem problem;
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
		assert_int_equal(
		    proxy_header_parse(&header, starts[i], strlen(starts[i]), &used, &problem), R_INVALID);
		assert_int_equal(problem, PROXY_NO_HEADER);
	}
}

static void headers_tell_addresses(void **state)
{
	(void)state;
	expect_addresses(BYTES(SIGNATURE TCP4 "\0\x0c" ADDRESSES4 "\x16\x03\x01"), 28, "192.0.2.7:12345",
	    "198.51.100.1:443");
	expect_addresses(BYTES(SIGNATURE TCP6 "\0\x24"
					      "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
					      "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
					      "\x30\x39\x01\xbb"),
	    52, "[2001:db8::7]:12345", "[2001:db8::1]:443");
}

#define VECTOR_ALPN "\x01\0\x08http/1.1"
#define VECTOR_AWS "\xea\0\x17\x01vpce-0123456789abcdef0"
#define VECTOR_NOOP \
	"\x04\0\x03" \
	"abc"

static void vectors_are_skipped(void **state)
{
	(void)state;
	expect_addresses(BYTES(SIGNATURE TCP4 "\0\x37" ADDRESSES4 VECTOR_ALPN VECTOR_AWS VECTOR_NOOP), 71,
	    "192.0.2.7:12345", "198.51.100.1:443");
}

static void vectors_that_do_not_fit_are_refused(void **state)
{
	(void)state;
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x0d" ADDRESSES4 "\x01"), PROXY_BAD_LENGTH);
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x0e" ADDRESSES4 "\x01\0"), PROXY_BAD_LENGTH);
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x0f" ADDRESSES4 "\x01\0\x01"), PROXY_BAD_LENGTH);
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x10" ADDRESSES4 "\x01\xff\xff"
					    "x"),
	    PROXY_BAD_LENGTH);
}

/* The remainder of the long division, a bit at a time: the definition rather than the table. */
static uint32_t crc32c_by_definition(const unsigned char *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

static size_t with_checksum(unsigned char out[64], size_t at)
{
	static const char start[] = SIGNATURE TCP4 "\0\x1e" ADDRESSES4 VECTOR_ALPN "\x03\0\x04\0\0\0\0";
	size_t size = sizeof start - 1;

	memcpy(out, start, size);
	uint32_t sum = crc32c_by_definition(out, size);
	for (int i = 0; i < 4; i++)
		out[at + (size_t)i] = (unsigned char)(sum >> (24 - 8 * i));
	return size;
}

static void a_right_checksum_is_taken_and_any_flipped_bit_refused(void **state)
{
	unsigned char header[64];
	struct proxy_header parsed;
	enum proxy_problem problem;
	size_t used = 0;
	size_t size = with_checksum(header, 42);

	(void)state;
	assert_int_equal(crc32c_by_definition((const unsigned char *)"123456789", 9), 0xe3069283);
	expect_addresses(
	    (struct bytes){(const char *)header, size}, 46, "192.0.2.7:12345", "198.51.100.1:443");
	for (size_t bit = 16 * 8; bit < size * 8; bit++) {
		header[bit / 8] ^= (unsigned char)(1 << bit % 8);
		enum result result = proxy_header_parse(&parsed, header, size, &used, &problem);
		bool hits_vector_heads = (bit / 8 >= 28 && bit / 8 < 31) || (bit / 8 >= 39 && bit / 8 < 42);
		if (result != R_INVALID && !hits_vector_heads)
			fail_msg("bit %zu", bit);
		header[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

static void checksums_of_another_size_or_number_are_refused(void **state)
{
	(void)state;
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x12" ADDRESSES4 "\x03\0\x03\0\0\0"), PROXY_BAD_CHECKSUM);
	expect_refused(BYTES(SIGNATURE TCP4 "\0\x13" ADDRESSES4 "\x03\0\x04\0\0\0\0"), PROXY_BAD_CHECKSUM);
}

static void every_length_below_the_addresses_is_refused(void **state)
{
	char header[64] = SIGNATURE TCP4;
	size_t count = 0;

	(void)state;
	for (int family = 0; family < 2; family++) {
		size_t least = family == 0 ? 12 : 36;

		header[13] = family == 0 ? 0x11 : 0x21;
		for (size_t length = 0; length < least; length++, count++) {
			header[15] = (char)length;
			expect_refused((struct bytes){header, 16 + length}, PROXY_BAD_LENGTH);
		}
	}
	assert_int_equal(count, 48);
}

static void health_checks_keep_the_sockets_addresses(void **state)
{
	/* AWS NLB: LOCAL, but family 0x11 and 84 bytes that look like addresses and vectors. */
	char nlb[16 + 84 + 3] = SIGNATURE "\x20\x11\0\x54";

	(void)state;
	memset(nlb + 16, 0xff, 84);
	expect_local((struct bytes){nlb, sizeof nlb}, 100);
	expect_local(BYTES(SIGNATURE "\x20\0\0\0"), 16);
	expect_local(BYTES(SIGNATURE "\x21\0\0\x03"
				     "abc"),
	    19);
	expect_local(BYTES(SIGNATURE "\x20\x99\0\0"), 16);
	expect_local(BYTES(SIGNATURE "\x21\x31\0\x04"
				     "unix"),
	    20);
}

static void other_versions_commands_and_families_are_refused(void **state)
{
	(void)state;
	expect_refused(BYTES(SIGNATURE "\x11\x11\0\x0c" ADDRESSES4), PROXY_BAD_VERSION);
	expect_refused(BYTES(SIGNATURE "\x31\x11\0\x0c" ADDRESSES4), PROXY_BAD_VERSION);
	expect_refused(BYTES(SIGNATURE "\x22\x11\0\x0c" ADDRESSES4), PROXY_BAD_COMMAND);
	expect_refused(BYTES(SIGNATURE "\x2f\x11\0\x0c" ADDRESSES4), PROXY_BAD_COMMAND);
	expect_refused(BYTES(SIGNATURE "\x21\x12\0\x0c" ADDRESSES4), PROXY_BAD_FAMILY);
	expect_refused(BYTES(SIGNATURE "\x21\x22\0\x00"), PROXY_BAD_FAMILY);
	expect_refused(BYTES(SIGNATURE "\x21\x41\0\x00"), PROXY_BAD_FAMILY);
	expect_refused(BYTES(SIGNATURE "\x21\x10\0\x0c" ADDRESSES4), PROXY_BAD_FAMILY);
}

static void the_longest_header_fits_and_a_longer_one_is_refused_at_its_length(void **state)
{
	char header[PROXY_HEADER_MAX] = SIGNATURE TCP4 "\x0f\xf0" ADDRESSES4 "\x04\x0f\xe1";
	struct proxy_header parsed;
	enum proxy_problem problem;
	size_t used = 0;

	(void)state;
	assert_int_equal(proxy_header_parse(&parsed, header, sizeof header, &used, &problem), R_OK);
	assert_int_equal(used, sizeof header);
	assert_int_equal(proxy_header_parse(&parsed, header, sizeof header - 1, &used, &problem), R_AGAIN);
	header[15] = (char)0xf1;
	assert_int_equal(proxy_header_parse(&parsed, header, 16, &used, &problem), R_INVALID);
	assert_int_equal(problem, PROXY_TOO_LONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_tell_addresses),
	    cmocka_unit_test(the_longest_line_fits_and_a_longer_one_is_refused),
	    cmocka_unit_test(a_line_without_addresses_keeps_the_sockets),
	    cmocka_unit_test(malformed_lines_are_refused),
	    cmocka_unit_test(other_protocols_are_seen_at_the_first_byte_that_differs),
	    cmocka_unit_test(headers_tell_addresses),
	    cmocka_unit_test(vectors_are_skipped),
	    cmocka_unit_test(vectors_that_do_not_fit_are_refused),
	    cmocka_unit_test(a_right_checksum_is_taken_and_any_flipped_bit_refused),
	    cmocka_unit_test(checksums_of_another_size_or_number_are_refused),
	    cmocka_unit_test(every_length_below_the_addresses_is_refused),
	    cmocka_unit_test(health_checks_keep_the_sockets_addresses),
	    cmocka_unit_test(other_versions_commands_and_families_are_refused),
	    cmocka_unit_test(the_longest_header_fits_and_a_longer_one_is_refused_at_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
