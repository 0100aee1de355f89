#include "edge/conn/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static const char v1_start[] = "PROXY ";
static const unsigned char v2_start[12] = {
    '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum {
	V1_START = sizeof v1_start - 1,
	V2_FIXED = 16, /* signature, version and command, family, length */
	COMMAND_LOCAL = 0,
	COMMAND_PROXY = 1,
	FAMILY_UNKNOWN = 0x00,
	FAMILY_TCP4 = 0x11,
	FAMILY_TCP6 = 0x21,
	FAMILY_UNIX = 0x31,
	TLV_FIXED = 3,
	TLV_CRC32C = 0x03,
};

const char *proxy_problem_name(enum proxy_problem problem)
{
	switch (problem) {
	case PROXY_OK: break;
	case PROXY_NO_HEADER: return "proxy_missing";
	case PROXY_BAD_LINE: return "proxy_line";
	case PROXY_BAD_VERSION: return "proxy_version";
	case PROXY_BAD_COMMAND: return "proxy_command";
	case PROXY_BAD_FAMILY: return "proxy_family";
	case PROXY_BAD_LENGTH: return "proxy_length";
	case PROXY_TOO_LONG: return "proxy_too_long";
	case PROXY_BAD_CHECKSUM: return "proxy_checksum";
	}
	return "proxy";
}

static enum result refuse(enum proxy_problem *out, enum proxy_problem problem)
{
	*out = problem;
	return R_INVALID;
}

static void set_v4(struct net_address *out, const void *address, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&v4.sin_addr, address, 4);
	memset(out, 0, sizeof *out);
	memcpy(&out->storage, &v4, sizeof v4);
	out->size = sizeof v4;
}

static void set_v6(struct net_address *out, const void *address, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&v6.sin6_addr, address, 16);
	memset(out, 0, sizeof *out);
	memcpy(&out->storage, &v6, sizeof v6);
	out->size = sizeof v6;
}

/* ---- version 1: a line of text */

/* The next word of the line, up to a single space or, for the last one, to the line's end. */
static bool take_word(const char **at, const char *end, bool last, char *out, size_t room)
{
	const char *stop = memchr(*at, ' ', (size_t)(end - *at));
	size_t size = (size_t)((stop ? stop : end) - *at);

	if ((stop == NULL) != last || size == 0 || size >= room)
		return false;
	memcpy(out, *at, size);
	out[size] = '\0';
	*at = stop ? stop + 1 : end;
	return true;
}

static bool read_port(const char *text, uint16_t *out)
{
	unsigned number = 0;

	if (text[0] == '0' && text[1] != '\0')
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || number > UINT16_MAX)
			return false;
		number = number * 10 + (unsigned)(*text - '0');
	}
	*out = (uint16_t)number;
	return number <= UINT16_MAX;
}

static bool read_v1_addresses(struct proxy_header *out, int family, const char *at, const char *end)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], port[2][6];
	unsigned char bytes[2][16];
	uint16_t ports[2];

	if (!take_word(&at, end, false, source, sizeof source) ||
	    !take_word(&at, end, false, destination, sizeof destination) ||
	    !take_word(&at, end, false, port[0], sizeof port[0]) ||
	    !take_word(&at, end, true, port[1], sizeof port[1]))
		return false;
	if (inet_pton(family, source, bytes[0]) != 1 || inet_pton(family, destination, bytes[1]) != 1 ||
	    !read_port(port[0], &ports[0]) || !read_port(port[1], &ports[1]))
		return false;
	void (*set)(struct net_address *, const void *, uint16_t) = family == AF_INET ? set_v4 : set_v6;
	set(&out->source, bytes[0], ports[0]);
	set(&out->destination, bytes[1], ports[1]);
	return true;
}

static bool has_word(const char *at, const char *end, const char *word)
{
	size_t size = strlen(word);

	return (size_t)(end - at) >= size && memcmp(at, word, size) == 0;
}

/* What follows UNKNOWN is to be ignored up to the line's end. */
static bool read_v1_line(struct proxy_header *out, const char *at, const char *end)
{
	out->local = end - at >= 7 && has_word(at, end, "UNKNOWN") && (end - at == 7 || at[7] == ' ');
	if (out->local)
		return true;
	if (has_word(at, end, "TCP4 "))
		return read_v1_addresses(out, AF_INET, at + 5, end);
	if (has_word(at, end, "TCP6 "))
		return read_v1_addresses(out, AF_INET6, at + 5, end);
	return false;
}

static enum result parse_v1(
    struct proxy_header *out, const char *bytes, size_t size, size_t *used, enum proxy_problem *problem)
{
	const char *end = memchr(bytes, '\n', size < PROXY_V1_MAX ? size : PROXY_V1_MAX);

	if (!end)
		return size < PROXY_V1_MAX ? R_AGAIN : refuse(problem, PROXY_BAD_LINE);
	if (end[-1] != '\r' || memchr(bytes, '\0', (size_t)(end - bytes)) ||
	    !read_v1_line(out, bytes + V1_START, end - 1))
		return refuse(problem, PROXY_BAD_LINE);
	*used = (size_t)(end + 1 - bytes);
	return R_OK;
}

