#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http/h2_head.h"

/* A block as lines "name value"; a name alone has an empty value. */
static void begin_with(struct h2_head *block, enum h2_block kind, const char *lines)
{
	h2_head_begin(block, kind);
	for (const char *at = lines; *at != '\0';) {
		size_t size = strcspn(at, "\n");
		size_t name = 0;

		while (name < size && (at[name] != ' ' || name == 0))
			name++;
		size_t skip = name < size ? name + 1 : size;
		h2_head_add(
		    block, (struct http_slice){at, name}, (struct http_slice){at + skip, size - skip});
		at += size + (at[size] == '\n');
	}
}

static enum result read_block(
    struct h2_head *block, enum h2_block kind, const char *lines, bool is_last, struct h2_fields *out)
{
	begin_with(block, kind, lines);
	return h2_head_end(block, is_last, out);
}

/* 0: fine, -1: malformed, else the status. */
static int verdict(enum h2_block kind, const char *lines, bool is_last)
{
	struct h2_head block;
	struct h2_fields fields = {.body = HTTP_BODY_NONE};

	h2_head_init(&block);
	enum result result = read_block(&block, kind, lines, is_last, &fields);
	int status = result == R_INVALID ? -1 : result == R_DENIED ? block.status : 0;
	h2_fields_fini(&fields);
	h2_head_fini(&block);
	return status;
}

#define GET ":method GET\n:scheme https\n:path /\n:authority a.example\n"
#define POST ":method POST\n:scheme https\n:path /\n:authority a.example\n"

static void verdicts_are(const char *const *blocks, size_t count, bool is_last, int expected)
{
	for (size_t i = 0; i < count; i++) {
		int got = verdict(H2_BLOCK_REQUEST, blocks[i], is_last);

		if (got != expected)
			fail_msg("%d instead of %d for:\n%s", got, expected, blocks[i]);
	}
}

#define ARE(list, is_last, expected) verdicts_are(list, sizeof list / sizeof *list, is_last, expected)

static void what_a_browser_sends_is_read(void **state)
{
	struct h2_head block;
	struct h2_fields fields;
	static struct http_head head;

	(void)state;
	h2_head_init(&block);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST,
			     ":method POST\n:path /x?y=1\n:scheme https\n:authority a.example:8443\n"
			     "accept */*\ncookie a=1\nte trailers\ncookie b=2\ncontent-length 5\ncookie c=3\n"
			     "expect 100-continue\nempty",
			     false, &fields),
	    R_OK);
	h2_fields_read(&fields, &head);
	assert_true(http_slice_equal(head.method, "POST"));
	assert_true(http_slice_equal(head.target, "/x?y=1"));
	assert_true(http_slice_equal(head.host, "a.example:8443"));
	assert_int_equal(head.version, HTTP_2);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.content_length, 5);
	assert_true(head.expects_continue);
	assert_int_equal(head.fields[0].id, HTTP_HOST);
	assert_true(http_slice_equal(http_head_find(&head, "cookie", NULL)->value, "a=1; b=2; c=3"));
	assert_int_equal(http_head_find(&head, "te", NULL)->id, HTTP_TE);
	assert_int_equal(http_head_find(&head, "empty", NULL)->value.size, 0);
	assert_int_equal(head.field_count, 7);
	h2_fields_fini(&fields);
	h2_head_fini(&block);
}

static void host_stands_for_an_authority_that_is_missing(void **state)
{
	struct h2_head block;
	struct h2_fields fields;
	static struct http_head head;

	(void)state;
	h2_head_init(&block);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST,
			     ":method GET\n:scheme https\n:path /\nx 1\nhost b.example", true, &fields),
	    R_OK);
	h2_fields_read(&fields, &head);
	assert_true(http_slice_equal(head.host, "b.example"));
	assert_int_equal(head.field_count, 2);
	h2_fields_fini(&fields);
	h2_head_fini(&block);
}

static void one_host_passes_where_both_say_the_same(void **state)
{
	struct h2_head block;
	struct h2_fields fields;
	static struct http_head head;
	size_t count = 0;

	(void)state;
	h2_head_init(&block);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, GET "host A.example", true, &fields), R_OK);
	h2_fields_read(&fields, &head);
	assert_true(http_slice_equal(http_head_find(&head, "host", &count)->value, "a.example"));
	assert_int_equal(count, 1);
	h2_fields_fini(&fields);
	h2_head_fini(&block);
}

