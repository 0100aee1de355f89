#include "common/log/log_line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* `limit` leaves room for what must follow: a brace and the newline. */
struct writer {
	char *line;
	size_t used;
	size_t limit;
};

enum { TAIL = 2, FIELD_LEAST = 40 };

static bool put(struct writer *writer, const char *bytes, size_t size)
{
	if (size > writer->limit - writer->used)
		return false;
	memcpy(writer->line + writer->used, bytes, size);
	writer->used += size;
	return true;
}

static bool put_string(struct writer *writer, const char *string)
{
	return put(writer, string, strlen(string));
}

/* Bytes of the UTF-8 sequence at `bytes`, 0 where it is none (RFC 3629: no surrogates, nothing over-long). */
static size_t utf8_sequence(const unsigned char *bytes, size_t size, uint32_t *point)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = bytes[0];
	size_t length = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : 2;
	if (length == 1) {
		*point = first;
		return 1;
	}
	if (first < 0xc0 || first >= 0xf8 || length > size)
		return 0;
	uint32_t value = first & (0xffu >> (length + 1));
	for (size_t i = 1; i < length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*point = value;
	return length;
}

/* What a terminal would obey, or a reader be fooled by: C0, DEL, C1, line separators, direction overrides. */
static bool is_unsafe(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069);
}

static bool put_hex(struct writer *writer, enum log_format format, const unsigned char *bytes, size_t size)
{
	/* JSON has no escape for a byte: the reader sees the four characters \xNN there too. */
	const char *prefix = format == LOG_FORMAT_JSON ? "\\\\x" : "\\x";
	char text[4 * 5 + 1];
	size_t used = 0;
	for (size_t i = 0; i < size; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%02x", prefix, bytes[i]);
	return put(writer, text, used);
}

/* Bytes of ASCII at the front that need no escape: most values have no others. */
static size_t count_plain(const unsigned char *bytes, size_t size)
{
	size_t i = 0;
	while (i < size && bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\')
		i++;
	return i;
}

static bool put_escaped(struct writer *writer, enum log_format format, const char *string)
{
	const unsigned char *bytes = (const unsigned char *)string;
	size_t size = strnlen(string, LOG_VALUE_MAX);
	for (size_t i = 0; i < size;) {
		size_t plain = count_plain(bytes + i, size - i);
		size_t room = writer->limit - writer->used;
		put(writer, string + i, plain < room ? plain : room);
		i += plain;
		if (plain > room || i == size)
			return plain <= room;
		uint32_t point = 0;
		size_t length = utf8_sequence(bytes + i, strnlen(string + i, 4), &point);
		bool fits = false;
		if (length == 0)
			fits = put_hex(writer, format, bytes + i, length = 1);
		else if (point == '"' || point == '\\')
			fits = put(writer, (char[]){'\\', (char)point}, 2);
		else if (point == '\n' || point == '\t' || point == '\r')
			fits = put(writer, point == '\n' ? "\\n" : point == '\t' ? "\\t" : "\\r", 2);
		else if (is_unsafe(point))
			fits = put_hex(writer, format, bytes + i, length);
		else
			fits = put(writer, string + i, length);
		if (!fits)
			return false;
		i += length;
	}
	return true;
}

/* Always closed: the byte for the closing quote is kept back while the value is written. */
static void put_quoted(struct writer *writer, enum log_format format, const char *string)
{
	put(writer, "\"", 1);
	writer->limit--;
	put_escaped(writer, format, string);
	writer->limit++;
	put(writer, "\"", 1);
}

static bool is_bare(const char *value)
{
	size_t size =
	    strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/@+,*()[]");
	return size > 0 && value[size] == '\0' && size < LOG_VALUE_MAX;
}

static void put_number(struct writer *writer, int64_t number)
{
	char text[24];
	char *at = text + sizeof text;
	uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--at = '-';
	put(writer, at, (size_t)(text + sizeof text - at));
}

static void put_value(struct writer *writer, enum log_format format, const struct log_field *field)
{
	if (field->string == NULL) {
		put_number(writer, field->number);
	} else if (format == LOG_FORMAT_TEXT && is_bare(field->string) &&
		   strlen(field->string) < writer->limit - writer->used) {
		put_string(writer, field->string);
	} else {
		put_quoted(writer, format, field->string);
	}
}

static void put_field(struct writer *writer, enum log_format format, const struct log_field *field)
{
	/* FIELD_LEAST: the marks around it and the longest number, or a little of a value. */
	if (writer->limit - writer->used < strlen(field->name) + FIELD_LEAST)
		return;
	if (format == LOG_FORMAT_JSON) {
		put_string(writer, ",\"");
		put_string(writer, field->name);
		put_string(writer, "\":");
	} else {
		put_string(writer, " ");
		put_string(writer, field->name);
		put_string(writer, "=");
	}
	put_value(writer, format, field);
}

/* Many lines fall into one second: its text is kept. */
static void format_time(char text[32], int64_t wall_ms)
{
	static _Thread_local char last_text[24];
	static _Thread_local time_t last = -1;
	static _Thread_local size_t used;
	int64_t milliseconds = ((wall_ms % 1000) + 1000) % 1000;
	time_t seconds = (time_t)((wall_ms - milliseconds) / 1000);
	if (used == 0 || seconds != last) {
		struct tm utc = {0};
		gmtime_r(&seconds, &utc);
		used = strftime(last_text, sizeof last_text, "%Y-%m-%dT%H:%M:%S", &utc);
		last = seconds;
	}
	memcpy(text, last_text, used);
	const char fraction[] = {'.', (char)('0' + milliseconds / 100), (char)('0' + milliseconds / 10 % 10),
	    (char)('0' + milliseconds % 10), 'Z', '\0'};
	memcpy(text + used, fraction, sizeof fraction);
}

static void put_head(struct writer *writer, enum log_format format, const struct log_event *event)
{
	char time[32];
	format_time(time, event->wall_ms);
	bool json = format == LOG_FORMAT_JSON;
	put_string(writer, json ? "{\"time\":\"" : "");
	put_string(writer, time);
	put_string(writer, json ? "\",\"level\":\"" : " ");
	put_string(writer, log_level_name(event->level));
	put_string(writer, json ? "\",\"program\":\"" : " ");
	put_string(writer, event->program);
	put_string(writer, json ? "\",\"message\":" : " ");
	if (json)
		put_quoted(writer, format, event->message);
	else
		put_escaped(writer, format, event->message);
}

size_t log_line_format(char line[LOG_LINE_MAX], enum log_format format, const struct log_event *event)
{
	struct writer writer = {.line = line, .limit = LOG_LINE_MAX - TAIL};
	put_head(&writer, format, event);
	for (size_t i = 0; i < event->count; i++)
		put_field(&writer, format, &event->fields[i]);
	writer.limit = LOG_LINE_MAX;
	put_string(&writer, format == LOG_FORMAT_JSON ? "}\n" : "\n");
	return writer.used;
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	return names[level];
}
