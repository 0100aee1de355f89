/*
 * The PROXY protocol's header in front of a connection: cut anywhere it means the same, what follows it
 * changes nothing, and addresses are those in the bytes.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "edge/conn/proxy_protocol.h"
#include "tests/fuzz/fuzz.h"

enum { TAIL = 9 };

struct outcome {
	enum result result;
	enum proxy_problem problem;
	size_t used;
	struct proxy_header header;
};

static struct outcome parse(const uint8_t *data, size_t size)
{
	struct outcome out;
	char *copy = fuzz_copy(data, size);

	out.result = proxy_header_parse(&out.header, copy, size, &out.used, &out.problem);
	free(copy);
	return out;
}

static bool same_address(const struct net_address *one, const struct net_address *other)
{
	return one->size == other->size && memcmp(&one->storage, &other->storage, one->size) == 0;
}

static void check_same(const struct outcome *one, const struct outcome *other)
{
	fuzz_check(one->result == other->result && one->problem == other->problem);
	if (one->result != R_OK)
		return;
	fuzz_check(one->used == other->used && one->header.local == other->header.local);
	fuzz_check(same_address(&one->header.source, &other->header.source));
	fuzz_check(same_address(&one->header.destination, &other->header.destination));
}

static void check_address(const struct net_address *address, const uint8_t *bytes, const uint8_t *port)
{
	const struct sockaddr_in *v4 = (const void *)&address->storage;
	const struct sockaddr_in6 *v6 = (const void *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		fuzz_check(memcmp(&v4->sin_addr, bytes, 4) == 0 && memcmp(&v4->sin_port, port, 2) == 0);
	else
		fuzz_check(memcmp(&v6->sin6_addr, bytes, 16) == 0 && memcmp(&v6->sin6_port, port, 2) == 0);
}

static void check_accepted(const struct outcome *out, const uint8_t *data, size_t size)
{
	const struct proxy_header *header = &out->header;
	bool is_text = data[0] == 'P';

	fuzz_check(out->problem == PROXY_OK && out->used <= size && out->used > 0);
	fuzz_check(out->used <= (is_text ? PROXY_V1_MAX : PROXY_HEADER_MAX));
	if (header->local)
		return;
	int family = header->source.storage.ss_family;
	size_t length = family == AF_INET ? 4 : 16;
	fuzz_check(family == AF_INET || family == AF_INET6);
	fuzz_check(family == header->destination.storage.ss_family);
	if (is_text)
		return;
	fuzz_check(out->used >= 16 + 2 * length + 4);
	check_address(&header->source, data + 16, data + 16 + 2 * length);
	check_address(&header->destination, data + 16 + length, data + 18 + 2 * length);
}

static void check_tail(const struct outcome *whole, const uint8_t *data)
{
	uint8_t *longer = malloc(whole->used + TAIL);

	memcpy(longer, data, whole->used);
	memset(longer + whole->used, 0x16, TAIL);
	struct outcome out = parse(longer, whole->used + TAIL);
	check_same(&out, whole);
	free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct outcome whole = parse(data, size);
	fuzz_check((whole.result == R_INVALID) == (whole.problem != PROXY_OK));
	fuzz_check(whole.result != R_AGAIN || size < PROXY_HEADER_MAX);
	if (whole.result == R_OK) {
		check_accepted(&whole, data, size);
		check_tail(&whole, data);
	}
	for (size_t cut = 1; cut < size; cut += 1 + cut / 64) {
		struct outcome part = parse(data, cut);
		bool is_decided = part.result != R_AGAIN;

		if (is_decided)
			check_same(&part, &whole);
		fuzz_check(is_decided || whole.result != R_OK || cut < whole.used);
	}
	return 0;
}
