/* A buffer never passes its maximum, never loses a byte, and behaves as a plain queue of bytes would. */
#include "common/base/buf.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_goes_in_comes_out_in_order(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	assert_int_equal(buf_size(&buf), 0);
	assert_non_null(buf_bytes(&buf));
	assert_int_equal(buf_append_string(&buf, "hello "), R_OK);
	assert_int_equal(buf_append(&buf, "world", 5), R_OK);
	buf_consume(&buf, 3);
	assert_int_equal(buf_size(&buf), 8);
	assert_string_equal(buf_string(&buf), "lo world");
	buf_fini(&buf);
}

static void the_maximum_is_exact(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 8);
	assert_int_equal(buf_append_string(&buf, "123456789"), R_LIMIT);
	assert_int_equal(buf_size(&buf), 0);
	assert_int_equal(buf_append_string(&buf, "12345678"), R_OK);
	assert_int_equal(buf_append_string(&buf, "9"), R_LIMIT);
	assert_int_equal(buf_append_string(&buf, ""), R_OK);
	assert_string_equal(buf_string(&buf), "12345678");
	buf_consume(&buf, 1);
	assert_int_equal(buf_append_string(&buf, "9"), R_OK);
	assert_string_equal(buf_string(&buf), "23456789");
	buf_fini(&buf);
}

static void huge_sizes_do_not_wrap(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	buf_append_string(&buf, "abc");
	assert_int_equal(buf_append(&buf, "x", SIZE_MAX), R_LIMIT);
	assert_int_equal(buf_append(&buf, "x", SIZE_MAX - 2), R_LIMIT);
	char *space = NULL;
	assert_int_equal(buf_reserve(&buf, SIZE_MAX, &space), 97);
	assert_string_equal(buf_string(&buf), "abc");
	buf_fini(&buf);
}

static void a_buffer_for_nothing_takes_nothing(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 0);
	char *space = NULL;
	assert_int_equal(buf_append(&buf, "x", 1), R_LIMIT);
	assert_int_equal(buf_reserve(&buf, 1, &space), 0);
	assert_string_equal(buf_string(&buf), "");
	buf_fini(&buf);
}

static void reserve_gives_less_near_the_maximum(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 1000);
	char *space = NULL;
	assert_int_equal(buf_reserve(&buf, 600, &space), 600);
	memset(space, 'a', 600);
	buf_commit(&buf, 600);
	assert_int_equal(buf_reserve(&buf, 600, &space), 400);
	memset(space, 'b', 400);
	buf_commit(&buf, 400);
	assert_int_equal(buf_reserve(&buf, 1, &space), 0);
	assert_int_equal(buf_size(&buf), 1000);
	assert_int_equal(buf_string(&buf)[599], 'a');
	assert_int_equal(buf_string(&buf)[999], 'b');
	buf_fini(&buf);
}

static void committing_less_than_reserved_is_fine(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 1000);
	char *space = NULL;
	buf_reserve(&buf, 500, &space);
	memcpy(space, "xy", 2);
	buf_commit(&buf, 2);
	buf_commit(&buf, 0);
	assert_string_equal(buf_string(&buf), "xy");
	buf_fini(&buf);
}

static void format_is_all_or_nothing(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 2000);
	assert_int_equal(buf_append_format(&buf, "%s-%d", "a", 7), R_OK);
	assert_int_equal(buf_append_format(&buf, "%01500d", 0), R_OK);
	assert_int_equal(buf_size(&buf), 1503);
	assert_int_equal(buf_append_format(&buf, "%0500d", 0), R_LIMIT);
	assert_int_equal(buf_append_format(&buf, "%0900d", 0), R_LIMIT);
	assert_int_equal(buf_size(&buf), 1503);
	assert_int_equal(buf_append_format(&buf, "%0497d", 0), R_OK);
	assert_int_equal(buf_size(&buf), 2000);
	assert_int_equal(strlen(buf_string(&buf)), 2000);
	buf_fini(&buf);
}

static void a_finished_buffer_may_be_used_again(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	buf_append_string(&buf, "secret");
	buf_wipe(&buf);
	assert_int_equal(buf_size(&buf), 0);
	assert_int_equal(buf_append_string(&buf, "0123456789a"), R_LIMIT);
	assert_int_equal(buf_append_string(&buf, "0123456789"), R_OK);
	buf_fini(&buf);
	buf_fini(&buf);
}

