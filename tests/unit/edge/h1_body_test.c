#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http/h1_body.h"

/* What a body came to: its data, how much of the input it used, its trailers. */
struct outcome {
	enum result result;
	char data[512];
	size_t data_size;
	size_t used;
	char trailers[512];
};

/* `step` bytes more are offered at a time, each time in a block of exactly that size. */
static struct outcome decode(const struct http_head *head, const char *bytes, size_t size, size_t step)
{
	struct outcome out = {.result = R_AGAIN};
	struct h1_body body;
	size_t offered = 0;

	h1_body_init(&body, head);
	while (out.result == R_OK || (out.result == R_AGAIN && offered < size)) {
		if (out.result == R_AGAIN)
			offered = offered + step < size ? offered + step : size;
		size_t framing = 0;
		size_t data = 0;
		size_t left = offered - out.used;
		char *copy = malloc(left ? left : 1);

		memcpy(copy, bytes + out.used, left);
		out.result = h1_body_next(&body, copy, left, &framing, &data);
		if (body.trailers.size > 0)
			memcpy(out.trailers, body.trailers.bytes, body.trailers.size);
		if (out.result == R_OK) {
			memcpy(out.data + out.data_size, copy + framing, data);
			h1_body_take(&body, data);
		}
		free(copy);
		out.data_size += data;
		out.used += framing + data;
	}
	return out;
}

struct chunked_case {
	enum result result;
	const char *bytes;
	const char *data;
	const char *trailers;
	size_t beyond; /* bytes after the message */
};

