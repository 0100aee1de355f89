#include "edge/upstream/upstream_choice.h"

#include <stdlib.h>

_Static_assert(UPSTREAM_ADDRESSES_MAX == 64, "a set of addresses is a word of 64 bits");

struct upstream_members *upstream_members_ref(struct upstream_members *members)
{
	atomic_fetch_add_explicit(&members->references, 1, memory_order_relaxed);
	return members;
}

void upstream_members_unref(struct upstream_members *members)
{
	if (!members || atomic_fetch_sub_explicit(&members->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < members->count; i++)
		upstream_address_unref(members->addresses[i]);
	free(members);
}

/* xorshift64*: cheap, and nobody gains by guessing it. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717) >> 32;
}

static bool was_tried(const struct upstream_choice *choice, const struct upstream_address *address)
{
	for (size_t i = 0; i < choice->tried_count; i++)
		if (choice->tried[i] == address)
			return true;
	return false;
}

/* The sets that a request may choose from, best first. */
struct candidates {
	uint64_t admitted; /* well, and those that start slowly as far as the dice let them */
	uint64_t well;
	uint64_t any; /* ejected ones too */
};

static void sort_in(struct candidates *candidates, const struct upstream_address *address, uint64_t bit,
    const struct upstream_choice *choice)
{
	if (upstream_address_is_down(address) || was_tried(choice, address))
		return;
	candidates->any |= bit;
	if (upstream_address_is_ejected(address, choice->now_ms))
		return;
	candidates->well |= bit;
	int weight = upstream_address_weight(address, choice->now_ms, choice->slow_start_ms);
	if (weight == UPSTREAM_WEIGHT_FULL || (int)(draw(choice->random) % UPSTREAM_WEIGHT_FULL) < weight)
		candidates->admitted |= bit;
}

/* One of the set at random, which leaves it. */
static int take_one(uint64_t *set, uint64_t *random)
{
	uint64_t rest = *set;

	for (uint64_t skip = draw(random) % (unsigned)__builtin_popcountll(*set); skip > 0; skip--)
		rest &= rest - 1;
	int index = __builtin_ctzll(rest);
	*set &= ~(UINT64_C(1) << index);
	return index;
}

static int outstanding(const struct upstream_members *members, int index)
{
	return atomic_load_explicit(&members->addresses[index]->outstanding, memory_order_relaxed);
}

int upstream_choose(const struct upstream_members *members, const struct upstream_choice *choice)
{
	struct candidates candidates = {0};

	for (size_t i = 0; i < members->count; i++)
		sort_in(&candidates, members->addresses[i], UINT64_C(1) << i, choice);
	uint64_t set = candidates.admitted ? candidates.admitted
		       : candidates.well   ? candidates.well
					   : candidates.any;
	if (set == 0)
		return UPSTREAM_CHOICE_NONE;
	int first = take_one(&set, choice->random);
	if (set == 0)
		return first;
	int second = take_one(&set, choice->random);
	return outstanding(members, second) < outstanding(members, first) ? second : first;
}
