#include "common/base/buf.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/tally.h"

enum {
	SMALLEST = 256,
	SPARES = 4,
	SPARE_LEAST = 1100, /* what is smaller malloc has at hand itself */
	SPARE_MOST = 64 * 1024 + 1,
};

/* Memory that a buffer of this thread gave back lately. To AddressSanitizer it is as bad as freed. */
static _Thread_local struct {
	bool is_kept;
	char *data[SPARES];
	size_t capacity[SPARES];
	unsigned next;
} spares;

void buf_keep_spares(void)
{
	spares.is_kept = true;
}

void buf_forget_spares(void)
{
	for (int i = 0; i < SPARES; i++) {
		free(spares.data[i]);
		spares.data[i] = NULL;
		spares.capacity[i] = 0;
	}
	spares.is_kept = false;
}

static char *take_memory(size_t capacity)
{
	for (int i = 0; i < SPARES; i++) {
		char *data = spares.data[i];

		if (spares.capacity[i] != capacity)
			continue;
		spares.data[i] = NULL;
		spares.capacity[i] = 0;
		ASAN_UNPOISON_MEMORY_REGION(data, capacity);
		return data;
	}
	return mem_resize(NULL, capacity);
}

static void give_memory(char *data, size_t capacity)
{
	if (!spares.is_kept || capacity < SPARE_LEAST || capacity > SPARE_MOST) {
		free(data);
		return;
	}
	unsigned slot = 0;
	while (slot < SPARES && spares.data[slot])
		slot++;
	if (slot == SPARES)
		slot = spares.next++ % SPARES;
	free(spares.data[slot]);
	ASAN_POISON_MEMORY_REGION(data, capacity);
	spares.data[slot] = data;
	spares.capacity[slot] = capacity;
}

void buf_init(struct buf *buf, size_t max)
{
	assert(max < SIZE_MAX / 4);
	*buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
	if (buf->data == NULL)
		return;
	tally_add(TALLY_BUFFER_BYTES, -(int64_t)buf->capacity);
	give_memory(buf->data, buf->capacity);
	buf_init(buf, buf->max);
}

void buf_wipe(struct buf *buf)
{
	if (buf->data != NULL)
		OPENSSL_cleanse(buf->data, buf->capacity);
	buf_fini(buf);
}

/* A wiped copy instead of realloc, which would leave the old bytes, perhaps a secret, in freed memory. */
static void move_to_larger(struct buf *buf, size_t capacity)
{
	size_t size = buf_size(buf);
	char *larger = take_memory(capacity);
	if (size > 0)
		memcpy(larger, buf->data + buf->start, size);
	if (buf->data != NULL)
		OPENSSL_cleanse(buf->data + buf->start, size);
	give_memory(buf->data, buf->capacity);
	tally_add(TALLY_BUFFER_BYTES, (int64_t)capacity - (int64_t)buf->capacity);
	buf->data = larger;
	buf->capacity = capacity;
	buf->start = 0;
	buf->end = size;
}

/* Makes room for `size` bytes and a NUL behind the unread bytes; the caller has checked the maximum. Doubling
 * makes appending byte by byte linear, but where nothing is held yet the room is what was asked for; moving
 * to the front is done only when it frees at least half, or when the memory may not grow. */
static void make_room(struct buf *buf, size_t size)
{
	size_t held = buf_size(buf);
	if (buf->capacity - buf->end > size)
		return;
	bool is_largest = buf->capacity > buf->max;
	if ((buf->start >= buf->capacity / 2 || is_largest) && buf->capacity - held > size) {
		memmove(buf->data, buf->data + buf->start, held);
		buf->start = 0;
		buf->end = held;
		return;
	}
	size_t wanted = held + size + 1;
	size_t capacity = buf->capacity ? buf->capacity : SMALLEST;
	while (held > 0 && capacity < wanted)
		capacity *= 2;
	if (capacity > buf->max + 1)
		capacity = buf->max + 1;
	move_to_larger(buf, capacity > wanted ? capacity : wanted);
}

enum result buf_append(struct buf *buf, const void *bytes, size_t size)
{
	if (size > buf->max - buf_size(buf))
		return R_LIMIT;
	if (size == 0)
		return R_OK;
	make_room(buf, size);
	memcpy(buf->data + buf->end, bytes, size);
	buf->end += size;
	return R_OK;
}

enum result buf_append_string(struct buf *buf, const char *string)
{
	return buf_append(buf, string, strlen(string));
}

enum result buf_append_format(struct buf *buf, const char *format, ...)
{
	char text[512];
	va_list list;
	va_start(list, format);
	int size = vsnprintf(text, sizeof text, format, list);
	va_end(list);
	if (size < 0)
		return R_ERROR;
	if ((size_t)size < sizeof text)
		return buf_append(buf, text, (size_t)size);
	if ((size_t)size > buf->max - buf_size(buf))
		return R_LIMIT;
	make_room(buf, (size_t)size);
	va_start(list, format);
	vsnprintf(buf->data + buf->end, (size_t)size + 1, format, list);
	va_end(list);
	buf->end += (size_t)size;
	return R_OK;
}

size_t buf_reserve(struct buf *buf, size_t size, char **space)
{
	size_t left = buf->max - buf_size(buf);
	size_t room = size < left ? size : left;
	if (room == 0) {
		*space = NULL;
		return 0;
	}
	make_room(buf, room);
	*space = buf->data + buf->end;
	return room;
}

void buf_commit(struct buf *buf, size_t size)
{
	assert(size <= buf->capacity - buf->end && buf_size(buf) + size <= buf->max);
	buf->end += size;
}

void buf_consume(struct buf *buf, size_t size)
{
	assert(size <= buf_size(buf));
	buf->start += size;
	if (buf->start == buf->end)
		buf->start = buf->end = 0;
}

const char *buf_string(struct buf *buf)
{
	make_room(buf, 0);
	buf->data[buf->end] = '\0';
	return buf->data + buf->start;
}
