#include "common/net/ip_ranges.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

enum { RANGE_TEXT_MAX = 63 };

static const unsigned char mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool read_address(struct ip_range *out, const char *text)
{
	memset(out, 0, sizeof *out);
	out->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	out->bits = out->family == AF_INET6 ? 128 : 32;
	return inet_pton(out->family, text, out->bytes) == 1;
}

/* Of fewer than 96 bits it is a network of IPv6 that holds the mapped ones among others. */
static void unmap(struct ip_range *range)
{
	if (range->family != AF_INET6 || range->bits < 8 * sizeof mapped_prefix ||
	    memcmp(range->bytes, mapped_prefix, sizeof mapped_prefix) != 0)
		return;
	range->family = AF_INET;
	range->bits -= 8 * sizeof mapped_prefix;
	memmove(range->bytes, range->bytes + sizeof mapped_prefix, 4);
	memset(range->bytes + 4, 0, sizeof mapped_prefix);
}

static bool read_bits(struct ip_range *out, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 3 || text[digits] != '\0' || (digits > 1 && text[0] == '0'))
		return false;
	unsigned bits = (unsigned)strtoul(text, NULL, 10);
	if (bits > out->bits)
		return false;
	out->bits = bits;
	return true;
}

static bool has_bits_behind_prefix(const struct ip_range *range)
{
	unsigned size = range->family == AF_INET ? 32 : 128;

	for (unsigned bit = range->bits; bit < size; bit++)
		if (range->bytes[bit / 8] & (0x80 >> bit % 8))
			return true;
	return false;
}

enum result ip_range_parse(struct ip_range *out, const char *text, struct error *error)
{
	char address[RANGE_TEXT_MAX + 1];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);

	if (size > RANGE_TEXT_MAX) {
		error_set(error, "a network of %zu bytes is none: write 192.0.2.0/24 or 2001:db8::/32", size);
		return R_INVALID;
	}
	memcpy(address, text, size);
	address[size] = '\0';
	if (!read_address(out, address) || (slash && !read_bits(out, slash + 1))) {
		error_set(error, "`%s` is not a network: write 192.0.2.0/24 or 2001:db8::/32", text);
		return R_INVALID;
	}
	if (has_bits_behind_prefix(out)) {
		error_set(error, "`%s` has bits behind its prefix: write the network's first address, or /%d",
		    text, out->family == AF_INET ? 32 : 128);
		return R_INVALID;
	}
	unmap(out);
	return R_OK;
}

enum result ip_ranges_load(
    struct ip_ranges *out, const struct settings *settings, const char *setting, struct error *error)
{
	size_t count = settings_count(settings, setting);
	enum result result = R_OK;

	*out = (struct ip_ranges){0};
	if (count > IP_RANGES_MAX) {
		error_set(error, "%s: more than %d networks", setting, IP_RANGES_MAX);
		return R_LIMIT;
	}
	struct ip_range *ranges = mem_alloc_array(count, sizeof *ranges);
	out->ranges = ranges;
	while (result == R_OK && out->count < count) {
		result = ip_range_parse(
		    &ranges[out->count], settings_string_at(settings, setting, out->count), error);
		out->count++;
	}
	if (result == R_OK)
		return R_OK;
	error_prefix(error, "%s", setting);
	ip_ranges_fini(out);
	return result;
}

void ip_ranges_fini(struct ip_ranges *ranges)
{
	free((struct ip_range *)(uintptr_t)ranges->ranges);
	*ranges = (struct ip_ranges){0};
}

static bool read_socket_address(struct ip_range *out, const struct net_address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	out->family = address->storage.ss_family;
	if (out->family == AF_INET) {
		memcpy(&v4, &address->storage, sizeof v4);
		memcpy(out->bytes, &v4.sin_addr, 4);
		return true;
	}
	if (out->family != AF_INET6)
		return false;
	memcpy(&v6, &address->storage, sizeof v6);
	memcpy(out->bytes, &v6.sin6_addr, 16);
	out->bits = 128;
	unmap(out);
	return true;
}

static bool contains(const struct ip_range *range, const struct ip_range *address)
{
	unsigned whole = range->bits / 8;
	unsigned char mask = (unsigned char)(0xff00 >> range->bits % 8);

	if (range->family != address->family || memcmp(range->bytes, address->bytes, whole) != 0)
		return false;
	return range->bits % 8 == 0 || ((range->bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static bool any_contains(const struct ip_ranges *ranges, const struct ip_range *address)
{
	for (size_t i = 0; i < ranges->count; i++)
		if (contains(&ranges->ranges[i], address))
			return true;
	return false;
}

bool ip_ranges_contain(const struct ip_ranges *ranges, const struct net_address *address)
{
	struct ip_range wanted;

	return ranges->count > 0 && read_socket_address(&wanted, address) && any_contains(ranges, &wanted);
}

bool ip_ranges_contain_text(const struct ip_ranges *ranges, const char *address)
{
	struct ip_range wanted;

	if (ranges->count == 0 || !read_address(&wanted, address))
		return false;
	unmap(&wanted);
	return any_contains(ranges, &wanted);
}
