#include "common/base/clean_text.h"

#include <stdbool.h>
#include <stdio.h>

/* Length of the UTF-8 character at `text` (RFC 3629), 0 where there is none. */
static size_t utf8_length(const unsigned char *text)
{
	static const unsigned char masks[] = {0x80, 0xe0, 0xf0, 0xf8};
	static const unsigned char leads[] = {0x00, 0xc0, 0xe0, 0xf0};
	size_t length = 0;
	for (size_t i = 0; i < 4 && length == 0; i++)
		length = (text[0] & masks[i]) == leads[i] ? i + 1 : 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (length == 2 && text[0] < 0xc2) ||
			(length == 3 && text[0] == 0xe0 && text[1] < 0xa0) ||
			(length == 4 && text[0] == 0xf0 && text[1] < 0x90);
	bool outside = (length == 3 && text[0] == 0xed && text[1] > 0x9f) ||
		       (length == 4 && (text[0] > 0xf4 || (text[0] == 0xf4 && text[1] > 0x8f)));
	return overlong || outside ? 0 : length;
}

void clean_text(char *out, size_t size, const char *text)
{
	size_t used = 0;
	while (*text != '\0') {
		size_t length = utf8_length((const unsigned char *)text);
		if (used + (length ? length : 1) >= size)
			break;
		if (length == 0)
			out[used++] = '?';
		else if (length == 1)
			out[used++] = (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text;
		else
			used += (size_t)snprintf(out + used, size - used, "%.*s", (int)length, text);
		text += length ? length : 1;
	}
	out[used] = '\0';
}
