#include "edge/pass/pass_circles.h"

#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

struct pass_circles {
	unsigned char key[16]; /* clients choose the bytes: they do not choose the slot */
	/* A mark each, and in its last bits how often it is on its way. */
	_Atomic uint64_t slots[PASS_CIRCLES_MAX];
};

enum { COUNT_MASK = 0xff };

struct pass_circles *pass_circles_new(void)
{
	struct pass_circles *circles = mem_alloc(sizeof *circles);

	if (RAND_bytes(circles->key, sizeof circles->key) != 1)
		abort();
	return circles;
}

void pass_circles_free(struct pass_circles *circles)
{
	free(circles);
}

static _Atomic uint64_t *slot_of(struct pass_circles *circles, uint64_t mark)
{
	return &circles->slots[mark / (COUNT_MASK + 1) % PASS_CIRCLES_MAX];
}

static uint64_t mark_of(uint64_t slot)
{
	return slot & ~(uint64_t)COUNT_MASK;
}

bool pass_circles_enter(struct pass_circles *circles, const uint8_t random[PASS_RANDOM_SIZE], uint64_t *mark)
{
	*mark = mark_of(name_hash_keyed(circles->key, random, PASS_RANDOM_SIZE));
	_Atomic uint64_t *slot = slot_of(circles, *mark);
	uint64_t was = atomic_load(slot);
	uint64_t now = 0;

	do {
		now = mark_of(was) == *mark ? was + 1 : *mark + 1;
		if ((now & COUNT_MASK) > PASS_TURNS_MAX)
			return false;
	} while (!atomic_compare_exchange_weak(slot, &was, now));
	return true;
}

/* Unless another's has taken the slot meanwhile. */
void pass_circles_leave(struct pass_circles *circles, uint64_t mark)
{
	if (mark == 0)
		return;
	_Atomic uint64_t *slot = slot_of(circles, mark);
	uint64_t was = atomic_load(slot);

	do
		if (mark_of(was) != mark || was == mark)
			return;
	while (!atomic_compare_exchange_weak(slot, &was, was - 1));
}
