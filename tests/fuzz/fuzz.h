/*
 * What the fuzz harnesses share. Each is one LLVMFuzzerTestOneInput: libFuzzer drives it (`make fuzz`), or
 * replay.c with the inputs that are kept under corpus/ (`make test`). A property that does not hold aborts.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/* A block of its own size, so that AddressSanitizer sees each byte that is read past the end. */
static inline char *fuzz_copy(const void *bytes, size_t size)
{
	char *copy = malloc(size > 0 ? size : 1);

	fuzz_check(copy);
	if (size > 0)
		memcpy(copy, bytes, size);
	return copy;
}

#endif
