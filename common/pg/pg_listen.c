#include "common/pg/pg_listen.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/log/log.h"
#include "common/pg/pg.h"
#include "common/pg/pg_internal.h"

enum {
	QUERY_MS = 2000,
	STOP_CHECK_MS = 250,
	ECHO_EVERY_MS = 15000, /* also what finds a server that went silent */
	ECHO_WAIT_MS = 5000,
	STATEMENT_MAX = 512,
};

struct pg_listen {
	pthread_t thread;
	struct pg *pg;
	struct pg_listen_handler handler;
	char **channels;
	char echo_channel[48]; /* ours alone: the name is random */
	int stop_fd;
	atomic_bool stopping;
	int64_t echo_sent_ms; /* 0: none under way */
	int64_t echo_next_ms;
	bool echo_warned; /* once per connection */
};

static enum result listen_to(struct pg_listen *listen, const char *channel, struct error *error)
{
	struct buf sql;
	buf_init(&sql, STATEMENT_MAX);
	buf_append_string(&sql, "LISTEN \"");
	for (const char *byte = channel; *byte; byte++)
		buf_append(&sql, *byte == '"' ? "\"\"" : byte, *byte == '"' ? 2 : 1);
	buf_append_string(&sql, "\"");
	enum result result = pg_query(listen->pg, QUERY_MS, NULL, error, buf_string(&sql), NULL, 0);
	buf_fini(&sql);
	return result;
}

static enum result send_echo(struct pg_listen *listen, struct error *error)
{
	listen->echo_sent_ms = clock_monotonic_ms();
	listen->echo_next_ms = listen->echo_sent_ms + ECHO_EVERY_MS;
	return pg_run(
	    listen->pg, QUERY_MS, NULL, error, "SELECT pg_notify($1, '')", pg_text(listen->echo_channel));
}

static enum result subscribe(struct pg_listen *listen, struct error *error)
{
	listen->echo_warned = false;
	enum result result = listen_to(listen, listen->echo_channel, error);
	for (char **channel = listen->channels; result == R_OK && *channel; channel++)
		result = listen_to(listen, *channel, error);
	if (result == R_OK)
		result = send_echo(listen, error);
	return result;
}

static void hand_on(struct pg_listen *listen, PGconn *conn)
{
	PGnotify *notify = NULL;
	while ((notify = PQnotifies(conn)) != NULL) {
		if (!strcmp(notify->relname, listen->echo_channel))
			listen->echo_sent_ms = 0;
		else
			listen->handler.on_notify(listen->handler.arg, notify->relname, notify->extra);
		PQfreemem(notify);
	}
}

static void check_echo(struct pg_listen *listen)
{
	int64_t now = clock_monotonic_ms();
	if (listen->echo_sent_ms && !listen->echo_warned && now - listen->echo_sent_ms > ECHO_WAIT_MS) {
		listen->echo_warned = true;
		log_warn("a NOTIFY to this program itself did not come back: changes are noticed late. A "
			 "pooler in "
			 "transaction mode swallows LISTEN; give database-listen a direct connection");
	}
	struct error error;
	if (now >= listen->echo_next_ms)
		send_echo(listen, &error);
}

/* One wait for the socket; false when the connection is gone. */
static bool serve_once(struct pg_listen *listen)
{
	PGconn *conn = pg_handle(listen->pg);
	if (!conn)
		return false;
	hand_on(listen, conn);
	struct pollfd waits[] = {
	    {.fd = PQsocket(conn), .events = POLLIN}, {.fd = listen->stop_fd, .events = POLLIN}};
	if (poll(waits, 2, ECHO_WAIT_MS / 5) < 0)
		return true;
	if (waits[0].revents && !PQconsumeInput(conn)) {
		pg_drop(listen->pg, "closed by the server");
		return false;
	}
	hand_on(listen, conn);
	check_echo(listen);
	return pg_is_ready(listen->pg);
}

static void *listen_thread(void *arg)
{
	struct pg_listen *listen = arg;
	while (!listen->stopping) {
		struct error error;
		if (pg_wait_ready(listen->pg, STOP_CHECK_MS, &error) != R_OK)
			continue;
		uint64_t generation = pg_generation(listen->pg);
		enum result result = subscribe(listen, &error);
		if (result == R_ERROR) {
			log_warn("cannot LISTEN", log_str("error", error.text));
			pg_drop(listen->pg, error.text);
		}
		if (result != R_OK)
			continue;
		listen->handler.on_connected(listen->handler.arg);
		while (!listen->stopping && serve_once(listen) && pg_generation(listen->pg) == generation)
			;
	}
	return NULL;
}

struct pg_listen *pg_listen_start(const char *conninfo, const char *role, const char *const *channels,
    const struct pg_listen_handler *handler)
{
	struct pg_listen *listen = mem_alloc(sizeof *listen);
	listen->handler = *handler;
	size_t count = 0;
	while (channels[count])
		count++;
	listen->channels = mem_alloc_array(count + 1, sizeof *listen->channels);
	for (size_t i = 0; i < count; i++)
		listen->channels[i] = mem_string(channels[i]);
	uint64_t random = 0;
	process_random(&random, sizeof random);
	snprintf(listen->echo_channel, sizeof listen->echo_channel, "postern_echo_%016llx",
	    (unsigned long long)random);
	listen->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	listen->pg = pg_new(conninfo, role);
	if (listen->stop_fd < 0 || pthread_create(&listen->thread, NULL, listen_thread, listen) != 0) {
		log_error("cannot start the thread that listens to the database");
		abort();
	}
	return listen;
}

void pg_listen_stop(struct pg_listen *listen)
{
	if (!listen)
		return;
	listen->stopping = true;
	uint64_t one = 1;
	if (write(listen->stop_fd, &one, sizeof one) < 0)
		log_debug("the listener notices the stop by itself");
	pthread_join(listen->thread, NULL);
	pg_free(listen->pg);
	close(listen->stop_fd);
	for (char **channel = listen->channels; *channel; channel++)
		free(*channel);
	free(listen->channels);
	free(listen);
}
