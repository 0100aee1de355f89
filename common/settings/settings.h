/*
 * Settings: each is declared once, in a program's table, and read from the file given by --config (`name
 * value` lines, `#` comments), the environment (POSTERN_ + upper case, - as _) and the command line
 * (--name=value), the later winning. --help and the manual page come from the same table. An unknown name, a
 * bad value or an unreadable file is an error that names the place.
 */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/result.h"

enum setting_type {
	SETTING_STRING,
	SETTING_SWITCH, /* on, off */
	SETTING_INTEGER,
	SETTING_BYTES,    /* 64M, 512K, 1G or plain bytes */
	SETTING_DURATION, /* 250ms, 30s, 5m, 12h, 7d */
	SETTING_CHOICE,   /* one of `choices`, separated by | */
	SETTING_ADDRESS,  /* host:port, [v6]:port or :port */
	SETTING_URL,      /* http:// or https:// */
	SETTING_FILE,     /* must be readable at start */
};

/* REPEAT: may have several values: given several times, or separated by commas (so none holds a comma); a
 * later source's values replace an earlier source's as a whole. SECRET: its value is never shown, not in
 * errors either. REQUIRED: the start ends without it. RELOAD: settings_load_again takes a new value. */
enum { SETTING_REPEAT = 1, SETTING_SECRET = 2, SETTING_REQUIRED = 4, SETTING_RELOAD = 8 };

struct setting {
	const char *name;
	enum setting_type type;
	unsigned flags;
	const char *fallback; /* NULL: unset */
	const char *help;     /* one or two sentences: units, limits, what it does */
	const char *choices;  /* SETTING_CHOICE */
	int64_t min, max;     /* numbers, bytes, milliseconds; both 0: no limit */
};

/* clang-format off */
/* What every daemon has. Use as the first entries of a table. */
#define SETTINGS_OF_EVERY_DAEMON(admin_default)                                                              \
	{"config", SETTING_FILE, 0, NULL, "File of settings, one `name value` a line, # starts a comment.",      \
	    NULL, 0, 0},                                                                                         \
	{"database", SETTING_STRING, SETTING_REQUIRED, NULL,                                                     \
	    "PostgreSQL connection (libpq conninfo or URI; several hosts are tried in turn for the one that accepts " \
	    "writes). Also database-file.", NULL, 0, 0},                                                         \
	{"database-file", SETTING_FILE, 0, NULL, "File that holds the value of `database`.", NULL, 0, 0},        \
	{"database-listen", SETTING_STRING, 0, NULL,                                                             \
	    "Direct connection for LISTEN, where `database` goes through a pooler. Default: `database`.",        \
	    NULL, 0, 0},                                                                                         \
	{"log-level", SETTING_CHOICE, SETTING_RELOAD, "info", "Least level that is logged.", "debug|info|warn|error", 0, 0},  \
	{"log-format", SETTING_CHOICE, SETTING_RELOAD, "text", "How log lines are written.", "text|json", 0, 0},              \
	{"admin-listen", SETTING_ADDRESS, 0, admin_default,                                                      \
	    "Address of /metrics, /healthz and /readyz. Keep it private. Empty: none.", NULL, 0, 0},                          \
	{"user", SETTING_STRING, 0, NULL, "User to become once all sockets are bound. Default: stay.", NULL, 0, 0}
/* clang-format on */

struct settings_program {
	const char *name;    /* "postern-edge" */
	const char *summary; /* one line */
	const struct setting *table;
	size_t count;
	const char *description; /* for the manual page: paragraphs separated by an empty line; NULL: none */
	bool reloads;            /* takes SETTING_RELOAD settings anew on SIGHUP: --help says which */
};

struct settings;

/* A setting `NAME` with a table entry `NAME-file` is read from that file (last newline cut) when only that is
 * given, or that by a later source; both from one source are an error. An empty variable counts as not set;
 * `--NAME=` takes a text, address, URL or file away, its default included. R_NONE: --help, --help=mdoc or
 * --version was printed, exit 0. R_INVALID: the error says what, where and the mend; exit 2. Arguments that
 * are not options are an error. Daemons may share an environment, so a POSTERN_ variable that is no setting
 * is not an error: settings_init_log warns of it. Free with settings_free. */
enum result settings_load(struct settings **out, const struct settings_program *program, int argc,
    char **argv, struct error *error);
/* Reads everything once more, as SIGHUP asks for. A setting without SETTING_RELOAD keeps the value that it
 * has in `running`, and its file is not looked at (the rights for it may be gone); `on_kept` is told the name
 * of each that was to change. On an error *out is NULL and nothing has changed. */
enum result settings_load_again(struct settings **out, const struct settings *running, int argc, char **argv,
    void (*on_kept)(const char *name), struct error *error);
void settings_free(struct settings *settings);
/* What --help prints, and the whole manual page (mdoc) that --help=mdoc prints. */
void settings_print_help(FILE *out, const struct settings_program *program);
void settings_print_mdoc(FILE *out, const struct settings_program *program);

/* A name outside the table is a bug and aborts. Strings live as long as the settings; NULL: unset. */
const char *settings_string(const struct settings *settings, const char *name);
bool settings_switch(const struct settings *settings, const char *name);
int64_t settings_number(const struct settings *settings, const char *name); /* integer, bytes, milliseconds */
size_t settings_count(const struct settings *settings, const char *name);
const char *settings_string_at(const struct settings *settings, const char *name, size_t index);
/* `log_init` by the program's log-level and log-format, to stderr; then warns of unknown POSTERN_ variables.
 */
void settings_init_log(const struct settings *settings);
/* Level and format, while the log runs. */
void settings_set_log(const struct settings *settings);

#endif
