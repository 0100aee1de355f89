#include "common/pg/pg.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/pg/pg_connect.h"
#include "common/pg/pg_internal.h"

enum { SHORT_LIVED_MS = 2000, ROLLBACK_MS = 1000, RECONNECT_MS = 200 };

/* Exactly one of `conn` and `connector` is set: there is a connection, or one is being made. */
struct pg {
	char *conninfo;
	char *role;
	PGconn *conn;
	struct pg_connector *connector;
	uint64_t generation;
	int64_t connected_at_ms;
	int delay_ms; /* before the next attempt to connect; grows while connections die young */
	char sqlstate[6];
};

struct pg *pg_new(const char *conninfo, const char *role)
{
	struct pg *pg = mem_alloc(sizeof *pg);
	pg->conninfo = mem_string(conninfo);
	pg->role = mem_string(role);
	pg->connector = pg_connector_start(conninfo, role, 0);
	return pg;
}

void pg_free(struct pg *pg)
{
	if (!pg)
		return;
	PQfinish(pg->conn);
	pg_connector_abandon(pg->connector);
	free(pg->conninfo);
	free(pg->role);
	free(pg);
}

enum result pg_check_conninfo(const char *conninfo, struct error *error)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	if (options) {
		PQconninfoFree(options);
		return R_OK;
	}
	char line[400];
	pg_error_line(line, sizeof line, message ? message : "out of memory");
	PQfreemem(message);
	error_set(error, "not a PostgreSQL connection string: %s", line);
	return R_INVALID;
}

static void take_over(struct pg *pg, int wait_ms)
{
	if (pg->conn)
		return;
	PGconn *conn = pg_connector_take(pg->connector, wait_ms);
	if (!conn)
		return;
	pg_connector_abandon(pg->connector);
	pg->connector = NULL;
	PQsetnonblocking(conn, 1);
	pg->conn = conn;
	pg->generation++;
	pg->connected_at_ms = clock_monotonic_ms();
	log_info("database connected", log_str("role", pg->role), log_str("host", PQhost(conn)),
	    log_str("port", PQport(conn)));
}

/* A connection that lived is replaced at once; one that died young, later and later. */
static int next_delay(const struct pg *pg)
{
	if (clock_monotonic_ms() - pg->connected_at_ms >= SHORT_LIVED_MS)
		return 0;
	int delay = pg->delay_ms ? pg->delay_ms * 2 : PG_CONNECT_DELAY_MIN_MS;
	return delay < PG_CONNECT_DELAY_MAX_MS ? delay : PG_CONNECT_DELAY_MAX_MS;
}

void pg_drop(struct pg *pg, const char *why)
{
	if (!pg->conn)
		return;
	log_warn("database connection lost", log_str("role", pg->role), log_str("error", why));
	PQfinish(pg->conn); /* cannot block: the socket is non-blocking */
	pg->conn = NULL;
	pg->delay_ms = next_delay(pg);
	pg->connector = pg_connector_start(pg->conninfo, pg->role, pg->delay_ms);
}

PGconn *pg_handle(struct pg *pg)
{
	take_over(pg, 0);
	return pg->conn;
}

bool pg_is_ready(const struct pg *pg)
{
	return pg->conn || pg_connector_is_done(pg->connector);
}

uint64_t pg_generation(const struct pg *pg)
{
	return pg->generation;
}

const char *pg_sqlstate(const struct pg *pg)
{
	return pg->sqlstate;
}

static void say_down(struct pg *pg, struct error *error)
{
	struct error last;
	if (pg_connector_last_error(pg->connector, &last))
		error_set(error, "no database connection: %s", last.text);
	else
		error_set(error, "no database connection yet");
}

enum result pg_wait_ready(struct pg *pg, int timeout_ms, struct error *error)
{
	take_over(pg, timeout_ms);
	if (pg->conn)
		return R_OK;
	say_down(pg, error);
	return R_TIMEOUT;
}

static enum result fail_down(struct pg *pg, struct error *error, const char *why)
{
	error_set(error, "database connection lost: %s", why);
	pg_drop(pg, why);
	return R_DOWN;
}

static enum result fail_broken(struct pg *pg, struct error *error)
{
	char line[400];
	pg_error_line(line, sizeof line, PQerrorMessage(pg->conn));
	return fail_down(pg, error, *line ? line : "closed by the server");
}

static bool is_closed(PGconn *conn)
{
	struct pollfd idle = {.fd = PQsocket(conn), .events = POLLIN};
	while (poll(&idle, 1, 0) > 0) {
		if (!PQconsumeInput(conn))
			return true;
	}
	return PQstatus(conn) != CONNECTION_OK;
}

/* A server that went away while nobody asked has closed the socket: seen here, before a statement is risked.
 * Where no transaction is lost with it, a server that is back already is used at once: after a restart of the
 * database each of a program's connections would else cost somebody a failure. */
static bool has_connection(struct pg *pg, int timeout_ms)
{
	take_over(pg, 0);
	if (!pg->conn)
		return false;
	bool in_transaction = PQtransactionStatus(pg->conn) != PQTRANS_IDLE;
	if (!is_closed(pg->conn))
		return true;
	pg_drop(pg, "closed by the server while idle");
	if (!in_transaction)
		take_over(pg, timeout_ms < RECONNECT_MS ? timeout_ms : RECONNECT_MS);
	return pg->conn;
}

