#include "common/settings/settings.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/version.h"
#include "common/log/log.h"
#include "common/log/log_line.h"
#include "common/settings/settings_internal.h"

void settings_clear_value(struct setting_value *value)
{
	for (size_t i = 0; i < value->count; i++) {
		OPENSSL_cleanse(value->strings[i], strlen(value->strings[i]));
		free(value->strings[i]);
	}
	free(value->strings);
	*value = (struct setting_value){.source = SOURCE_NONE};
}

void settings_free(struct settings *settings)
{
	if (settings == NULL)
		return;
	for (size_t i = 0; i < settings->program->count; i++)
		settings_clear_value(&settings->values[i]);
	free(settings->values);
	free(settings->unknown_variables);
	free(settings);
}

static void prefix_origin(
    struct error *error, const struct setting *setting, const struct setting_origin *origin)
{
	char variable[SETTING_VARIABLE_SIZE];
	switch (origin->source) {
	case SOURCE_NONE:
	case SOURCE_FALLBACK: error_prefix(error, "the default of %s", setting->name); break;
	case SOURCE_FILE: error_prefix(error, "%s:%d: %s", origin->path, origin->line, setting->name); break;
	case SOURCE_ENVIRONMENT: error_prefix(error, "%s", settings_variable(variable, setting->name)); break;
	case SOURCE_COMMAND_LINE: error_prefix(error, "--%s", setting->name); break;
	}
}

static enum result add_value(struct setting_value *value, const struct setting *setting, const char *text,
    size_t size, struct error *error)
{
	char *copy = mem_copy(text, size);
	int64_t number = 0;
	enum result result = settings_check_value(setting, copy, &number, error);
	if (result != R_OK) {
		OPENSSL_cleanse(copy, size);
		free(copy);
		return result;
	}
	value->strings = mem_resize(value->strings, (value->count + 1) * sizeof *value->strings);
	value->strings[value->count++] = copy;
	value->number = number;
	return R_OK;
}

/* Blanks around a comma, and nothing between two, are forgiven. */
static enum result add_values(
    struct setting_value *value, const struct setting *setting, const char *text, struct error *error)
{
	if ((setting->flags & SETTING_REPEAT) == 0)
		return add_value(value, setting, text, strlen(text), error);
	enum result result = R_OK;
	while (*text != '\0' && result == R_OK) {
		text += strspn(text, ", \t");
		size_t next = strcspn(text, ","), size = next;
		while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
			size--;
		if (size > 0)
			result = add_value(value, setting, text, size, error);
		text += next;
	}
	return result;
}

static bool may_be_empty(const struct setting *setting)
{
	return setting->type == SETTING_STRING || setting->type == SETTING_ADDRESS ||
	       setting->type == SETTING_URL || setting->type == SETTING_FILE;
}

static enum result set_value(struct setting_value *value, const struct setting *setting,
    const struct setting_origin *origin, const char *text, struct error *error)
{
	bool again = value->source == origin->source;
	if (again && origin->source == SOURCE_FILE && (setting->flags & SETTING_REPEAT) == 0) {
		error_set(error, "line %d has set it already; keep one", value->line);
		return R_INVALID;
	}
	if (text[0] == '\0' && !may_be_empty(setting)) {
		error_set(error, "its value is missing; write --%s=%s", setting->name,
		    settings_value_word(setting));
		return R_INVALID;
	}
	if (!again || (setting->flags & SETTING_REPEAT) == 0 || text[0] == '\0')
		settings_clear_value(value);
	value->source = origin->source;
	value->line = origin->line;
	return text[0] == '\0' ? R_OK : add_values(value, setting, text, error);
}

enum result settings_set(struct settings *settings, size_t index, const struct setting_origin *origin,
    const char *text, struct error *error)
{
	const struct setting *setting = &settings->program->table[index];
	enum result result = set_value(&settings->values[index], setting, origin, text, error);
	if (result != R_OK)
		prefix_origin(error, setting, origin);
	return result;
}

/* A secret is one line: its newline is the editor's, not the secret's. */
static enum result read_secret(
    struct settings *settings, size_t index, const struct setting_value *file, struct error *error)
{
	const char *path = file->strings[0];
	struct buf text;
	buf_init(&text, SETTING_SECRET_MAX);
	enum result result = file_read(path, &text, error);
	size_t size = buf_size(&text);
	if (size > 0 && buf_bytes(&text)[size - 1] == '\n')
		size--;
	if (size > 0 && buf_bytes(&text)[size - 1] == '\r')
		size--;
	char *value = mem_copy(buf_bytes(&text), size);
	if (result == R_OK && (size == 0 || strlen(value) != size)) {
		error_set(error, "`%s` %s", path, size == 0 ? "is empty" : "holds a NUL byte");
		result = R_INVALID;
	}
	struct setting_origin origin = {.source = file->source, .path = path, .line = 1};
	if (result == R_OK)
		result = set_value(
		    &settings->values[index], &settings->program->table[index], &origin, value, error);
	OPENSSL_cleanse(value, size);
	free(value);
	buf_wipe(&text);
	return result == R_OK ? R_OK : R_INVALID;
}

static enum result read_secret_of(struct settings *settings, size_t index, struct error *error)
{
	const char *name = settings->program->table[index].name;
	char file_name[SETTING_NAME_MAX + 1];
	int size = snprintf(file_name, sizeof file_name, "%s-file", name);
	size_t file = settings_index(settings->program, file_name, (size_t)size);
	if (file == settings->program->count || settings->values[file].count == 0)
		return R_OK;
	/* settings_load_again: the value is kept, the file is not looked at. */
	if (settings->program->table[file].type != SETTING_FILE)
		return R_OK;
	enum source source = settings->values[index].source;
	if (source > settings->values[file].source)
		return R_OK;
	if (source == settings->values[file].source) {
		error_set(error, "`%s` and `%s` are both set; keep one", name, file_name);
		return R_INVALID;
	}
	enum result result = read_secret(settings, index, &settings->values[file], error);
	if (result != R_OK)
		error_prefix(error, "%s", file_name);
	return result;
}

