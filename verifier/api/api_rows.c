#include "verifier/api/api_rows.h"

#include <stdlib.h>

#include "common/pg/pg.h"

/* Of pg_type, where they never change. */
enum { TYPE_BOOL = 16, TYPE_INT8 = 20, TYPE_INT4 = 23, TYPE_JSON = 114, TYPE_JSONB = 3802 };

static json_t *value_json(const PGresult *rows, int row, int column)
{
	const char *text = pg_get(rows, row, column);
	json_t *value = NULL;
	if (!text)
		return json_null();
	switch (PQftype(rows, column)) {
	case TYPE_BOOL: return json_boolean(text[0] == 't');
	case TYPE_INT4:
	case TYPE_INT8: return json_integer(strtoll(text, NULL, 10));
	case TYPE_JSON:
	case TYPE_JSONB: value = json_loads(text, JSON_DECODE_ANY, NULL); return value ? value : json_null();
	default: return json_string(text);
	}
}

json_t *api_row_json(const PGresult *rows, int row)
{
	json_t *object = json_object();
	for (int column = 0; column < PQnfields(rows); column++)
		json_object_set_new(object, PQfname(rows, column), value_json(rows, row, column));
	return object;
}

json_t *api_rows_json(const PGresult *rows)
{
	json_t *list = json_array();
	for (int row = 0; row < PQntuples(rows); row++)
		json_array_append_new(list, api_row_json(rows, row));
	return list;
}