static const struct chunked_case chunked_cases[] = {
    {R_EOF, "0\r\n\r\n", "", "", 0},
    {R_EOF, "5\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
    {R_EOF, "5\r\nhello\r\n6\r\n world\r\n000\r\n\r\nGET", "hello world", "", 3},
    {R_EOF, "a\r\n0123456789\r\n0\r\n\r\n", "0123456789", "", 0},
    {R_EOF, "A\r\n01234\r\n789\r\n0\r\n\r\n", "01234\r\n789", "", 0},
    {R_EOF, "0000000000000005\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
    {R_EOF, "5;x\r\nhello\r\n0;y\r\n\r\n", "hello", "", 0},
    {R_EOF, "5 ; x = y;z=\"a\\\"b;\";w\r\nhello\r\n0\r\n\r\n", "hello", "", 0},
    {R_EOF, "0\r\nX-Sum: 1\r\nX: 2\r\n\r\n", "", "X-Sum: 1\r\nX: 2\r\n\r\n", 0},
    {R_AGAIN, "5\r\nhel", "hel", "", 0},
    {R_AGAIN, "5\r\nhello\r\n0\r\n", "hello", "", 0},
    {R_AGAIN, "5\r\nhello\r\n0\r\nX: 1\r\n", "hello", "", 0},
    {R_INVALID, "\r\n", "", "", 0},
    {R_INVALID, "5\nhello\n0\n\n", "", "", 0},
    {R_INVALID, "5\r\nhello0\r\n\r\n", "hello", "", 0},
    {R_INVALID, "5\r\nhello\n0\r\n\r\n", "hello", "", 0},
    {R_INVALID, "5\r\nhello\r0\r\n\r\n", "hello", "", 0},
    {R_INVALID, "5\r\nhelloX\n0\r\n\r\n", "hello", "", 0},
    {R_INVALID, "0x5\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "+5\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "-5\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, " 5\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5 \r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5_0\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "g\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5\rhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "00000000000000005\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "ffffffffffffffff\r\nhello\r\n", "", "", 0},
    {R_INVALID, "10000000000000005\r\nhello\r\n", "", "", 0},
    {R_INVALID, "8000000000000000\r\nhello\r\n", "", "", 0},
    {R_INVALID, "5;a\nb\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;a\rb\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;a=\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;a=\"b\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;a=\"b\\\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5;a\x01\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "5x\r\nhello\r\n0\r\n\r\n", "", "", 0},
    {R_INVALID, "0\r\nX: 1\n\r\n", "", "", 0},
    {R_INVALID, "0\r\n\n", "", "", 0},
};

static void check_chunked(const struct chunked_case *one, size_t step)
{
	struct http_head head = {.body = HTTP_BODY_CHUNKED};
	size_t size = strlen(one->bytes);
	struct outcome out = decode(&head, one->bytes, size, step);

	if (out.result != one->result || strcmp(out.data, one->data) != 0 ||
	    strcmp(out.trailers, one->trailers) != 0)
		fail_msg("%s\nby %zu: expected %s, got %s with data `%s` and trailers `%s`", one->bytes, step,
		    result_name(one->result), result_name(out.result), out.data, out.trailers);
	if (out.result == R_EOF && size - out.used != one->beyond)
		fail_msg("%s\nby %zu: %zu bytes left, expected %zu", one->bytes, step, size - out.used,
		    one->beyond);
}

static void chunks_decode_alike_whole_and_in_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof chunked_cases / sizeof *chunked_cases; i++)
		for (size_t step = 1; step < 64; step += step)
			check_chunked(&chunked_cases[i], step);
}

static void a_chunk_extension_over_256_bytes_is_refused(void **state)
{
	struct http_head head = {.body = HTTP_BODY_CHUNKED};
	char bytes[1024] = "5;";

	(void)state;
	memset(bytes + 2, 'x', 1000);
	assert_int_equal(decode(&head, bytes, 1002, 1002).result, R_INVALID);
	assert_int_equal(decode(&head, bytes, 1002, 1).result, R_INVALID);
}

static void a_trailer_section_over_8_kib_is_refused(void **state)
{
	struct http_head head = {.body = HTTP_BODY_CHUNKED};
	size_t size = H1_TRAILERS_MAX + 100;
	char *bytes = malloc(size);

	(void)state;
	memcpy(bytes, "0\r\nX: ", 6);
	memset(bytes + 6, 'x', size - 6);
	assert_int_equal(decode(&head, bytes, size, size).result, R_INVALID);
	free(bytes);
}

static void a_length_ends_exactly(void **state)
{
	struct http_head head = {.body = HTTP_BODY_LENGTH, .content_length = 5};

	(void)state;
	for (size_t step = 1; step < 16; step++) {
		struct outcome out = decode(&head, "helloGET", 8, step);

		assert_int_equal(out.result, R_EOF);
		assert_string_equal(out.data, "hello");
		assert_int_equal(out.used, 5);
	}
	assert_int_equal(decode(&head, "hell", 4, 1).result, R_AGAIN);
}

static void no_body_and_length_zero_are_over_at_once(void **state)
{
	struct h1_body body;

	(void)state;
	h1_body_init(&body, &(struct http_head){.body = HTTP_BODY_NONE});
	assert_true(h1_body_is_done(&body));
	h1_body_init(&body, &(struct http_head){.body = HTTP_BODY_LENGTH});
	assert_true(h1_body_is_done(&body));
}

static void until_close_never_ends_by_itself(void **state)
{
	struct http_head head = {.body = HTTP_BODY_UNTIL_CLOSE};
	struct outcome out = decode(&head, "0\r\n\r\n", 5, 2);

	(void)state;
	assert_int_equal(out.result, R_AGAIN);
	assert_string_equal(out.data, "0\r\n\r\n");
}

static void trailers_are_read_as_fields(void **state)
{
	static struct http_head trailers;

	(void)state;
	assert_int_equal(
	    h1_read_trailers(&trailers, http_slice_of("X: 1\r\nY: 2\r\n\r\n"), H1_REQUEST), R_OK);
	assert_int_equal(trailers.field_count, 2);
	assert_int_equal(
	    h1_read_trailers(&trailers, http_slice_of("X: 1\r\n Y: 2\r\n\r\n"), H1_RESPONSE), R_INVALID);
	assert_int_equal(h1_read_trailers(&trailers, http_slice_of("X : 1\r\n\r\n"), H1_REQUEST), R_INVALID);
	assert_int_equal(h1_read_trailers(&trailers, http_slice_of("X : 1\r\n\r\n"), H1_RESPONSE), R_OK);
	assert_true(http_slice_equal(trailers.fields[0].name, "X"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chunks_decode_alike_whole_and_in_pieces),
	    cmocka_unit_test(a_chunk_extension_over_256_bytes_is_refused),
	    cmocka_unit_test(a_trailer_section_over_8_kib_is_refused),
	    cmocka_unit_test(a_length_ends_exactly),
	    cmocka_unit_test(no_body_and_length_zero_are_over_at_once),
	    cmocka_unit_test(until_close_never_ends_by_itself),
	    cmocka_unit_test(trailers_are_read_as_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
