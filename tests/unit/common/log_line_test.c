/* What a log line looks like, and that nothing a stranger sends can forge, break or lengthen one. */
#include "common/log/log_line.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 2026-11-22T23:59:51.123Z */
static const int64_t moment = INT64_C(1795391991123);

static char line[LOG_LINE_MAX + 1];

static const char *format(
    enum log_format form, const char *message, const struct log_field *fields, size_t count)
{
	struct log_event event = {
	    .level = LOG_LEVEL_INFO,
	    .program = "postern-edge",
	    .message = message,
	    .fields = fields,
	    .count = count,
	    .wall_ms = moment,
	};
	memset(line, 'x', sizeof line);
	size_t size = log_line_format(line, form, &event);
	assert_in_range(size, 1, LOG_LINE_MAX);
	assert_int_equal(line[size - 1], '\n');
	line[size] = '\0';
	assert_int_equal(strlen(line), size);
	return line;
}

#define text_of(...) \
	format(LOG_FORMAT_TEXT, "message", (struct log_field[]){__VA_ARGS__}, \
	    sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define json_of(...) \
	format(LOG_FORMAT_JSON, "message", (struct log_field[]){__VA_ARGS__}, \
	    sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

static struct log_field string(const char *name, const char *value)
{
	return (struct log_field){.name = name, .string = value};
}

static struct log_field number(const char *name, int64_t value)
{
	return (struct log_field){.name = name, .number = value};
}

static void text_quotes_what_needs_it(void **state)
{
	(void)state;
	assert_string_equal(text_of(string("name", "shop.brand.test"), string("why", "not there"),
				number("ms", -5), string("e", "")),
	    "2026-11-22T23:59:51.123Z info postern-edge message name=shop.brand.test why=\"not there\" ms=-5 "
	    "e=\"\"\n");
	assert_string_equal(format(LOG_FORMAT_TEXT, "started", NULL, 0),
	    "2026-11-22T23:59:51.123Z info postern-edge started\n");
}

static void json_is_one_object(void **state)
{
	(void)state;
	assert_string_equal(json_of(string("name", "shop.brand.test"), number("ms", 12)),
	    "{\"time\":\"2026-11-22T23:59:51.123Z\",\"level\":\"info\",\"program\":\"postern-edge\","
	    "\"message\":\"message\",\"name\":\"shop.brand.test\",\"ms\":12}\n");
}

static void every_byte_is_harmless(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		char value[] = {'a', (char)byte, 'b', '\0'};
		const char *text = text_of(string("value", value));
		for (const char *c = text; c[1] != '\0'; c++)
			assert_true((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
		json_t *parsed = json_loads(json_of(string("value", value)), 0, NULL);
		assert_non_null(parsed);
		const char *seen = json_string_value(json_object_get(parsed, "value"));
		bool plain = byte < 0x80 && byte >= 0x20 && byte != 0x7f;
		if (plain || byte == '\n' || byte == '\t' || byte == '\r')
			assert_string_equal(seen, value);
		else
			assert_memory_equal(seen, "a\\x", 3);
		json_decref(parsed);
	}
}

static void a_line_cannot_be_forged(void **state)
{
	(void)state;
	assert_string_equal(strstr(text_of(string("v", "x\" level=\"\n2026 error")), "v="),
	    "v=\"x\\\" level=\\\"\\n2026 error\"\n");
	assert_string_equal(strstr(text_of(string("v", "back\\slash")), "v="), "v=\"back\\\\slash\"\n");
	assert_string_equal(strstr(text_of(string("v", "\x1b[31m")), "v="), "v=\"\\x1b[31m\"\n");
	assert_non_null(strstr(format(LOG_FORMAT_TEXT, "two\nlines", NULL, 0), "two\\nlines"));
}

static void utf8_passes_and_what_is_none_is_escaped(void **state)
{
	(void)state;
	assert_string_equal(strstr(text_of(string("v", "bücher")), "v="), "v=\"bücher\"\n");
	static const struct {
		const char *bytes, *written;
	} table[] = {
	    {"\xff", "\\xff"},
	    {"\xc3", "\\xc3"},
	    {"\xc0\xaf", "\\xc0\\xaf"},                   /* over-long */
	    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
	    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
	    {"\xe2\x82", "\\xe2\\x82"},                   /* cut */
	    {"\xc2\x9b", "\\xc2\\x9b"},                   /* C1: a terminal's CSI */
	    {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* turns the reading direction */
	    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* line separator */
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		char expected[64];
		snprintf(expected, sizeof expected, "v=\"%s\"\n", table[i].written);
		assert_string_equal(strstr(text_of(string("v", table[i].bytes)), "v="), expected);
	}
}

static void values_are_cut_at_1024_bytes(void **state)
{
	(void)state;
	char value[3000];
	memset(value, 'a', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	assert_int_equal(
	    strlen(strstr(text_of(string("v", value)), "v=")), strlen("v=\"\"\n") + LOG_VALUE_MAX);
	json_t *parsed = json_loads(json_of(string("v", value), number("n", 7)), 0, NULL);
	assert_int_equal(json_string_length(json_object_get(parsed, "v")), LOG_VALUE_MAX);
	assert_int_equal(json_integer_value(json_object_get(parsed, "n")), 7);
	json_decref(parsed);
}

/* Long values of the worst bytes, many of them: the line stays one valid object within its maximum. */
static void lines_end_well_however_long_the_values(void **state)
{
	(void)state;
	static const char fill[] = {'a', '"', '\x01', '\xff'};
	for (size_t f = 0; f < sizeof fill; f++) {
		for (size_t size = 900; size < 1030; size++) {
			char value[1100];
			memset(value, fill[f], size);
			value[size] = '\0';
			struct log_field fields[] = {string("a", value), string("b", value),
			    number("c", INT64_MIN), string("d", value), string("e", value),
			    string("f", value), number("g", 1)};
			json_error_t where;
			json_t *parsed = json_loads(format(LOG_FORMAT_JSON, "message", fields, 7), 0, &where);
			if (parsed == NULL)
				fail_msg("%s at %d of: %s", where.text, where.position, line);
			json_decref(parsed);
			const char *text = format(LOG_FORMAT_TEXT, "message", fields, 7);
			size_t quotes = 0;
			for (const char *c = text; *c != '\0'; c++)
				quotes += *c == '"' && c[-1] != '\\';
			assert_int_equal(quotes % 2, 0);
		}
	}
}

static void long_messages_are_cut_too(void **state)
{
	(void)state;
	char message[5000];
	memset(message, '\x02', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	struct log_field field = number("n", 1);
	format(LOG_FORMAT_TEXT, message, &field, 1);
	json_t *parsed = json_loads(format(LOG_FORMAT_JSON, message, &field, 1), 0, NULL);
	assert_non_null(parsed);
	json_decref(parsed);
}

static void dates_before_1970_do_not_break_it(void **state)
{
	(void)state;
	struct log_event event = {.program = "p", .message = "m", .wall_ms = -1};
	size_t size = log_line_format(line, LOG_FORMAT_TEXT, &event);
	line[size] = '\0';
	assert_string_equal(line, "1969-12-31T23:59:59.999Z debug p m\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_quotes_what_needs_it),
	    cmocka_unit_test(json_is_one_object),
	    cmocka_unit_test(every_byte_is_harmless),
	    cmocka_unit_test(a_line_cannot_be_forged),
	    cmocka_unit_test(utf8_passes_and_what_is_none_is_escaped),
	    cmocka_unit_test(values_are_cut_at_1024_bytes),
	    cmocka_unit_test(lines_end_well_however_long_the_values),
	    cmocka_unit_test(long_messages_are_cut_too),
	    cmocka_unit_test(dates_before_1970_do_not_break_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
