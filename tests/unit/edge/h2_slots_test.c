#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <sys/mman.h>

#include "common/base/tally.h"
#include "edge/http/h2_memory.h"

enum { MANY = 200 };

/* How many pages of a slot take memory. */
static int resident(char *slot)
{
	unsigned char pages[H2_SLOT_BYTES / H2_SLOT_PAGE];
	int count = 0;

	assert_int_equal(mincore(slot, H2_SLOT_BYTES, pages), 0);
	for (size_t i = 0; i < sizeof pages; i++)
		count += pages[i] & 1;
	return count;
}

static void slots_are_apart_and_their_pages_come_with_use(void **state)
{
	struct h2_slots *slots = h2_slots_new();
	char *taken[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		taken[i] = h2_slots_take(slots);
		assert_non_null(taken[i]);
		assert_int_equal(resident(taken[i]), 0);
		taken[i][0] = (char)i;
		taken[i][H2_SLOT_BYTES - 1] = (char)i;
		assert_int_equal(resident(taken[i]), 2);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(taken[i][0], (char)i);
		assert_int_equal(taken[i][H2_SLOT_BYTES - 1], (char)i);
	}
	for (int i = 0; i < MANY; i++)
		h2_slots_give(slots, taken[i]);
	h2_slots_free(slots);
}

static void of_slots_that_nobody_has_few_keep_memory(void **state)
{
	struct h2_slots *slots = h2_slots_new();
	char *taken[MANY];
	int kept = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++) {
			taken[i] = h2_slots_take(slots);
			memset(taken[i], 1, H2_SLOT_BYTES);
		}
		for (int i = 0; i < MANY; i++)
			h2_slots_give(slots, taken[i]);
		kept = 0;
		for (int i = 0; i < MANY; i++)
			kept += resident(taken[i]) > 0;
		assert_int_equal(kept, H2_SLOTS_WARM);
		/* The next ones are taken from those. */
		for (int i = 0; i < H2_SLOTS_WARM; i++) {
			taken[i] = h2_slots_take(slots);
			assert_true(resident(taken[i]) > 0);
		}
		for (int i = 0; i < H2_SLOTS_WARM; i++)
			h2_slots_give(slots, taken[i]);
	}
	h2_slots_free(slots);
}

/* ---- a session's memory */

static nghttp2_session *make_session(struct h2_memory *memory, struct h2_slots *slots)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_session *session = NULL;
	nghttp2_mem mem;

	h2_memory_init(memory, slots, &mem);
	nghttp2_session_callbacks_new(&callbacks);
	assert_int_equal(nghttp2_session_server_new3(&session, callbacks, NULL, NULL, &mem), 0);
	nghttp2_session_callbacks_del(callbacks);
	h2_memory_made(memory);
	return session;
}

/* All that the session has to say. */
static size_t say(nghttp2_session *session, char *out)
{
	const uint8_t *bytes = NULL;
	ssize_t size = 0;
	size_t said = 0;

	while ((size = nghttp2_session_mem_send(session, &bytes)) > 0) {
		memcpy(out + said, bytes, (size_t)size);
		said += (size_t)size;
	}
	return said;
}

static void the_large_pieces_of_a_session_are_in_its_slot(void **state)
{
	struct h2_slots *slots = h2_slots_new();
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	struct h2_memory memory;
	nghttp2_session *session = make_session(&memory, slots);

	(void)state;
	assert_true(memory.has_frame);
	assert_true(tally_sum(TALLY_BUFFER_BYTES) > before);
	nghttp2_session_del(session);
	assert_null(memory.slot);
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), before);
	h2_slots_free(slots);
}

static void a_session_that_has_rested_says_what_another_says(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const char head[] = "\0\0\x0e\1\5\0\0\0\1\x82\x87\x84\x01\x09"
				   "a.example";
	static char said[2][64 * 1024], value[9000];
	struct h2_slots *slots = h2_slots_new();
	size_t sizes[2];

	(void)state;
	memset(value, 'v', sizeof value);
	for (int rests = 0; rests < 2; rests++) {
		struct h2_memory memory;
		nghttp2_session *session = make_session(&memory, slots);
		nghttp2_nv fields[] = {{(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NONE},
		    {(uint8_t *)"x", (uint8_t *)value, 1, sizeof value, NGHTTP2_NV_FLAG_NONE}};

		nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
		nghttp2_session_mem_recv(session, (const uint8_t *)preface, sizeof preface - 1);
		size_t size = say(session, said[rests]);
		if (rests) {
			h2_memory_rest(&memory);
			assert_int_equal(resident(memory.slot), 0);
		}
		nghttp2_session_mem_recv(session, (const uint8_t *)head, sizeof head - 1);
		/* A table with a stream in it stays. */
		if (rests) {
			h2_memory_rest(&memory);
			assert_int_equal(resident(memory.slot), memory.has_table);
		}
		assert_int_equal(nghttp2_submit_response(session, 1, fields, 2, NULL), 0);
		sizes[rests] = size + say(session, said[rests] + size);
		nghttp2_session_del(session);
	}
	assert_true(sizes[0] > sizeof value / 2);
	assert_int_equal(sizes[0], sizes[1]);
	assert_memory_equal(said[0], said[1], sizes[0]);
	h2_slots_free(slots);
}

static void without_slots_it_is_where_everything_is(void **state)
{
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	struct h2_memory memory;
	nghttp2_session *session = make_session(&memory, NULL);

	(void)state;
	assert_false(memory.has_frame || memory.has_table);
	h2_memory_rest(&memory);
	nghttp2_session_del(session);
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slots_are_apart_and_their_pages_come_with_use),
	    cmocka_unit_test(of_slots_that_nobody_has_few_keep_memory),
	    cmocka_unit_test(the_large_pieces_of_a_session_are_in_its_slot),
	    cmocka_unit_test(a_session_that_has_rested_says_what_another_says),
	    cmocka_unit_test(without_slots_it_is_where_everything_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