static enum result read_secrets(struct settings *settings, struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; i < settings->program->count && result == R_OK; i++)
		result = read_secret_of(settings, i, error);
	return result;
}

static enum result apply_fallbacks(struct settings *settings, struct error *error)
{
	const struct setting_origin origin = {.source = SOURCE_FALLBACK};
	enum result result = R_OK;
	for (size_t i = 0; i < settings->program->count && result == R_OK; i++) {
		const char *fallback = settings->program->table[i].fallback;
		if (settings->values[i].source == SOURCE_NONE && fallback != NULL)
			result = settings_set(settings, i, &origin, fallback, error);
	}
	return result;
}

static void set_missing(
    struct error *error, const struct settings_program *program, const struct setting *setting)
{
	char variable[SETTING_VARIABLE_SIZE], twin[SETTING_NAME_MAX + 1];
	int size = snprintf(twin, sizeof twin, "%s-file", setting->name);
	bool has_twin = settings_index(program, twin, (size_t)size) < program->count;
	error_set(error,
	    "%s is not set: give --%s=%s%s%s%s, the variable %s, or a line `%s ...` in the file that "
	    "--config names",
	    setting->name, setting->name, settings_value_word(setting), has_twin ? " or --" : "",
	    has_twin ? twin : "", has_twin ? "=FILE" : "", settings_variable(variable, setting->name),
	    setting->name);
}

enum result settings_check_required(const struct settings *settings, struct error *error)
{
	for (size_t i = 0; i < settings->program->count; i++) {
		const struct setting *setting = &settings->program->table[i];
		if ((setting->flags & SETTING_REQUIRED) == 0 || settings->values[i].count > 0)
			continue;
		set_missing(error, settings->program, setting);
		return R_INVALID;
	}
	return R_OK;
}

/* True when one of the arguments asks for text instead of a start. */
static bool print_what_is_asked(const struct settings_program *program, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			settings_print_help(stdout, program);
		else if (strcmp(argv[i], "--help=mdoc") == 0)
			settings_print_mdoc(stdout, program);
		else if (strcmp(argv[i], "--version") == 0)
			printf("%s %s\n", program->name, POSTERN_VERSION);
		else
			continue;
		return true;
	}
	return false;
}

enum result settings_read_sources(struct settings *settings, int argc, char **argv, struct error *error)
{
	const char *path = settings_config_path(settings, argc, argv);
	enum result result = path != NULL ? settings_read_file(settings, path, error) : R_OK;
	if (result == R_OK)
		result = settings_read_environment(settings, error);
	if (result == R_OK)
		result = settings_read_command_line(settings, argc, argv, error);
	if (result == R_OK)
		result = read_secrets(settings, error);
	if (result == R_OK)
		result = apply_fallbacks(settings, error);
	return result;
}

enum result settings_load(
    struct settings **out, const struct settings_program *program, int argc, char **argv, struct error *error)
{
	*out = NULL;
	if (print_what_is_asked(program, argc, argv))
		return R_NONE;
	struct settings *settings = mem_alloc(sizeof *settings);
	settings->program = program;
	settings->values = mem_alloc_array(program->count, sizeof *settings->values);
	enum result result = settings_read_sources(settings, argc, argv, error);
	if (result == R_OK)
		result = settings_check_required(settings, error);
	if (result != R_OK) {
		settings_free(settings);
		return result;
	}
	*out = settings;
	return R_OK;
}

/* A name that the program's table lacks is a typing error in our code. */
static const struct setting_value *find(const struct settings *settings, const char *name)
{
	size_t index = settings_index(settings->program, name, strlen(name));
	if (index == settings->program->count) {
		fprintf(stderr, "%s: no setting is called `%s`\n", settings->program->name, name);
		abort();
	}
	return &settings->values[index];
}

const char *settings_string(const struct settings *settings, const char *name)
{
	const struct setting_value *value = find(settings, name);
	return value->count > 0 ? value->strings[0] : NULL;
}

bool settings_switch(const struct settings *settings, const char *name)
{
	return find(settings, name)->number != 0;
}

int64_t settings_number(const struct settings *settings, const char *name)
{
	return find(settings, name)->number;
}

size_t settings_count(const struct settings *settings, const char *name)
{
	return find(settings, name)->count;
}

const char *settings_string_at(const struct settings *settings, const char *name, size_t index)
{
	const struct setting_value *value = find(settings, name);
	assert(index < value->count);
	return value->strings[index];
}

static enum log_level level_of(const struct settings *settings)
{
	const char *name = settings_string(settings, "log-level");
	enum log_level level = LOG_LEVEL_DEBUG;
	while (level < LOG_LEVEL_ERROR && strcmp(log_level_name(level), name) != 0)
		level++;
	return level;
}

static enum log_format format_of(const struct settings *settings)
{
	bool json = strcmp(settings_string(settings, "log-format"), "json") == 0;
	return json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

void settings_set_log(const struct settings *settings)
{
	log_set(level_of(settings), format_of(settings));
}

void settings_init_log(const struct settings *settings)
{
	log_init(settings->program->name, level_of(settings), format_of(settings), STDERR_FILENO);
	if (settings->unknown_variables != NULL)
		log_warn("variables that are no settings of this program are ignored",
		    log_str("names", settings->unknown_variables));
}
