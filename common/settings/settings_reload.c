/*
 * The settings once more while the program runs: what may change is read anew, what may not keeps its value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/settings/settings_internal.h"

static bool is_same(const struct setting_value *one, const struct setting_value *other)
{
	if (one->count != other->count)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (strcmp(one->strings[i], other->strings[i]) != 0)
			return false;
	return true;
}

static void copy_value(struct setting_value *to, const struct setting_value *from)
{
	settings_clear_value(to);
	*to = *from;
	to->strings = mem_alloc_array(from->count, sizeof *to->strings);
	for (size_t i = 0; i < from->count; i++)
		to->strings[i] = mem_string(from->strings[i]);
}

/* Its file was not read, so that nothing can be said of its value. */
static bool comes_from_a_file(const struct settings *settings, size_t index)
{
	char name[SETTING_NAME_MAX + 1];
	int size = snprintf(name, sizeof name, "%s-file", settings->program->table[index].name);
	size_t file = settings_index(settings->program, name, (size_t)size);

	return settings->values[index].count == 0 && file < settings->program->count &&
	       settings->values[file].count > 0;
}

static void keep(struct settings *fresh, const struct settings *running, void (*on_kept)(const char *name))
{
	const struct settings_program *program = running->program;

	for (size_t i = 0; i < program->count; i++) {
		if (program->table[i].flags & SETTING_RELOAD)
			continue;
		if (!is_same(&fresh->values[i], &running->values[i]) && !comes_from_a_file(fresh, i))
			on_kept(program->table[i].name);
		copy_value(&fresh->values[i], &running->values[i]);
	}
}

/* For the reading only: a file that keeps its name need not be readable any more. */
static struct setting *table_for_reading(const struct settings_program *program)
{
	struct setting *table = mem_alloc_array(program->count, sizeof *table);

	for (size_t i = 0; i < program->count; i++) {
		table[i] = program->table[i];
		if (table[i].type == SETTING_FILE && !(table[i].flags & SETTING_RELOAD) &&
		    strcmp(table[i].name, "config") != 0)
			table[i].type = SETTING_STRING;
	}
	return table;
}

enum result settings_load_again(struct settings **out, const struct settings *running, int argc, char **argv,
    void (*on_kept)(const char *name), struct error *error)
{
	struct setting *table = table_for_reading(running->program);
	struct settings_program program = *running->program;
	struct settings *fresh = mem_alloc(sizeof *fresh);

	*out = NULL;
	program.table = table;
	fresh->program = &program;
	fresh->values = mem_alloc_array(program.count, sizeof *fresh->values);
	enum result result = settings_read_sources(fresh, argc, argv, error);
	fresh->program = running->program;
	free(table);
	if (result == R_OK) {
		keep(fresh, running, on_kept);
		result = settings_check_required(fresh, error);
	}
	if (result == R_OK)
		*out = fresh;
	else
		settings_free(fresh);
	return result;
}