static void names_and_values_that_no_field_has_are_malformed(void **state)
{
	static const char *const blocks[] = {GET "X 1", GET "x\x7f 1", GET "x: 1", GET "x\xc3\xa4 1",
	    GET " 1", GET "a\"b 1", GET "x 1\r",
	    GET "x a\x01"
		"b",
	    GET "x  1", GET "x 1 ", GET "x 1\t", GET "x \t1", GET "x\t 1"};
	struct h2_head block;
	struct h2_fields fields;

	(void)state;
	ARE(blocks, true, -1);
	/* What a string of C cannot hold, and no name at all. */
	const struct http_slice bad[][2] = {{{"x", 1}, {"a\0b", 3}}, {{"x", 1}, {"a\nb", 3}},
	    {{"x\0", 2}, {"1", 1}}, {{"", 0}, {"1", 1}}, {{"", 0}, {"", 0}}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		h2_head_init(&block);
		assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, GET, true, &fields), R_OK);
		h2_fields_fini(&fields);
		h2_head_add(&block, bad[i][0], bad[i][1]);
		assert_int_equal(h2_head_end(&block, true, &fields), R_INVALID);
		h2_head_fini(&block);
	}
}

static void fields_of_the_connection_are_malformed(void **state)
{
	static const char *const blocks[] = {GET "connection close", GET "connection x",
	    GET "keep-alive timeout=5", GET "proxy-connection close", GET "transfer-encoding chunked",
	    GET "upgrade websocket", GET "te gzip", GET "te trailers, gzip"};

	(void)state;
	ARE(blocks, true, -1);
	assert_int_equal(verdict(H2_BLOCK_REQUEST, GET "te trailers", true), 0);
}

static void pseudo_fields_are_once_first_and_known(void **state)
{
	static const char *const blocks[] = {GET ":method GET", GET ":path /", GET ":scheme https",
	    GET ":authority a.example", GET ":status 200", GET ":x 1", GET ": 1", GET ":protocol websocket",
	    ("x 1\n" GET), ":scheme https\n:path /\n:authority a.example",
	    ":method GET\n:path /\n:authority a.example", ":method GET\n:scheme https\n:authority a.example",
	    "", "x 1", ":Method GET\n:scheme https\n:path /",
	    ":method GET\n:scheme https\nx 1\n:path /\n:authority a.example"};

	(void)state;
	ARE(blocks, true, -1);
}

static void pseudo_values_are_checked(void **state)
{
	static const char *const malformed[] = {":method \n:scheme https\n:path /\n:authority a.example",
	    ":method G(T\n:scheme https\n:path /\n:authority a.example",
	    ":method GET\n:scheme \n:path /\n:authority a.example",
	    ":method GET\n:scheme https\n:path \n:authority a.example",
	    ":method GET\n:scheme https\n:path x\n:authority a.example",
	    ":method GET\n:scheme https\n:path *\n:authority a.example",
	    ":method GET\n:scheme https\n:path https://a.example/\n:authority a.example",
	    ":method GET\n:scheme https\n:path /a b\n:authority a.example",
	    ":method GET\n:scheme https\n:path /#x\n:authority a.example",
	    ":method GET\n:scheme https\n:path /\n:authority me@a.example",
	    ":method GET\n:scheme https\n:path /\n:authority ",
	    ":method GET\n:scheme https\n:path /\n:authority a\x01",
	    ":method GET\n:scheme h\r\n:path /\n:authority a",
	    ":method CONNECT\n:scheme https\n:path /\n:authority a.example", ":method CONNECT"};
	static const char *const refused[] = {":method GET\n:scheme ftp\n:path /\n:authority a.example",
	    ":method GET\n:scheme https\n:path /\n:authority a.example:x",
	    ":method GET\n:scheme https\n:path /\n:authority a b",
	    ":method GET\n:scheme https\n:path /\n:authority a.example/x", GET "host b.example",
	    GET "host a.example\nhost a.example", GET "host", GET "host a.example:443",
	    ":method GET\n:scheme https\n:path /", ":method GET\n:scheme https\n:path /\nhost a/b",
	    GET "content_length 3", GET "transfer_encoding chunked"};
	static const char *const fine[] = {":method OPTIONS\n:scheme https\n:path *\n:authority a.example",
	    ":method GET\n:scheme http\n:path //\n:authority a.example:443",
	    ":method M\n:scheme HTTPS\n:path /%00\n:authority [::1]:8443"};

	(void)state;
	ARE(malformed, true, -1);
	ARE(refused, true, 400);
	ARE(fine, true, 0);
	assert_int_equal(verdict(H2_BLOCK_REQUEST, ":method CONNECT\n:authority a.example:443", false), 501);
	assert_int_equal(verdict(H2_BLOCK_REQUEST, GET "expect x", true), 417);
}

