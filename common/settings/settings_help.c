#include <stdio.h>
#include <string.h>

#include "common/base/version.h"
#include "common/settings/settings_internal.h"

enum { WIDTH = 80, INDENT = 6 };

/* Words of `text` in lines of at most WIDTH columns. */
static void print_wrapped(FILE *out, int indent, const char *text)
{
	int column = 0;
	while (*text != '\0') {
		int size = (int)strcspn(text, " ");
		bool is_new = column == 0 || column + 1 + size > WIDTH;
		if (is_new)
			fprintf(out, "%s%*s", column == 0 ? "" : "\n", indent, "");
		fprintf(out, "%s%.*s", is_new ? "" : " ", size, text);
		column = is_new ? indent + size : column + 1 + size;
		text += size;
		text += strspn(text, " ");
	}
	fputs("\n", out);
}

static void print_setting(FILE *out, const struct settings_program *program, const struct setting *setting)
{
	char variable[SETTING_VARIABLE_SIZE], notes[256];
	fprintf(out, "  --%s=%s\n", setting->name, settings_value_word(setting));
	print_wrapped(out, INDENT, setting->help);
	snprintf(notes, sizeof notes, "(%s%s%s%s%s%s)", settings_variable(variable, setting->name),
	    setting->fallback ? "; default " : "", setting->fallback ? setting->fallback : "",
	    setting->flags & SETTING_REPEAT ? "; repeatable" : "",
	    setting->flags & SETTING_REQUIRED ? "; required" : "",
	    program->reloads && (setting->flags & SETTING_RELOAD) ? "; SIGHUP reloads it" : "");
	print_wrapped(out, INDENT, notes);
}

void settings_print_help(FILE *out, const struct settings_program *program)
{
	fprintf(out, "Usage: %s [--NAME=VALUE ...]\n", program->name);
	print_wrapped(out, 0, program->summary);
	fputs("\n", out);
	print_wrapped(out, 0,
	    "A setting comes from the file that --config names (lines `name value`, # starts a comment), the "
	    "environment and the command line; the later wins. A repeatable setting is given several times "
	    "or "
	    "with commas, and a later source replaces all its values. Durations: 250ms, 30s, 5m, 12h, 7d. "
	    "Bytes: "
	    "512K, 64M, 1G.");
	fputs("\n", out);
	for (size_t i = 0; i < program->count; i++)
		print_setting(out, program, &program->table[i]);
	fputs("\n  --help, --help=mdoc (this as a manual page), --version\n", out);
}

/* Text for mdoc: a backslash and a control character at a line's start would be read as orders. Sentences
 * that are wrapped anywhere read the same, so one line will do, but a paragraph ends where `text` has an
 * empty line. */
static void print_mdoc_text(FILE *out, const char *text)
{
	bool at_start = true;
	for (; *text != '\0'; text++) {
		if (text[0] == '\n' && text[1] == '\n') {
			fputs("\n.Pp\n", out);
			text += strspn(text, "\n") - 1;
			at_start = true;
			continue;
		}
		if (at_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		fputs(*text == '\\' ? "\\e" : (char[]){*text, '\0'}, out);
		at_start = *text == '\n';
	}
	fputs("\n", out);
}

static void print_mdoc_setting(
    FILE *out, const struct settings_program *program, const struct setting *setting)
{
	char variable[SETTING_VARIABLE_SIZE];
	fprintf(out, ".It Fl -%s Ns = Ns Ar %s\n", setting->name, settings_value_word(setting));
	print_mdoc_text(out, setting->help);
	if (setting->fallback != NULL)
		fprintf(out, "Default:\n.Ql %s .\n", setting->fallback);
	if (setting->flags & SETTING_REPEAT)
		fputs("Repeatable.\n", out);
	if (setting->flags & SETTING_REQUIRED)
		fputs("Required.\n", out);
	if (program->reloads && (setting->flags & SETTING_RELOAD))
		fputs("SIGHUP reloads it.\n", out);
	fprintf(out, "Variable:\n.Ev %s .\n", settings_variable(variable, setting->name));
}

static void print_mdoc_head(FILE *out, const struct settings_program *program)
{
	fputs(".Dd " POSTERN_DATE "\n.Dt ", out);
	for (const char *c = program->name; *c != '\0'; c++)
		fputc(*c >= 'a' && *c <= 'z' ? *c - ('a' - 'A') : *c, out);
	fprintf(out, " 8\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", program->name);
	print_mdoc_text(out, program->summary);
	fputs(".Sh SYNOPSIS\n.Nm\n.Op Fl -config Ns = Ns Ar FILE\n.Op Fl - Ns Ar name Ns = Ns Ar value "
	      "...\n.Nm\n"
	      ".Fl -help | Fl -version\n",
	    out);
	if (program->description != NULL) {
		fputs(".Sh DESCRIPTION\n", out);
		print_mdoc_text(out, program->description);
	}
}

static const char how_settings_are_read[] =
    ".Sh SETTINGS\n"
    "Each setting is read, the later winning, from the file that\n"
    ".Fl -config\n"
    "names (lines of a name, a blank and a value; a word that starts with\n"
    ".Ql #\n"
    "begins a comment), the environment (the name in upper case behind\n"
    ".Ev POSTERN_ ,\n"
    "with\n"
    ".Ql _\n"
    "for\n"
    ".Ql - ;\n"
    "an empty variable counts as not set) and the command line.\n"
    "A repeatable setting is given several times, or with commas between its values; a later source "
    "replaces\n"
    "all values of an earlier one.\n"
    "Where a setting has a twin whose name ends in\n"
    ".Ql -file ,\n"
    "the value may stand in that file instead.\n"
    "An unknown setting, a bad value or an unreadable file ends the start; an unknown variable is only "
    "logged,\n"
    "since daemons may share an environment.\n"
    ".Pp\n"
    "Durations are written as 250ms, 30s, 5m, 12h or 7d, bytes as 512K, 64M or 1G, addresses as host:port,\n"
    "[IPv6]:port or :port for all interfaces.\n"
    ".Bl -tag -width Ds\n";

static const char what_follows[] =
    ".It Fl -help\n"
    "Prints all settings.\n"
    "With\n"
    ".Fl -help Ns =mdoc\n"
    "prints this page.\n"
    ".It Fl -version\n"
    "Prints the version.\n"
    ".El\n"
    ".Sh EXIT STATUS\n"
    "0 after an orderly end, 1 after a failure, 2 for wrong usage or settings.\n"
    ".Sh SEE ALSO\n"
    ".Xr postern 8 ,\n"
    ".Xr postern-acme 8 ,\n"
    ".Xr postern-edge 8 ,\n"
    ".Xr postern-verifier 8\n";

void settings_print_mdoc(FILE *out, const struct settings_program *program)
{
	print_mdoc_head(out, program);
	fputs(how_settings_are_read, out);
	for (size_t i = 0; i < program->count; i++)
		print_mdoc_setting(out, program, &program->table[i]);
	fputs(what_follows, out);
}
