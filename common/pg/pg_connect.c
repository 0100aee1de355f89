#include "common/pg/pg_connect.h"
#include "common/base/clock.h"
#include "common/base/condition.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/log/log.h"

/*
 * PQconnectPoll would need no thread, but it ignores connect_timeout and never leaves a first host that
 * accepts and stays silent; PQconnectdb does both, and blocks. The price is this thread, which exists only
 * while there is no connection.
 */

enum { HELPER_STACK = 512 * 1024 };

struct pg_options {
	const char **keywords;
	const char **values;
	PQconninfoOption *parsed;
	char *role;
};

/* A server that vanished is noticed after about 5 s with data on its way, and 19 s without. */
static const struct {
	const char *keyword;
	const char *value;
} defaults[] = {
    {"connect_timeout", "3"},
    {"target_session_attrs", "read-write"},
    {"keepalives", "1"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "3"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "5000"},
    {"client_encoding", "UTF8"},
};

static const char *default_of(const char *keyword)
{
	for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
		if (!strcmp(defaults[i].keyword, keyword))
			return defaults[i].value;
	}
	return NULL;
}

struct pg_options *pg_options_new(const char *conninfo, const char *role)
{
	struct pg_options *options = mem_alloc(sizeof *options);
	options->role = mem_string(role);
	options->parsed = PQconninfoParse(conninfo, NULL);
	size_t count = 0;
	for (PQconninfoOption *option = options->parsed; option && option->keyword; option++)
		count++;
	options->keywords = mem_alloc_array(count + 2, sizeof *options->keywords);
	options->values = mem_alloc_array(count + 2, sizeof *options->values);
	if (!options->parsed) {
		/* Let libpq say what is wrong with it, at each attempt. */
		options->keywords[0] = "dbname";
		options->values[0] = conninfo;
		return options;
	}
	for (size_t i = 0; i < count; i++) {
		const char *keyword = options->parsed[i].keyword;
		const char *value = options->parsed[i].val;
		if (!value)
			value = !strcmp(keyword, "application_name") ? options->role : default_of(keyword);
		options->keywords[i] = keyword;
		options->values[i] = value;
	}
	return options;
}

void pg_options_free(struct pg_options *options)
{
	if (!options)
		return;
	PQconninfoFree(options->parsed);
	free(options->keywords);
	free(options->values);
	free(options->role);
	free(options);
}

static void on_notice(void *arg, const char *message)
{
	(void)arg;
	char line[512];
	pg_error_line(line, sizeof line, message);
	log_debug("database notice", log_str("notice", line));
}

/* What the server says before this returns (a collation warning, say) libpq prints itself: it takes a notice
 * processor only once there is a connection. */
PGconn *pg_options_connect(const struct pg_options *options)
{
	PGconn *conn = PQconnectdbParams(options->keywords, options->values, 0);
	PQsetNoticeProcessor(conn, on_notice, NULL);
	return conn;
}

void pg_error_line(char *out, size_t size, const char *message)
{
	size_t used = 0;
	for (; *message && used + 1 < size; message++) {
		char byte = *message == '\n' || *message == '\t' ? ' ' : *message;
		if (byte == ' ' && (used == 0 || out[used - 1] == ' '))
			continue;
		out[used++] = byte;
	}
	while (used > 0 && out[used - 1] == ' ')
		used--;
	out[used] = 0;
}

/* Shared by the owner and the helper; whoever lets go last frees it. */
struct pg_connector {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct pg_options *options;
	char *role;
	int delay_ms;
	int references;
	bool started; /* false: the machine had no thread to give; tried again at each _take */
	bool abandoned;
	bool failed;
	struct error last_error;
	PGconn *conn;
};

static void unref_locked(struct pg_connector *connector)
{
	bool last = --connector->references == 0;
	pthread_mutex_unlock(&connector->lock);
	if (!last)
		return;
	if (connector->conn)
		PQfinish(connector->conn);
	pg_options_free(connector->options);
	pthread_cond_destroy(&connector->changed);
	pthread_mutex_destroy(&connector->lock);
	free(connector->role);
	free(connector);
}

