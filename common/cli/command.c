#include "common/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "common/cli/migrate.h"
#include "common/pg/schema.h"
#include "common/seal/seal.h"

enum { CONNECT_MS = 10000, QUERY_MS = 10000, LOCK_WAIT_MS = 60000 };

int command_fail(const char *text)
{
	fprintf(stderr, "postern: %s\n", text);
	return EXIT_FAILED;
}

static void on_step(void *arg, const char *what, const char *name)
{
	*(int *)arg += 1;
	printf("%s %s\n", what, name);
}

int command_migrate(const struct settings *settings, char **words)
{
	(void)words;
	int steps = 0;
	struct error error;
	const struct migrate_options options = {
	    .conninfo = settings_string(settings, "database"),
	    .migrations = migrations,
	    .count = migration_count,
	    .lock_wait_ms = LOCK_WAIT_MS,
	    .report = on_step,
	    .arg = &steps,
	};
	if (migrate_run(&options, &error) != R_OK)
		return command_fail(error.text);
	printf(steps ? "the database is at version %d\n" : "nothing to do: the database is at version %d\n",
	    SCHEMA_VERSION);
	return EXIT_DONE;
}

int command_seal_key_new(const struct settings *settings, char **words)
{
	(void)settings;
	struct error error;
	if (seal_key_create(words[0], &error) != R_OK)
		return command_fail(error.text);
	printf("wrote %s (secret: for postern-edge and postern-acme, keep a copy where the database's "
	       "backups are not)\n"
	       "wrote %s.pub (for postern-verifier)\n",
	    words[0], words[0]);
	return EXIT_DONE;
}

struct pg *command_connect(const struct settings *settings)
{
	struct error error;
	struct pg *pg = pg_new(settings_string(settings, "database"), "postern");
	enum result result = pg_wait_ready(pg, CONNECT_MS, &error);
	if (result == R_OK)
		result = schema_check(pg, QUERY_MS, &error);
	if (result == R_OK)
		return pg;
	command_fail(error.text);
	pg_free(pg);
	return NULL;
}

int command_parse_name(struct hostname *out, const char *text)
{
	enum hostname_problem problem = hostname_parse_either(out, text, strlen(text));
	if (problem == HOSTNAME_OK)
		return EXIT_DONE;
	fprintf(stderr, "postern: %.300s %s\n", text, hostname_problem_text(problem));
	return EXIT_USAGE;
}

int command_begin(const struct settings *settings, const char *text, struct hostname *name, struct pg **pg)
{
	int code = command_parse_name(name, text);
	if (code != EXIT_DONE)
		return code;
	*pg = command_connect(settings);
	return *pg ? EXIT_DONE : EXIT_FAILED;
}

void command_print_escaped(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];
		if (byte < 0x20 || byte == 0x7f)
			printf("\\x%02x", byte);
		else
			putchar(byte);
	}
}

static void print_row(const PGresult *rows, int row)
{
	printf(" ");
	for (int column = 0; column < PQnfields(rows); column++) {
		const char *value = pg_get(rows, row, column);
		if (!value || !*value)
			continue;
		printf(" %s=", PQfname(rows, column));
		command_print_escaped(value, strlen(value));
	}
	printf("\n");
}

bool command_print_rows(struct pg *pg, const char *title, const char *none, const char *sql,
    const struct pg_param *params, int count)
{
	PGresult *rows = NULL;
	struct error error;
	if (pg_query(pg, QUERY_MS, &rows, &error, sql, params, count) != R_OK) {
		command_fail(error.text);
		return false;
	}
	printf("%s\n", title);
	for (int row = 0; row < PQntuples(rows); row++)
		print_row(rows, row);
	if (PQntuples(rows) == 0)
		printf("  %s\n", none);
	PQclear(rows);
	return true;
}
