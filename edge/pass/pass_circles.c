#include "edge/pass/pass_circles.h"

#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

struct pass_circles {
	unsigned char key[16]; /* clients choose the bytes: they do not choose the slot */
	_Atomic uint64_t marks[PASS_CIRCLES_MAX];
};

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
	return &circles->marks[mark % PASS_CIRCLES_MAX];
}

bool pass_circles_enter(struct pass_circles *circles, const uint8_t random[PASS_RANDOM_SIZE], uint64_t *mark)
{
	*mark = name_hash_keyed(circles->key, random, PASS_RANDOM_SIZE);
	return atomic_exchange(slot_of(circles, *mark), *mark) != *mark;
}

/* Unless another's has taken the slot meanwhile. */
void pass_circles_leave(struct pass_circles *circles, uint64_t mark)
{
	if (mark != 0)
		atomic_compare_exchange_strong(slot_of(circles, mark), &(uint64_t){mark}, 0);
}
