/*
 * Brings a database's tables up to what this program was built with: the files of sql/, which it carries
 * inside itself, in their order, each in a transaction, and the daemons' roles. Any number may run at once;
 * all but one wait and find nothing to do.
 */
#ifndef COMMON_CLI_MIGRATE_H
#define COMMON_CLI_MIGRATE_H

#include <stddef.h>

#include "common/base/result.h"

struct migration {
	int version;
	const char *name; /* "0001_base.sql" */
	const char *sql;
};

/* Version i + 1 at index i. */
extern const struct migration migrations[];
extern const size_t migration_count;

/* Told of each step, for a person: "applied", "0001_base.sql". */
typedef void migrate_report(void *arg, const char *what, const char *name);

struct migrate_options {
	const char *conninfo;
	const struct migration *migrations;
	size_t count;
	int lock_wait_ms; /* for other migrations, and for tables that are in use */
	migrate_report *report;
	void *arg;
};

/* Blocks. R_DOWN: no connection. R_TIMEOUT: another migration holds the lock. R_INVALID: the database is
 * newer than this program, or was migrated with other files. R_DENIED: rights are missing. */
enum result migrate_run(const struct migrate_options *options, struct error *error);

#endif