/* Random appends, reserves and consumes against a plain array: same bytes, and memory bounded by the maximum.
 */
static void it_behaves_as_a_queue_of_bytes(void **state)
{
	(void)state;
	enum { MAX = 3000, STEPS = 20000 };
	static char model[MAX], chunk[MAX];
	size_t held = 0;
	unsigned seed = 7;
	struct buf buf;
	buf_init(&buf, MAX);
	for (int step = 0; step < STEPS; step++) {
		size_t size = (size_t)rand_r(&seed) % (step % 7 == 0 ? MAX : 200);
		memset(chunk, 'a' + step % 26, sizeof chunk);
		if (rand_r(&seed) % 2 == 0) {
			size_t taken = size < held ? size : held;
			buf_consume(&buf, taken);
			held -= taken;
			memmove(model, model + taken, held);
		} else if (size > MAX - held) {
			assert_int_equal(buf_append(&buf, chunk, size), R_LIMIT);
		} else {
			char *space = NULL;
			if (step % 2 == 0) {
				assert_int_equal(buf_append(&buf, chunk, size), R_OK);
			} else if (buf_reserve(&buf, size, &space) > 0) {
				memcpy(space, chunk, size);
				buf_commit(&buf, size);
			}
			memcpy(model + held, chunk, size);
			held += size;
		}
		assert_int_equal(buf_size(&buf), held);
		assert_memory_equal(buf_bytes(&buf), model, held);
		assert_true(buf.capacity <= MAX + 1);
		if (step % 3 == 0)
			assert_int_equal(buf_string(&buf)[held], '\0');
	}
	buf_fini(&buf);
}

static char *memory_of(struct buf *buf, size_t size)
{
	char *space = NULL;
	buf_reserve(buf, size, &space);
	return space;
}

static void what_one_gives_back_serves_the_next_that_needs_as_much(void **state)
{
	(void)state;
	enum { SIZE = 32 * 1024 };
	struct buf first, second, other;
	buf_init(&first, SIZE);
	buf_init(&second, SIZE);
	buf_init(&other, SIZE);
	buf_keep_spares();
	const char *memory = memory_of(&first, SIZE);
	buf_fini(&first);
	assert_ptr_not_equal(memory_of(&other, SIZE - 1), memory);
	assert_ptr_equal(memory_of(&second, SIZE), memory);
	assert_ptr_not_equal(memory_of(&first, SIZE), memory);
	buf_fini(&first);
	buf_fini(&second);
	buf_fini(&other);
	buf_forget_spares();
}

static void what_is_kept_for_the_next_is_bounded(void **state)
{
	(void)state;
	enum { COUNT = 64, KEPT_MOST = 256 * 1024, OVERHEAD = 1024 };
	struct buf bufs[COUNT];
	size_t before = mallinfo2().uordblks;
	buf_keep_spares();
	for (size_t i = 0; i < COUNT; i++) {
		buf_init(&bufs[i], 1024 * 1024);
		memory_of(&bufs[i], 2048 + i * 1024);
	}
	for (size_t i = 0; i < COUNT; i++)
		buf_fini(&bufs[i]);
	assert_true(mallinfo2().uordblks <= before + KEPT_MOST + OVERHEAD);
	buf_forget_spares();
	assert_int_equal(mallinfo2().uordblks, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_goes_in_comes_out_in_order),
	    cmocka_unit_test(the_maximum_is_exact),
	    cmocka_unit_test(huge_sizes_do_not_wrap),
	    cmocka_unit_test(a_buffer_for_nothing_takes_nothing),
	    cmocka_unit_test(reserve_gives_less_near_the_maximum),
	    cmocka_unit_test(committing_less_than_reserved_is_fine),
	    cmocka_unit_test(format_is_all_or_nothing),
	    cmocka_unit_test(a_finished_buffer_may_be_used_again),
	    cmocka_unit_test(it_behaves_as_a_queue_of_bytes),
	    cmocka_unit_test(what_one_gives_back_serves_the_next_that_needs_as_much),
	    cmocka_unit_test(what_is_kept_for_the_next_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