static int left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_monotonic_ms();
	return left > 0 ? (int)left : 0;
}

/* R_OK: PQgetResult would not block. */
static enum result wait_for_result(PGconn *conn, int64_t deadline_ms)
{
	bool flushing = true;
	for (;;) {
		if (flushing) {
			int pending = PQflush(conn);
			if (pending < 0)
				return R_DOWN;
			flushing = pending > 0;
		}
		if (!PQisBusy(conn))
			return R_OK;
		struct pollfd wait = {.fd = PQsocket(conn), .events = POLLIN};
		if (flushing)
			wait.events |= POLLOUT;
		int left = left_ms(deadline_ms);
		if (left == 0)
			return R_TIMEOUT;
		poll(&wait, 1, left);
		if ((wait.revents & (POLLIN | POLLERR | POLLHUP)) && !PQconsumeInput(conn))
			return R_DOWN;
	}
}

/* All results of the statement; the first failure wins, else the last one. */
static enum result collect(PGconn *conn, int64_t deadline_ms, PGresult **out)
{
	PGresult *kept = NULL;
	for (;;) {
		enum result result = wait_for_result(conn, deadline_ms);
		if (result != R_OK) {
			PQclear(kept);
			return result;
		}
		PGresult *next = PQgetResult(conn);
		if (!next)
			break;
		ExecStatusType status = PQresultStatus(next);
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
			PQclear(next);
			PQclear(kept);
			return R_INVALID;
		}
		if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
			PQclear(next);
			continue;
		}
		PQclear(kept);
		kept = next;
	}
	*out = kept;
	return kept ? R_OK : R_DOWN;
}

/* Not this statement's fault: the server stops, or is no longer (or not yet) the one that accepts writes. */
static bool is_servers_fault(const char *sqlstate)
{
	static const char *const states[] = {"25006", "57P01", "57P02", "57P03", "57P05"};
	for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
		if (!strcmp(states[i], sqlstate))
			return true;
	}
	return !strncmp(sqlstate, "08", 2);
}

static enum result judge(struct pg *pg, PGresult *result, struct error *error)
{
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return R_OK;
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	if (sqlstate)
		memcpy(pg->sqlstate, sqlstate, strnlen(sqlstate, sizeof pg->sqlstate - 1));
	if (PQstatus(pg->conn) != CONNECTION_OK || (sqlstate && is_servers_fault(sqlstate)))
		return fail_down(pg, error, message ? message : "closed by the server");
	error_set(error, "database refused a statement: %s (SQLSTATE %s)",
	    message ? message : PQresStatus(status), sqlstate ? sqlstate : "unknown");
	return R_ERROR;
}

enum { PARAMS_MAX = 64 };

static bool send_statement(PGconn *conn, const char *sql, const struct pg_param *params, int count)
{
	const char *values[PARAMS_MAX];
	int sizes[PARAMS_MAX];
	int formats[PARAMS_MAX];
	for (int i = 0; i < count; i++) {
		values[i] = params[i].bytes ? params[i].bytes : params[i].text;
		sizes[i] = (int)params[i].size;
		formats[i] = params[i].bytes != NULL;
	}
	return PQsendQueryParams(conn, sql, count, NULL, values, sizes, formats, 0);
}

enum result pg_query(struct pg *pg, int timeout_ms, PGresult **out, struct error *error, const char *sql,
    const struct pg_param *params, int count)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	PGresult *result = NULL;
	if (out)
		*out = NULL;
	memset(pg->sqlstate, 0, sizeof pg->sqlstate);
	if (count > PARAMS_MAX)
		abort();
	if (!has_connection(pg, timeout_ms)) {
		say_down(pg, error);
		return R_DOWN;
	}
	if (!send_statement(pg->conn, sql, params, count))
		return fail_broken(pg, error);
	enum result outcome = collect(pg->conn, deadline_ms, &result);
	if (outcome == R_TIMEOUT) {
		error_set(error, "no answer from the database within %d ms", timeout_ms);
		pg_drop(pg, "no answer in time");
		return R_TIMEOUT;
	}
	if (outcome == R_INVALID) {
		pg_drop(pg, "COPY is not for pg_query");
		error_set(error, "COPY is not for pg_query");
		return R_ERROR;
	}
	if (outcome != R_OK)
		return fail_broken(pg, error);
	outcome = judge(pg, result, error);
	if (outcome == R_OK && out) {
		*out = result;
		result = NULL;
	}
	PQclear(result);
	return outcome;
}

void pg_rollback(struct pg *pg)
{
	if (!pg->conn || PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
		return;
	char sqlstate[sizeof pg->sqlstate];
	memcpy(sqlstate, pg->sqlstate, sizeof sqlstate);
	if (pg_query(pg, ROLLBACK_MS, NULL, NULL, "ROLLBACK", NULL, 0) == R_ERROR)
		pg_drop(pg, "could not roll back");
	memcpy(pg->sqlstate, sqlstate, sizeof sqlstate);
}
