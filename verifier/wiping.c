#include "verifier/wiping.h"

#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static void wipe_and_free(void *memory)
{
	if (memory)
		OPENSSL_cleanse(memory, malloc_usable_size(memory));
	free(memory);
}

static void *openssl_alloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size ? malloc(size) : NULL;
}

static void openssl_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	wipe_and_free(memory);
}

/* Never in place, nor by realloc(3), which leaves the old bytes where they were. */
static void *openssl_resize(void *memory, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	size_t held = memory ? malloc_usable_size(memory) : 0;
	void *other = size ? malloc(size) : NULL;
	if (size && !other)
		return NULL;
	if (held && size)
		memcpy(other, memory, held < size ? held : size);
	wipe_and_free(memory);
	return other;
}

void wiping_start(void)
{
	if (!CRYPTO_set_mem_functions(openssl_alloc, openssl_resize, openssl_free))
		abort();
	json_set_alloc_funcs(malloc, wipe_and_free);
}
