#include "common/dns/rdata.h"

#include <ctype.h>
#include <string.h>

#include "common/base/mem.h"

struct resolver_value rdata_read_text(const unsigned char *rdata, size_t size)
{
	struct resolver_value value = {.bytes = mem_alloc(size + 1)};
	for (size_t at = 0; at < size;) {
		size_t length = rdata[at++];
		if (length > size - at)
			length = size - at;
		memcpy(value.bytes + value.size, rdata + at, length);
		value.size += length;
		at += length;
	}
	return value;
}

struct resolver_value rdata_read_name(const unsigned char *rdata, size_t size)
{
	struct resolver_value value = {.bytes = mem_alloc(size + 1)};
	for (size_t at = 0; at < size && rdata[at] > 0 && rdata[at] < size - at;) {
		size_t length = rdata[at++];
		if (value.size > 0)
			value.bytes[value.size++] = '.';
		for (size_t i = 0; i < length; i++, at++)
			value.bytes[value.size++] =
			    rdata[at] == '.' ? '\\' : (unsigned char)tolower(rdata[at]);
	}
	return value;
}
