#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "common/settings/settings_internal.h"

size_t settings_index(const struct settings_program *program, const char *name, size_t size)
{
	size_t i = 0;
	while (i < program->count &&
	       (strlen(program->table[i].name) != size || memcmp(program->table[i].name, name, size) != 0))
		i++;
	return i;
}

/* Insertions, deletions and replacements from one to the other (Levenshtein), a row at a time. */
static size_t distance(const char *from, const char *to)
{
	size_t width = strlen(to), row[SETTING_NAME_MAX + 1];
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; from[i - 1] != '\0'; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t replaced = diagonal + (from[i - 1] != to[j - 1]);
			size_t shifted = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = replaced < shifted ? replaced : shifted;
		}
	}
	return row[width];
}

const char *settings_suggest(const struct settings_program *program, const char *name)
{
	const char *nearest = NULL;
	size_t size = strlen(name), least = size < 6 ? 2 : size / 3;
	if (size > SETTING_NAME_MAX)
		return NULL;
	for (size_t i = 0; i < program->count; i++) {
		size_t far = distance(name, program->table[i].name);
		if (far > least || (far == least && nearest != NULL))
			continue;
		least = far;
		nearest = program->table[i].name;
	}
	return nearest;
}

const char *settings_variable(char text[SETTING_VARIABLE_SIZE], const char *name)
{
	assert(strlen(name) <= SETTING_NAME_MAX);
	strcpy(text, "POSTERN_");
	char *next = text + strlen(text);
	for (; *name != '\0'; name++)
		*next++ = *name == '-' ? '_' : (char)toupper((unsigned char)*name);
	*next = '\0';
	return text;
}