/* ---- version 2: binary, with type-length-value vectors behind the addresses */

static unsigned read_16(const unsigned char *bytes)
{
	return (unsigned)bytes[0] << 8 | bytes[1];
}

/* CRC-32C, reflected polynomial 0x82f63b78, a nibble at a time: a header in a connection's life. */
static uint32_t crc32c_add(uint32_t crc, const unsigned char *bytes, size_t size)
{
	static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc,
	    0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4,
	    0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* The sum is that of the whole header with the sum's own four bytes as zeros. */
static bool checksum_fits(const unsigned char *header, size_t size, const unsigned char *sum)
{
	static const unsigned char zeros[4];
	size_t before = (size_t)(sum - header);
	uint32_t crc = crc32c_add(UINT32_MAX, header, before);

	crc = crc32c_add(crc, zeros, sizeof zeros);
	crc = ~crc32c_add(crc, sum + 4, size - before - 4);
	return crc == ((uint32_t)read_16(sum) << 16 | read_16(sum + 2));
}

/* Every vector must fit; none but the checksum is read: the rest (ALPN, authority, unique id, TLS, AWS' VPC
 * endpoint) says nothing that we decide by. */
static enum proxy_problem read_vectors(const unsigned char *header, size_t at, size_t size)
{
	bool has_sum = false;

	while (at < size) {
		if (size - at < TLV_FIXED)
			return PROXY_BAD_LENGTH;
		size_t length = read_16(header + at + 1);
		const unsigned char *value = header + at + TLV_FIXED;
		if (length > size - at - TLV_FIXED)
			return PROXY_BAD_LENGTH;
		if (header[at] == TLV_CRC32C) {
			if (has_sum || length != 4 || !checksum_fits(header, size, value))
				return PROXY_BAD_CHECKSUM;
			has_sum = true;
		}
		at += TLV_FIXED + length;
	}
	return PROXY_OK;
}

static enum result read_proxied(
    struct proxy_header *out, const unsigned char *header, size_t size, enum proxy_problem *problem)
{
	const unsigned char *address = header + V2_FIXED;
	size_t address_size = header[13] == FAMILY_TCP4 ? 4 : 16;
	size_t addresses_end = V2_FIXED + 2 * address_size + 4;
	const unsigned char *ports = header + V2_FIXED + 2 * address_size;

	if (size < addresses_end)
		return refuse(problem, PROXY_BAD_LENGTH);
	*problem = read_vectors(header, addresses_end, size);
	if (*problem != PROXY_OK)
		return R_INVALID;
	void (*set)(struct net_address *, const void *, uint16_t) = address_size == 4 ? set_v4 : set_v6;
	set(&out->source, address, (uint16_t)read_16(ports));
	set(&out->destination, address + address_size, (uint16_t)read_16(ports + 2));
	return R_OK;
}

/* A receiver of LOCAL discards the whole block, whatever family it claims; a proxy that does not know
 * (UNSPEC) or whose client came by a Unix socket has no address to tell. */
static enum result parse_v2(struct proxy_header *out, const unsigned char *bytes, size_t size, size_t *used,
    enum proxy_problem *problem)
{
	if (size > 12 && bytes[12] >> 4 != 2)
		return refuse(problem, PROXY_BAD_VERSION);
	if (size > 12 && (bytes[12] & 15) > COMMAND_PROXY)
		return refuse(problem, PROXY_BAD_COMMAND);
	if (size < V2_FIXED)
		return R_AGAIN;
	size_t whole = V2_FIXED + read_16(bytes + 14);
	if (whole > PROXY_HEADER_MAX)
		return refuse(problem, PROXY_TOO_LONG);
	if (size < whole)
		return R_AGAIN;
	*used = whole;
	unsigned family = bytes[13];
	out->local = (bytes[12] & 15) == COMMAND_LOCAL || family == FAMILY_UNKNOWN || family == FAMILY_UNIX;
	if (out->local)
		return R_OK;
	if (family != FAMILY_TCP4 && family != FAMILY_TCP6)
		return refuse(problem, PROXY_BAD_FAMILY);
	return read_proxied(out, bytes, whole, problem);
}

static bool begins_with(const void *bytes, size_t size, const void *start, size_t start_size)
{
	return memcmp(bytes, start, size < start_size ? size : start_size) == 0;
}

enum result proxy_header_parse(
    struct proxy_header *out, const void *bytes, size_t size, size_t *used, enum proxy_problem *problem)
{
	memset(out, 0, sizeof *out);
	*used = 0;
	*problem = PROXY_OK;
	if (begins_with(bytes, size, v2_start, sizeof v2_start))
		return size < sizeof v2_start ? R_AGAIN : parse_v2(out, bytes, size, used, problem);
	if (begins_with(bytes, size, v1_start, V1_START))
		return size < V1_START ? R_AGAIN : parse_v1(out, bytes, size, used, problem);
	return refuse(problem, PROXY_NO_HEADER);
}