/* Three quarters to five quarters, so that a fleet does not come back in step. */
static int jittered(int ms)
{
	unsigned char byte;
	process_random(&byte, 1);
	return ms * 3 / 4 + ms * byte / 512;
}

static void pause_locked(struct pg_connector *connector, int ms)
{
	int64_t until = clock_monotonic_ms() + ms;
	while (!connector->abandoned && condition_wait_until(&connector->changed, &connector->lock, until))
		;
}

static void note_failure_locked(struct pg_connector *connector, PGconn *conn)
{
	char line[400];
	pg_error_line(line, sizeof line, PQerrorMessage(conn));
	if (!connector->failed || strcmp(line, connector->last_error.text) != 0)
		log_warn("no database connection, trying on", log_str("role", connector->role),
		    log_str("error", line));
	connector->failed = true;
	error_set(&connector->last_error, "%s", line);
}

static void *connect_thread(void *arg)
{
	struct pg_connector *connector = arg;
	int delay = connector->delay_ms;
	pthread_mutex_lock(&connector->lock);
	while (!connector->abandoned) {
		if (delay > 0)
			pause_locked(connector, jittered(delay));
		if (connector->abandoned)
			break;
		pthread_mutex_unlock(&connector->lock);
		PGconn *conn = pg_options_connect(connector->options);
		pthread_mutex_lock(&connector->lock);
		if (PQstatus(conn) == CONNECTION_OK) {
			connector->conn = conn;
			break;
		}
		note_failure_locked(connector, conn);
		PQfinish(conn);
		delay = delay ? delay * 2 : PG_CONNECT_DELAY_MIN_MS;
		if (delay > PG_CONNECT_DELAY_MAX_MS)
			delay = PG_CONNECT_DELAY_MAX_MS;
	}
	pthread_cond_broadcast(&connector->changed);
	unref_locked(connector);
	return NULL;
}

static bool start_thread(struct pg_connector *connector)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, HELPER_STACK);
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_t thread;
	int failed = pthread_create(&thread, &attributes, connect_thread, connector);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return !failed;
}

static void ensure_started_locked(struct pg_connector *connector)
{
	if (connector->started)
		return;
	connector->started = start_thread(connector);
	if (connector->started) {
		connector->references++;
		return;
	}
	connector->failed = true;
	error_set(&connector->last_error, "this process may have no further thread to connect with");
}

struct pg_connector *pg_connector_start(const char *conninfo, const char *role, int delay_ms)
{
	struct pg_connector *connector = mem_alloc(sizeof *connector);
	pthread_mutex_init(&connector->lock, NULL);
	condition_init(&connector->changed);
	connector->options = pg_options_new(conninfo, role);
	connector->role = mem_string(role);
	connector->delay_ms = delay_ms;
	connector->references = 1;
	pthread_mutex_lock(&connector->lock);
	ensure_started_locked(connector);
	pthread_mutex_unlock(&connector->lock);
	return connector;
}

PGconn *pg_connector_take(struct pg_connector *connector, int wait_ms)
{
	int64_t until = clock_monotonic_ms() + wait_ms;
	pthread_mutex_lock(&connector->lock);
	ensure_started_locked(connector);
	while (!connector->conn && wait_ms > 0 &&
	       condition_wait_until(&connector->changed, &connector->lock, until))
		;
	PGconn *conn = connector->conn;
	connector->conn = NULL;
	pthread_mutex_unlock(&connector->lock);
	return conn;
}

bool pg_connector_is_done(struct pg_connector *connector)
{
	pthread_mutex_lock(&connector->lock);
	bool done = connector->conn != NULL;
	pthread_mutex_unlock(&connector->lock);
	return done;
}

bool pg_connector_last_error(struct pg_connector *connector, struct error *error)
{
	pthread_mutex_lock(&connector->lock);
	bool failed = connector->failed;
	if (failed)
		error_set(error, "%s", connector->last_error.text);
	pthread_mutex_unlock(&connector->lock);
	return failed;
}

void pg_connector_abandon(struct pg_connector *connector)
{
	if (!connector)
		return;
	pthread_mutex_lock(&connector->lock);
	connector->abandoned = true;
	pthread_cond_broadcast(&connector->changed);
	unref_locked(connector);
}
