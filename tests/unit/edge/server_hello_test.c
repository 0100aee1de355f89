#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/pass/server_hello.h"

enum { ID_AT = 5 + 4 + 2 + 32 + 1 };

/* A ServerHello in one record, with an id of that size; returns its size. */
static size_t make(uint8_t out[200], size_t id_size)
{
	size_t body = 2 + 32 + 1 + id_size + 2 + 1;
	const uint8_t head[] = {22, 3, 3, 0, (uint8_t)(4 + body), 2, 0, 0, (uint8_t)body, 3, 3};

	memset(out, 0, 200);
	memcpy(out, head, sizeof head);
	out[ID_AT - 1] = (uint8_t)id_size;
	for (size_t i = 0; i < id_size; i++)
		out[ID_AT + i] = (uint8_t)(i + 1);
	return 5 + 4 + body;
}

static enum result feed(const void *bytes, size_t size, size_t step, size_t *id_size)
{
	struct server_hello hello;
	const uint8_t *id = NULL;
	enum result result = R_AGAIN;

	server_hello_init(&hello);
	for (size_t at = 0; at < size; at += step)
		result = server_hello_feed(
		    &hello, (const uint8_t *)bytes + at, size - at < step ? size - at : step, &id, id_size);
	for (size_t i = 0; result == R_OK && i < *id_size; i++)
		assert_int_equal(id[i], i + 1);
	return result;
}

static void an_id_is_found_however_the_bytes_come(void **state)
{
	uint8_t bytes[200];
	size_t id_size = 0;

	(void)state;
	for (size_t size = 1; size <= SERVER_HELLO_SESSION_MAX; size++) {
		size_t all = make(bytes, size);

		for (size_t step = 1; step <= all; step++) {
			assert_int_equal(feed(bytes, all, step, &id_size), R_OK);
			assert_int_equal(id_size, size);
		}
	}
}

static void a_hello_in_records_of_a_byte_is_put_together(void **state)
{
	uint8_t bytes[200], pieces[1000];
	size_t all = make(bytes, 32), size = 0, id_size = 0;

	(void)state;
	for (size_t i = 5; i < all; i++) {
		const uint8_t record[] = {22, 3, 3, 0, 1, bytes[i]};

		memcpy(pieces + size, record, sizeof record);
		size += sizeof record;
	}
	assert_int_equal(feed(pieces, size, 7, &id_size), R_OK);
	assert_int_equal(id_size, 32);
}

static void none_is_none(void **state)
{
	uint8_t bytes[200];
	size_t id_size = 0;
	size_t all = make(bytes, 0);

	(void)state;
	assert_int_equal(feed(bytes, all, all, &id_size), R_NONE);
}

static void what_is_no_server_hello_ends_it(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} wrong[] = {
	    {0, 21}, {0, 'H'}, {1, 2}, {3, 0x41}, {5, 1}, {8, 38}, {ID_AT - 1, 33}, {ID_AT - 1, 255}};
	uint8_t bytes[200];
	size_t id_size = 0;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		size_t all = make(bytes, 32);

		bytes[wrong[i].at] = wrong[i].value;
		assert_int_equal(feed(bytes, all, all, &id_size), R_NONE);
		assert_int_equal(feed(bytes, all, 1, &id_size), R_NONE);
	}
	size_t all = make(bytes, 32);
	bytes[4] = 0; /* a record of nothing */
	assert_int_equal(feed(bytes, all, all, &id_size), R_NONE);
}

static void half_a_hello_is_not_enough(void **state)
{
	uint8_t bytes[200];
	size_t id_size = 0;

	(void)state;
	make(bytes, 32);
	for (size_t size = 1; size < ID_AT + 32; size++)
		assert_int_equal(feed(bytes, size, size, &id_size), R_AGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_id_is_found_however_the_bytes_come),
	    cmocka_unit_test(a_hello_in_records_of_a_byte_is_put_together),
	    cmocka_unit_test(none_is_none),
	    cmocka_unit_test(what_is_no_server_hello_ends_it),
	    cmocka_unit_test(half_a_hello_is_not_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
