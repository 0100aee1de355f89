/* What goes into a statement and comes out of a result, as C values. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/pg/pg.h"

const char *pg_int_text(char text[24], int64_t value)
{
	snprintf(text, 24, "%" PRId64, value);
	return text;
}

const char *pg_get(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t pg_get_int(const PGresult *result, int row, int column)
{
	const char *text = pg_get(result, row, column);
	return text ? strtoll(text, NULL, 10) : 0;
}

bool pg_get_bool(const PGresult *result, int row, int column)
{
	const char *text = pg_get(result, row, column);
	return text && *text == 't';
}

/* PQunescapeBytea reads what either setting of bytea_output writes, whatever a pooler left behind. It takes
 * malformed hex for data, so that is looked for here. */
static bool is_bad_hex(const char *text)
{
	if (strncmp(text, "\\x", 2) != 0)
		return false;
	size_t digits = strspn(text + 2, "0123456789abcdefABCDEF");
	return text[2 + digits] != 0 || digits % 2 != 0;
}

unsigned char *pg_get_bytes(const PGresult *result, int row, int column, size_t *size)
{
	*size = 0;
	const char *text = pg_get(result, row, column);
	if (!text || is_bad_hex(text))
		return NULL;
	unsigned char *decoded = PQunescapeBytea((const unsigned char *)text, size);
	if (!decoded)
		return NULL;
	/* One byte more, so that an empty value is a pointer too. */
	unsigned char *copy = mem_alloc(*size + 1);
	memcpy(copy, decoded, *size);
	PQfreemem(decoded);
	return copy;
}

static char *append_quoted(char *to, const char *string)
{
	*to++ = '"';
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			*to++ = '\\';
		*to++ = *string;
	}
	*to++ = '"';
	return to;
}

char *pg_text_array(const char *const *strings, size_t count)
{
	size_t size = 3;
	for (size_t i = 0; i < count; i++)
		size += 2 * strlen(strings[i]) + 3;
	char *array = mem_alloc(size);
	char *to = array;
	*to++ = '{';
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*to++ = ',';
		to = append_quoted(to, strings[i]);
	}
	*to++ = '}';
	*to = 0;
	return array;
}
