/*
 * The commands of `postern`: each is a function that gets its settings and the words after its name, prints
 * for a person on stdout, and returns the exit code.
 */
#ifndef COMMON_CLI_COMMAND_H
#define COMMON_CLI_COMMAND_H

#include "common/net/hostname.h"
#include "common/pg/pg.h"
#include "common/settings/settings.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* `words` ends with NULL. */
typedef int command_run(const struct settings *settings, char **words);

command_run command_migrate;
command_run command_seal_key_new;
command_run command_seal_key_rotate;
command_run command_status;
command_run command_explain;
command_run command_reissue;
command_run command_certificate_import;
command_run command_certificate_list;
command_run command_certificate_show;
command_run command_certificate_export;
command_run command_certificate_remove;
command_run command_certificate_issue;
command_run command_certificate_revoke;
command_run command_acme_rollover;
command_run command_acme_deactivate;
command_run command_acme_register;
command_run command_acme_tasks;

/* Says "postern: TEXT" on stderr; returns EXIT_FAILED. */
int command_fail(const char *text);

/* Connects and checks the schema. NULL: it has been said why not. */
struct pg *command_connect(const struct settings *settings);
/* A host name or a wildcard, as a person types it. EXIT_DONE; else it has been said what is wrong with it. */
int command_parse_name(struct hostname *out, const char *text);
/* Both, for a command about one name: EXIT_DONE, and *pg is the caller's to free. */
int command_begin(const struct settings *settings, const char *text, struct hostname *name, struct pg **pg);
/* What peers wrote (names, DNS contents, a CA's errors) must not steer the terminal. */
void command_print_escaped(const char *text, size_t size);
/* Runs a query and prints its rows, the columns' names before each value, or `none`. Values are escaped for a
 * terminal. */
bool command_print_rows(struct pg *pg, const char *title, const char *none, const char *sql,
    const struct pg_param *params, int count);

#endif
