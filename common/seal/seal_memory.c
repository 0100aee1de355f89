#include "common/seal/seal_memory.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/log/log.h"

void *seal_memory_new(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		log_error("out of memory");
		abort();
	}
	/* Neither is a promise of the kernel's; a container without locked memory still runs. */
	if (madvise(memory, size, MADV_DONTDUMP) != 0 || mlock(memory, size) != 0)
		log_debug("keys may be swapped out here");
	return memory;
}

void seal_memory_free(void *memory, size_t size)
{
	if (!memory)
		return;
	OPENSSL_cleanse(memory, size);
	munmap(memory, size);
}
