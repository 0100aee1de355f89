#include "common/dns/public_address.h"

#include <stdint.h>
#include <string.h>

struct range {
	unsigned char start[4];
	int bits;
};

static const struct range set_aside[] = {
    {{0, 0, 0, 0}, 8},
    {{10, 0, 0, 0}, 8},
    {{100, 64, 0, 0}, 10},
    {{127, 0, 0, 0}, 8},
    {{169, 254, 0, 0}, 16},
    {{172, 16, 0, 0}, 12},
    {{192, 0, 0, 0}, 24},
    {{192, 0, 2, 0}, 24},
    {{192, 168, 0, 0}, 16},
    {{198, 18, 0, 0}, 15},
    {{198, 51, 100, 0}, 24},
    {{203, 0, 113, 0}, 24},
    {{224, 0, 0, 0}, 3},
};

static uint32_t number(const unsigned char bytes[4])
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_public4(const unsigned char bytes[4])
{
	for (size_t i = 0; i < sizeof set_aside / sizeof *set_aside; i++)
		if ((number(bytes) ^ number(set_aside[i].start)) >> (32 - set_aside[i].bits) == 0)
			return false;
	return true;
}

/* 2000::/3 is all that is given out; in it, and beside it, some prefixes carry an IPv4 address. */
static bool is_public6(const unsigned char bytes[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	if (memcmp(bytes, mapped, sizeof mapped) == 0 || memcmp(bytes, nat64, sizeof nat64) == 0)
		return is_public4(bytes + 12);
	if (bytes[0] == 0x20 && bytes[1] == 0x02)
		return is_public4(bytes + 2);
	bool is_documentation = memcmp(bytes, "\x20\x01\x0d\xb8", 4) == 0;
	bool is_protocols = bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02;
	return (bytes[0] & 0xe0) == 0x20 && !is_documentation && !is_protocols;
}

bool public_address_is(const unsigned char *bytes, size_t size)
{
	return size == 4 ? is_public4(bytes) : size == 16 && is_public6(bytes);
}
