/*
 * What the files of settings share: the values as they fill up, and who checks one value. Include it nowhere
 * else.
 */
#ifndef COMMON_SETTINGS_INTERNAL_H
#define COMMON_SETTINGS_INTERNAL_H

#include "common/settings/settings.h"

/* Later wins. */
enum source { SOURCE_NONE, SOURCE_FALLBACK, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_COMMAND_LINE };

enum { SETTING_NAME_MAX = 63, SETTING_VARIABLE_SIZE = sizeof "POSTERN_" + SETTING_NAME_MAX };
enum { SETTINGS_FILE_MAX = 256 * 1024, SETTING_SECRET_MAX = 64 * 1024 };

/* The values of one table entry. */
struct setting_value {
	enum source source;
	int line; /* of the file, when that is its source */
	char **strings;
	int64_t number; /* of the last string */
	size_t count;
};

struct settings {
	const struct settings_program *program;
	struct setting_value *values; /* as many as the table has entries */
	char *unknown_variables;      /* separated by spaces, or NULL */
};

/* Where a value came from: for the error, and to tell a setting given twice. */
struct setting_origin {
	enum source source;
	const char *path; /* SOURCE_FILE */
	int line;
};

/* settings.c */
enum result settings_set(struct settings *settings, size_t index, const struct setting_origin *origin,
    const char *text, struct error *error);

void settings_clear_value(struct setting_value *value);
/* File, environment, command line, secrets, defaults. */
enum result settings_read_sources(struct settings *settings, int argc, char **argv, struct error *error);
enum result settings_check_required(const struct settings *settings, struct error *error);

/* settings_sources.c: each reads its source into `settings`. */
enum result settings_read_file(struct settings *settings, const char *path, struct error *error);
enum result settings_read_environment(struct settings *settings, struct error *error);
enum result settings_read_command_line(struct settings *settings, int argc, char **argv, struct error *error);
const char *settings_config_path(const struct settings *settings, int argc, char **argv);

/* settings_names.c. settings_index returns the table's count where the name is unknown; settings_suggest the
 * nearest name, or NULL. */
size_t settings_index(const struct settings_program *program, const char *name, size_t size);
const char *settings_suggest(const struct settings_program *program, const char *name);
const char *settings_variable(char text[SETTING_VARIABLE_SIZE], const char *name);

/* settings_values.c: is `text` good for `setting`? *number is set for numbers, bytes, durations and switches.
 * The error is a clause without place and name. */
enum result settings_check_value(
    const struct setting *setting, const char *text, int64_t *number, struct error *error);
const char *settings_value_word(const struct setting *setting);

#endif
