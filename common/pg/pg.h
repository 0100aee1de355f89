/*
 * One PostgreSQL connection that never hangs its thread: every query has a deadline after which the socket is
 * closed; connecting (name look-up, TLS, each host of a multi-host conninfo in turn) happens in a helper
 * thread, and a query while there is no connection fails at once with R_DOWN. Reconnects by itself, 50 ms
 * growing to 2 s, to a host that accepts writes (target_session_attrs=read-write). Belongs to one thread;
 * nothing is prepared by name, so poolers in transaction mode work. A connection that the server closed while
 * it was idle is replaced first, within 200 ms.
 */
#ifndef COMMON_PG_H
#define COMMON_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/result.h"

struct pg;

/* `conninfo` and `role` are copied; starts to connect at once. `role` becomes application_name. */
struct pg *pg_new(const char *conninfo, const char *role);
void pg_free(struct pg *pg);
/* Checks the conninfo's syntax only. */
enum result pg_check_conninfo(const char *conninfo, struct error *error);

/* Waits until connected or `timeout_ms` has passed (R_TIMEOUT; the error says what the server said last). */
enum result pg_wait_ready(struct pg *pg, int timeout_ms, struct error *error);
bool pg_is_ready(const struct pg *pg);
/* Rises by one with each new connection: who caches, re-reads when it changed. */
uint64_t pg_generation(const struct pg *pg);

/* One parameter; text, or bytes (bytea) when `bytes` is set. NULL text is SQL NULL. */
struct pg_param {
	const char *text;
	const void *bytes;
	size_t size;
};
#define pg_text(value) ((struct pg_param){.text = (value)})
#define pg_bytea(data, length) ((struct pg_param){.bytes = (data), .size = (length)})
/* An int64 as text, in storage that lives as long as the enclosing block. */
#define pg_int(value) ((struct pg_param){.text = pg_int_text((char[24]){0}, (value))})
const char *pg_int_text(char text[24], int64_t value);

/* In a statement's text: a time as the API and the operator's command write it, 2026-11-23T09:00:00Z. */
#define PG_UTC(time) "to_char(" time " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* Runs one statement. `timeout_ms` bounds it all. On R_OK *out holds the result, to be cleared by the caller
 * (out may be NULL). R_DOWN: no connection, or it broke (the statement may or may not have run). R_TIMEOUT:
 * as R_DOWN, after the deadline. R_ERROR: the server refused the statement; pg_sqlstate has its code. Result
 * columns come as text; bytea through pg_get_bytes. */
enum result pg_query(struct pg *pg, int timeout_ms, PGresult **out, struct error *error, const char *sql,
    const struct pg_param *params, int count);
#define pg_run(pg, timeout_ms, out, error, sql, ...) \
	pg_query((pg), (timeout_ms), (out), (error), (sql), (const struct pg_param[]){__VA_ARGS__}, \
	    (int)(sizeof((const struct pg_param[]){__VA_ARGS__}) / sizeof(struct pg_param)))
const char *pg_sqlstate(const struct pg *pg);

/* A transaction is BEGIN, statements, COMMIT through pg_query; after any failure pg_rollback makes the
 * connection usable again. */
void pg_rollback(struct pg *pg);

/* Text of a field, NULL where SQL NULL. */
const char *pg_get(const PGresult *result, int row, int column);
int64_t pg_get_int(const PGresult *result, int row, int column); /* 0 where NULL */
bool pg_get_bool(const PGresult *result, int row, int column);
/* Decodes a bytea field; free() the result. NULL where SQL NULL or malformed. */
unsigned char *pg_get_bytes(const PGresult *result, int row, int column, size_t *size);

/* A text[] literal out of strings, quoted; free() it. */
char *pg_text_array(const char *const *strings, size_t count);

#endif