#define CONNECT ":method CONNECT\n:protocol websocket\n:scheme https\n:path /chat\n:authority a.example\n"

static void a_connect_with_a_protocol_is_the_get_that_asks_for_it(void **state)
{
	struct h2_head block;
	struct h2_fields fields;
	static struct http_head head;

	(void)state;
	h2_head_init(&block);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, CONNECT "origin https://a\nexpect 100-continue",
			     false, &fields),
	    R_OK);
	h2_fields_read(&fields, &head);
	assert_true(http_slice_equal(head.method, "GET"));
	assert_true(http_slice_equal(head.target, "/chat"));
	assert_true(http_slice_equal(head.upgrade, "websocket"));
	assert_int_equal(head.body, HTTP_BODY_NONE);
	assert_false(head.expects_continue);
	h2_fields_fini(&fields);
	h2_head_fini(&block);
}

static void a_connect_is_whole_or_malformed_and_of_a_protocol_that_we_know(void **state)
{
	static const char *const malformed[] = {
	    ":method GET\n:protocol websocket\n:scheme https\n:path /\n:authority a.example",
	    ":method CONNECT\n:protocol websocket\n:authority a.example",
	    ":method CONNECT\n:protocol websocket\n:scheme https\n:path /",
	    ":method CONNECT\n:protocol\n:scheme https\n:path /\n:authority a.example",
	    ":method CONNECT\n:protocol a b\n:scheme https\n:path /\n:authority a.example",
	    CONNECT ":protocol websocket", CONNECT "upgrade websocket", CONNECT "connection upgrade"};
	static const char *const unknown[] = {
	    ":method CONNECT\n:protocol connect-udp\n:scheme https\n:path /\n:authority a.example",
	    ":method CONNECT\n:protocol h2c\n:scheme https\n:path /\n:authority a.example",
	    ":method CONNECT\n:authority a.example:443"};
	static const char *const with_length[] = {CONNECT "content-length 0", CONNECT "content-length 5"};

	(void)state;
	ARE(malformed, false, -1);
	ARE(unknown, false, 501);
	ARE(with_length, false, 400);
}

static void a_length_is_one_number_that_can_be(void **state)
{
	static const char *const malformed[] = {POST "content-length 5\ncontent-length 5",
	    POST "content-length", POST "content-length -1", POST "content-length +1",
	    POST "content-length 1,1", POST "content-length 0x1", POST "content-length 9223372036854775808",
	    POST "content-length 18446744073709551616", POST "content-length 00000000000000000001"};
	static const char *const fine[] = {POST "content-length 5", POST "content-length 0",
	    POST "content-length 9223372036854775807", POST "content-length 007"};

	(void)state;
	ARE(malformed, false, -1);
	ARE(fine, false, 0);
	/* The stream has ended, yet a body is announced. */
	assert_int_equal(verdict(H2_BLOCK_REQUEST, POST "content-length 5", true), -1);
	assert_int_equal(verdict(H2_BLOCK_REQUEST, POST "content-length 0", true), 0);
}

static enum http_body framing(const char *lines, bool is_last)
{
	struct h2_head block;
	struct h2_fields fields;

	h2_head_init(&block);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, lines, is_last, &fields), R_OK);
	enum http_body body = fields.body;
	h2_fields_fini(&fields);
	h2_head_fini(&block);
	return body;
}

static void framing_is_what_http_1_1_needs_to_hear(void **state)
{
	(void)state;
	assert_int_equal(framing(GET, true), HTTP_BODY_NONE);
	assert_int_equal(framing(GET, false), HTTP_BODY_CHUNKED);
	assert_int_equal(framing(POST, true), HTTP_BODY_LENGTH);
	assert_int_equal(framing(POST, false), HTTP_BODY_CHUNKED);
	assert_int_equal(framing(POST "content-length 1", false), HTTP_BODY_LENGTH);
}

static void trailers_have_no_pseudo_fields_and_end_the_stream(void **state)
{
	(void)state;
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, "x 1\ngrpc-status 0", true), 0);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, "", true), 0);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, "x 1", false), -1);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, ":path /\nx 1", true), -1);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, ":status 200", true), -1);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, "connection close", true), -1);
	assert_int_equal(verdict(H2_BLOCK_TRAILERS, "X 1", true), -1);
}

