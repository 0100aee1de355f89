#include "edge/http/request_id.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

enum { ID_BYTES = REQUEST_ID_MADE / 2, POOL_BYTES = 64 * ID_BYTES };

void request_id_make(char out[REQUEST_ID_MADE + 1])
{
	static _Thread_local unsigned char pool[POOL_BYTES];
	static _Thread_local size_t left;

	if (left == 0) {
		if (getrandom(pool, sizeof pool, 0) != (ssize_t)sizeof pool)
			abort();
		left = sizeof pool;
	}
	left -= ID_BYTES;
	for (size_t i = 0; i < ID_BYTES; i++) {
		out[2 * i] = "0123456789abcdef"[pool[left + i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[pool[left + i] & 15];
	}
	out[REQUEST_ID_MADE] = '\0';
}
