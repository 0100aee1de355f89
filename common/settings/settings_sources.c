#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/settings/settings_internal.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the comment and the blanks around; a `#` inside a word (a password, a URL's fragment) starts no
 * comment. */
static char *trim_line(char *line)
{
	while (is_blank(*line))
		line++;
	size_t size = 0;
	while (line[size] != '\0' && !(line[size] == '#' && (size == 0 || is_blank(line[size - 1]))))
		size++;
	while (size > 0 && is_blank(line[size - 1]))
		size--;
	line[size] = '\0';
	return line;
}

static enum result refuse_unknown(const struct settings *settings, const char *place, const char *dashes,
    const char *name, struct error *error)
{
	const char *near = settings_suggest(settings->program, name);
	if (dashes[0] == '\0' && strchr(name, '=') != NULL)
		error_set(error, "%sunknown setting `%s`; write `name value`, without `=`", place, name);
	else if (near != NULL)
		error_set(error, "%sunknown setting `%s%s`; did you mean `%s%s`?", place, dashes, name,
		    dashes, near);
	else
		error_set(error, "%sunknown setting `%s%s`; --help lists all", place, dashes, name);
	return R_INVALID;
}

static bool has_control(const char *line)
{
	while (*line != '\0' && (*line == '\t' || !iscntrl((unsigned char)*line)))
		line++;
	return *line != '\0';
}

static enum result read_line(
    struct settings *settings, const struct setting_origin *origin, char *line, struct error *error)
{
	line = trim_line(line);
	if (*line == '\0')
		return R_OK;
	/* Errors quote what they are about, and are read in a terminal. */
	if (has_control(line)) {
		error_set(error, "%s:%d: holds a control byte; write plain text", origin->path, origin->line);
		return R_INVALID;
	}
	size_t name = strcspn(line, " \t");
	char *value = line + name;
	while (is_blank(*value))
		*value++ = '\0';
	size_t index = settings_index(settings->program, line, strlen(line));
	if (index == settings->program->count) {
		char place[256];
		snprintf(place, sizeof place, "%s:%d: ", origin->path, origin->line);
		return refuse_unknown(settings, place, "", line, error);
	}
	const struct setting *setting = &settings->program->table[index];
	if (strcmp(setting->name, "config") == 0) {
		error_set(error, "%s:%d: config: a file of settings cannot name another", origin->path,
		    origin->line);
		return R_INVALID;
	}
	if (*value == '\0' && setting->type == SETTING_SWITCH)
		return settings_set(settings, index, origin, "on", error);
	if (*value == '\0') {
		error_set(error, "%s:%d: %s: its value is missing; write `%s %s`", origin->path, origin->line,
		    setting->name, setting->name, settings_value_word(setting));
		return R_INVALID;
	}
	return settings_set(settings, index, origin, value, error);
}

enum result settings_read_file(struct settings *settings, const char *path, struct error *error)
{
	struct buf text;
	buf_init(&text, SETTINGS_FILE_MAX);
	enum result result = file_read(path, &text, error) == R_OK ? R_OK : R_INVALID;
	if (result != R_OK) {
		error_prefix(error, "config");
	} else if (memchr(buf_bytes(&text), '\0', buf_size(&text)) != NULL) {
		error_set(error, "config: `%s` holds a NUL byte; it is not a text file", path);
		result = R_INVALID;
	}
	char *lines = mem_string(buf_string(&text));
	char *rest = strncmp(lines, "\xef\xbb\xbf", 3) == 0 ? lines + 3 : lines;
	struct setting_origin origin = {.source = SOURCE_FILE, .path = path};
	while (result == R_OK && rest != NULL) {
		char *line = strsep(&rest, "\n");
		origin.line++;
		result = read_line(settings, &origin, line, error);
	}
	free(lines);
	buf_wipe(&text);
	return result;
}

static void remember_unknown(struct settings *settings, const char *variable)
{
	const struct settings_program *program = settings->program;
	size_t size = strcspn(variable, "=");
	char name[SETTING_NAME_MAX + 1] = "";
	for (size_t i = strlen("POSTERN_"); i < size && i - strlen("POSTERN_") < SETTING_NAME_MAX; i++) {
		char c = variable[i];
		name[i - strlen("POSTERN_")] = c == '_'               ? '-'
					       : c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A'))
								      : c;
	}
	const char *near = settings_suggest(program, name);
	char meant[SETTING_VARIABLE_SIZE];
	char *old = settings->unknown_variables;
	settings->unknown_variables = mem_format("%s%s%.*s%s%s%s", old ? old : "", old ? " " : "", (int)size,
	    variable, near ? " (meant " : "", near ? settings_variable(meant, near) : "", near ? "?)" : "");
	free(old);
}

static size_t index_of_variable(const struct settings_program *program, const char *variable, size_t size)
{
	char expected[SETTING_VARIABLE_SIZE];
	size_t i = 0;
	while (i < program->count && (strlen(settings_variable(expected, program->table[i].name)) != size ||
					 memcmp(expected, variable, size) != 0))
		i++;
	return i;
}

enum result settings_read_environment(struct settings *settings, struct error *error)
{
	const struct setting_origin origin = {.source = SOURCE_ENVIRONMENT};
	enum result result = R_OK;
	for (char **variable = environ; variable != NULL && *variable != NULL && result == R_OK; variable++) {
		const char *equals = strchr(*variable, '=');
		if (strncmp(*variable, "POSTERN_", strlen("POSTERN_")) != 0 || equals == NULL)
			continue;
		size_t index = index_of_variable(settings->program, *variable, (size_t)(equals - *variable));
		if (index == settings->program->count)
			remember_unknown(settings, *variable);
		else if (equals[1] != '\0')
			result = settings_set(settings, index, &origin, equals + 1, error);
	}
	return result;
}

static enum result read_argument(struct settings *settings, const char *argument, struct error *error)
{
	const struct settings_program *program = settings->program;
	const struct setting_origin origin = {.source = SOURCE_COMMAND_LINE};
	if (strncmp(argument, "--", 2) != 0 || argument[2] == '\0') {
		error_set(error, "unexpected argument `%s`; settings are given as --name=value", argument);
		return R_INVALID;
	}
	const char *name = argument + 2;
	size_t size = strcspn(name, "=");
	size_t index = settings_index(program, name, size);
	if (index == program->count) {
		char *copy = mem_format("%.*s", (int)size, name);
		enum result result = refuse_unknown(settings, "", "--", copy, error);
		free(copy);
		return result;
	}
	if (name[size] == '=')
		return settings_set(settings, index, &origin, name + size + 1, error);
	if (program->table[index].type == SETTING_SWITCH)
		return settings_set(settings, index, &origin, "on", error);
	error_set(error, "%s: its value is missing; write %s=%s", argument, argument,
	    settings_value_word(&program->table[index]));
	return R_INVALID;
}

enum result settings_read_command_line(struct settings *settings, int argc, char **argv, struct error *error)
{
	enum result result = R_OK;
	for (int i = 1; i < argc && result == R_OK; i++)
		result = read_argument(settings, argv[i], error);
	return result;
}

const char *settings_config_path(const struct settings *settings, int argc, char **argv)
{
	if (settings_index(settings->program, "config", strlen("config")) == settings->program->count)
		return NULL;
	const char *path = getenv("POSTERN_CONFIG");
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--config=", strlen("--config=")) == 0)
			path = argv[i] + strlen("--config=");
	return path != NULL && path[0] != '\0' ? path : NULL;
}
