#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/front/h2_scan.h"

enum { HEADERS = 1, END_STREAM = 1, PADDED = 8, FOUND_MAX = 16 };
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct input {
	char bytes[1024];
	size_t size;
};

static void put(struct input *input, const void *bytes, size_t size)
{
	memcpy(input->bytes + input->size, bytes, size);
	input->size += size;
}

static void put_frame(struct input *input, uint8_t type, uint8_t flags, uint32_t id, size_t size)
{
	const uint8_t header[H2_SCAN_HEADER] = {0, (uint8_t)(size >> 8), (uint8_t)size, type, flags,
	    (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

	put(input, header, sizeof header);
	memset(input->bytes + input->size, 0, size);
	input->size += size;
}

struct found {
	struct h2_scan_data data[FOUND_MAX];
	size_t at[FOUND_MAX]; /* from the input's beginning */
	size_t count;
};

/* As if it came in pieces of this size. */
static void scan_in_pieces(struct found *found, const struct input *input, size_t piece)
{
	struct h2_scan scan;

	found->count = 0;
	h2_scan_init(&scan);
	for (size_t from = 0; from < input->size; from += piece) {
		size_t size = input->size - from < piece ? input->size - from : piece;
		size_t at = 0;

		while (h2_scan_next(&scan, input->bytes + from, size, &at, &found->data[found->count]))
			found->at[found->count++] = from + at;
		assert_int_equal(at, size);
	}
}

static void make_input(struct input *input)
{
	*input = (struct input){.size = 0};
	put(input, PREFACE, sizeof PREFACE - 1);
	put_frame(input, HEADERS, 4, 1, 40);
	put_frame(input, 0, 0, 1, 300);
	put_frame(input, 0, END_STREAM | PADDED, 1, 0);
	put_frame(input, 99, 0, 0, 9);
	put_frame(input, 0, PADDED, 0x80000005, 1);
}

static void frames_of_data_are_found_however_they_come(void **state)
{
	static const struct h2_scan_data expected[] = {{1, 300, false}, {1, 0, true}, {5, 1, false}};
	static const size_t at[] = {24 + 49 + 9, 24 + 49 + 309 + 9, 24 + 49 + 309 + 9 + 18 + 9};
	struct input input;
	struct found found;

	(void)state;
	make_input(&input);
	for (size_t piece = 1; piece <= input.size; piece++) {
		scan_in_pieces(&found, &input, piece);
		assert_int_equal(found.count, 3);
		for (size_t i = 0; i < found.count; i++) {
			assert_int_equal(found.data[i].id, expected[i].id);
			assert_int_equal(found.data[i].size, expected[i].size);
			assert_int_equal(found.data[i].is_last, expected[i].is_last);
			assert_int_equal(found.at[i], at[i]);
		}
	}
}

static void what_looks_like_a_header_inside_a_frame_is_none(void **state)
{
	static const char data[] = "\0\0\0\0\0\0\0\0\1";
	struct input input = {.size = 0};
	struct found found;

	(void)state;
	put(&input, PREFACE, sizeof PREFACE - 1);
	put_frame(&input, HEADERS, 4, 1, 0);
	input.bytes[input.size - H2_SCAN_HEADER + 2] = 4 * 9; /* its payload follows */
	for (int i = 0; i < 4; i++)
		put(&input, data, 9);
	scan_in_pieces(&found, &input, input.size);
	assert_int_equal(found.count, 0);
	put(&input, data, 9);
	scan_in_pieces(&found, &input, input.size);
	assert_int_equal(found.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_of_data_are_found_however_they_come),
	    cmocka_unit_test(what_looks_like_a_header_inside_a_frame_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