static int many(size_t count, size_t value_size, size_t *held)
{
	struct h2_head block;
	struct h2_fields fields = {.body = HTTP_BODY_NONE};
	char *value = calloc(1, value_size + 1);

	memset(value, 'v', value_size);
	h2_head_init(&block);
	enum result result = read_block(&block, H2_BLOCK_REQUEST, GET, true, &fields);
	h2_fields_fini(&fields);
	assert_int_equal(result, R_OK);
	for (size_t i = 0; i < count; i++)
		h2_head_add(&block, http_slice_of("name"), (struct http_slice){value, value_size});
	result = h2_head_end(&block, true, &fields);
	*held = block.fields.capacity;
	int status = block.status;
	h2_fields_fini(&fields);
	h2_head_fini(&block);
	free(value);
	return result == R_OK ? 0 : status;
}

static void a_list_that_is_too_long_is_431_and_not_kept(void **state)
{
	size_t held = 0;

	(void)state;
	assert_int_equal(many(127, 10, &held), 0);
	assert_int_equal(many(128, 10, &held), 431);
	assert_int_equal(many(15, 4096, &held), 0);
	assert_int_equal(many(16, 4096, &held), 431);
	assert_int_equal(many(100000, 4096, &held), 431);
	assert_true(held <= 2 * 64 * 1024);
}

static int too_much_behind(enum h2_block kind, const char *lines, size_t *held)
{
	struct h2_head block;
	struct h2_fields fields = {.body = HTTP_BODY_NONE};
	static char value[4000];

	memset(value, 'v', sizeof value);
	h2_head_init(&block);
	begin_with(&block, kind, lines);
	for (int i = 0; i < 100; i++)
		h2_head_add(&block, http_slice_of("name"), (struct http_slice){value, sizeof value});
	assert_int_equal(h2_head_end(&block, true, &fields), R_DENIED);
	*held = block.fields.capacity;
	int status = block.status;
	h2_head_fini(&block);
	return status;
}

/* What is wrong with it already does not make it small. */
static void a_refused_list_that_goes_on_is_431_and_not_kept(void **state)
{
	static const char *const heads[] = {
	    GET "expect x\n", GET "content_length 5\n", GET "host b.example\n", GET ":protocol other\n", GET};
	size_t held = 0;

	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
		assert_int_equal(too_much_behind(H2_BLOCK_REQUEST, heads[i], &held), 431);
		assert_true(held <= 2 * 64 * 1024);
	}
	assert_int_equal(too_much_behind(H2_BLOCK_TRAILERS, "expect x\n", &held), 431);
	assert_true(held <= 2 * 8 * 1024);
}

static void a_block_forgets_the_one_before(void **state)
{
	struct h2_head block;
	struct h2_fields fields;

	(void)state;
	h2_head_init(&block);
	assert_int_equal(
	    read_block(&block, H2_BLOCK_REQUEST, POST "cookie a=1\ncontent-length 3\nX 1", false, &fields),
	    R_INVALID);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, GET "expect x", true, &fields), R_DENIED);
	assert_int_equal(read_block(&block, H2_BLOCK_REQUEST, GET, true, &fields), R_OK);
	assert_int_equal(fields.body, HTTP_BODY_NONE);
	static struct http_head head;
	h2_fields_read(&fields, &head);
	assert_int_equal(head.field_count, 1);
	h2_fields_fini(&fields);
	h2_head_fini(&block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_a_browser_sends_is_read),
	    cmocka_unit_test(host_stands_for_an_authority_that_is_missing),
	    cmocka_unit_test(one_host_passes_where_both_say_the_same),
	    cmocka_unit_test(names_and_values_that_no_field_has_are_malformed),
	    cmocka_unit_test(fields_of_the_connection_are_malformed),
	    cmocka_unit_test(pseudo_fields_are_once_first_and_known),
	    cmocka_unit_test(pseudo_values_are_checked),
	    cmocka_unit_test(a_connect_with_a_protocol_is_the_get_that_asks_for_it),
	    cmocka_unit_test(a_connect_is_whole_or_malformed_and_of_a_protocol_that_we_know),
	    cmocka_unit_test(a_length_is_one_number_that_can_be),
	    cmocka_unit_test(framing_is_what_http_1_1_needs_to_hear),
	    cmocka_unit_test(trailers_have_no_pseudo_fields_and_end_the_stream),
	    cmocka_unit_test(a_list_that_is_too_long_is_431_and_not_kept),
	    cmocka_unit_test(a_refused_list_that_goes_on_is_431_and_not_kept),
	    cmocka_unit_test(a_block_forgets_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
