/*
 * Opens a PostgreSQL connection without hanging the thread that needs it: a helper thread blocks in libpq
 * (name look-up, TLS, one host after the other) and tries again, 50 ms growing to 2 s, until it has a
 * connection. The owner takes it over when it is there, or walks away; then the helper cleans up after
 * itself.
 */
#ifndef COMMON_PG_CONNECT_H
#define COMMON_PG_CONNECT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "common/base/result.h"

enum { PG_CONNECT_DELAY_MIN_MS = 50, PG_CONNECT_DELAY_MAX_MS = 2000 };

/* What a connection is opened with: the user's conninfo, completed by what keeps a dead server from going
 * unnoticed, each only where the user did not say otherwise. */
struct pg_options;
struct pg_options *pg_options_new(const char *conninfo, const char *role);
void pg_options_free(struct pg_options *options);
/* Blocks. Never NULL; look at PQstatus. */
PGconn *pg_options_connect(const struct pg_options *options);
/* libpq's sentence in one line, without the line breaks. */
void pg_error_line(char *out, size_t size, const char *message);

struct pg_connector;

/* Starts the helper thread; `delay_ms` passes before its first attempt. `options` must live until _abandon.
 */
struct pg_connector *pg_connector_start(const char *conninfo, const char *role, int delay_ms);
/* The connection, which is the caller's now; NULL when there is none yet. Waits up to `wait_ms`. */
PGconn *pg_connector_take(struct pg_connector *connector, int wait_ms);
bool pg_connector_is_done(struct pg_connector *connector);
/* What the last attempt met with; false when none has failed yet. */
bool pg_connector_last_error(struct pg_connector *connector, struct error *error);
/* Returns at once, whatever the helper thread is blocked in. */
void pg_connector_abandon(struct pg_connector *connector);

#endif
