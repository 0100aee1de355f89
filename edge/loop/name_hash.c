#include "edge/loop/name_hash.h"

#include <pthread.h>
#include <string.h>

#include "common/base/process.h"

struct sip {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, int by)
{
	return word << by | word >> (64 - by);
}

static uint64_t load_word(const unsigned char *bytes, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)bytes[i] << (8 * i);
	return word;
}

static void sip_rounds(struct sip *sip, int rounds)
{
	while (rounds--) {
		sip->a += sip->b;
		sip->b = rotate(sip->b, 13) ^ sip->a;
		sip->a = rotate(sip->a, 32);
		sip->c += sip->d;
		sip->d = rotate(sip->d, 16) ^ sip->c;
		sip->a += sip->d;
		sip->d = rotate(sip->d, 21) ^ sip->a;
		sip->c += sip->b;
		sip->b = rotate(sip->b, 17) ^ sip->c;
		sip->c = rotate(sip->c, 32);
	}
}

static void sip_word(struct sip *sip, uint64_t word)
{
	sip->d ^= word;
	sip_rounds(sip, 2);
	sip->a ^= word;
}

uint64_t name_hash_keyed(const unsigned char key[16], const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	uint64_t low = load_word(key, 8), high = load_word(key + 8, 8);
	/* The constants spell "somepseudorandomlygeneratedbytes", as the algorithm's paper has it. */
	struct sip sip = {
	    .a = low ^ 0x736f6d6570736575,
	    .b = high ^ 0x646f72616e646f6d,
	    .c = low ^ 0x6c7967656e657261,
	    .d = high ^ 0x7465646279746573,
	};
	size_t left = size;

	for (; left >= 8; left -= 8, at += 8)
		sip_word(&sip, load_word(at, 8));
	sip_word(&sip, (uint64_t)size << 56 | load_word(at, left));
	sip.c ^= 0xff;
	sip_rounds(&sip, 4);
	return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

static unsigned char process_key[16];

static void make_key(void)
{
	process_random(process_key, sizeof process_key);
}

uint64_t name_hash(const char *name)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_key);
	return name_hash_keyed(process_key, name, strlen(name));
}
