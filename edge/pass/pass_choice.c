#include "edge/pass/pass_choice.h"

#include <string.h>

#include "edge/loop/name_hash.h"

static bool was_tried(const struct pass_choice *choice, const struct upstream_address *address)
{
	for (size_t i = 0; i < choice->tried_count; i++)
		if (choice->tried[i] == address)
			return true;
	return false;
}

static uint64_t candidates(const struct upstream_members *members, const struct pass_choice *choice)
{
	uint64_t well = 0;
	uint64_t any = 0;

	for (size_t i = 0; i < members->count; i++) {
		const struct upstream_address *address = members->addresses[i];

		if (upstream_address_is_down(address) || was_tried(choice, address))
			continue;
		any |= UINT64_C(1) << i;
		if (!upstream_address_is_ejected(address, choice->now_ms))
			well |= UINT64_C(1) << i;
	}
	return well ? well : any;
}

static int in_turn(uint64_t set, unsigned turn)
{
	for (unsigned skip = turn % (unsigned)__builtin_popcountll(set); skip > 0; skip--)
		set &= set - 1;
	return __builtin_ctzll(set);
}

static int of_session(const struct upstream_members *members, uint64_t set, const struct net_address *server)
{
	for (; set; set &= set - 1) {
		const struct net_address *one = &members->addresses[__builtin_ctzll(set)]->address;

		if (one->size == server->size && memcmp(&one->storage, &server->storage, server->size) == 0)
			return __builtin_ctzll(set);
	}
	return UPSTREAM_CHOICE_NONE;
}

/* What a client keeps while it changes ports, and with IPv6 the rest of its /64. IPv4 is the same, mapped or
 * not. */
static size_t put_client(unsigned char out[16], const struct net_address *client)
{
	enum { V6_NETWORK = 8, V4_MAPPED_AT = 12, V4 = 4 };

	if (client->storage.ss_family == AF_INET) {
		memcpy(out, &client->storage.v4.sin_addr, V4);
		return V4;
	}
	const struct in6_addr *ip = &client->storage.v6.sin6_addr;
	bool is_mapped = IN6_IS_ADDR_V4MAPPED(ip);
	memcpy(out, ip->s6_addr + (is_mapped ? V4_MAPPED_AT : 0), is_mapped ? V4 : V6_NETWORK);
	return is_mapped ? V4 : V6_NETWORK;
}

/* Rendezvous hashing: a server that goes or comes moves its own clients alone. The key is no secret, since
 * all nodes must choose alike; a client that picks its server gains nothing by it. */
static int of_client(const struct upstream_members *members, uint64_t set, const struct net_address *client)
{
	static const unsigned char key[16];
	unsigned char bytes[16 + NET_ADDRESS_TEXT];
	size_t size = put_client(bytes, client);
	uint64_t highest = 0;
	int best = __builtin_ctzll(set);

	for (; set; set &= set - 1) {
		int index = __builtin_ctzll(set);
		size_t text = strlen(members->addresses[index]->text);

		memcpy(bytes + size, members->addresses[index]->text, text);
		uint64_t hash = name_hash_keyed(key, bytes, size + text);
		if (hash <= highest)
			continue;
		highest = hash;
		best = index;
	}
	return best;
}

int pass_choose(const struct upstream_members *members, const struct pass_choice *choice)
{
	uint64_t set = candidates(members, choice);
	int index = UPSTREAM_CHOICE_NONE;

	if (set == 0)
		return UPSTREAM_CHOICE_NONE;
	if (choice->affinity == PASSTHROUGH_BY_CLIENT)
		return of_client(members, set, choice->client);
	if (choice->session)
		index = of_session(members, set, choice->session);
	return index == UPSTREAM_CHOICE_NONE ? in_turn(set, choice->turn) : index;
}
