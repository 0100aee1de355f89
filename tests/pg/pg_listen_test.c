/* Listening: what the tables' triggers tell, and that a listener is back by itself after whatever happened.
 */
#include "common/pg/pg_listen.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "tests/pg/database.h"

#define TOKEN "tttttttttttttttttttttttttttttttttttt"

enum { HEARD_MAX = 64 };

/* What the listener's thread has handed on, for the test's thread to wait for. */
struct ear {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char heard[HEARD_MAX][128];
	size_t count;
	size_t connections;
	struct pg_listen *listen;
};

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct ear *ear = arg;
	pthread_mutex_lock(&ear->lock);
	if (ear->count < HEARD_MAX)
		snprintf(ear->heard[ear->count++], sizeof ear->heard[0], "%s %.100s", channel, payload);
	pthread_cond_broadcast(&ear->changed);
	pthread_mutex_unlock(&ear->lock);
}

static void on_connected(void *arg)
{
	struct ear *ear = arg;
	pthread_mutex_lock(&ear->lock);
	ear->connections++;
	pthread_cond_broadcast(&ear->changed);
	pthread_mutex_unlock(&ear->lock);
}

static void wait_changed_locked(struct ear *ear, const char *for_what)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += TEST_WAIT_MS / 1000;
	if (pthread_cond_timedwait(&ear->changed, &ear->lock, &until) == ETIMEDOUT)
		fail_msg("never came: %s", for_what);
}

static void wait_connected(struct ear *ear, size_t times)
{
	pthread_mutex_lock(&ear->lock);
	while (ear->connections < times)
		wait_changed_locked(ear, "a connection");
	pthread_mutex_unlock(&ear->lock);
}

/* Waits for this notice and forgets all before it. */
static void wait_heard(struct ear *ear, const char *notice)
{
	pthread_mutex_lock(&ear->lock);
	for (;;) {
		size_t found = ear->count;
		for (size_t i = 0; i < ear->count && found == ear->count; i++)
			found = strcmp(ear->heard[i], notice) == 0 ? i : found;
		if (found < ear->count) {
			ear->count -= found + 1;
			memmove(ear->heard[0], ear->heard[found + 1], ear->count * sizeof ear->heard[0]);
			break;
		}
		wait_changed_locked(ear, notice);
	}
	pthread_mutex_unlock(&ear->lock);
}

static struct ear *start(void **state, const char *role, const char *const *channels)
{
	struct ear *ear = calloc(1, sizeof *ear);
	pthread_mutex_init(&ear->lock, NULL);
	pthread_cond_init(&ear->changed, NULL);
	const struct pg_listen_handler handler = {on_notify, on_connected, ear};
	ear->listen = pg_listen_start(database_conninfo(state, role), "test-listener", channels, &handler);
	wait_connected(ear, 1);
	return ear;
}

static void stop(struct ear *ear)
{
	pg_listen_stop(ear->listen);
	pthread_cond_destroy(&ear->changed);
	pthread_mutex_destroy(&ear->lock);
	free(ear);
}

static const char *const both[] = {"postern_site", "postern_job", NULL};

static void tables_tell_what_changed(void **state)
{
	struct pg *verifier = database_connect(state, "postern_verifier");
	struct pg *acme = database_connect(state, "postern_acme");
	struct pg *edge = database_connect(state, "postern_edge");
	struct ear *ear = start(state, "postern_edge", both);
	database_run(verifier,
	    "INSERT INTO domains (tenant, name, token) VALUES ('default', 'a.example.com', '" TOKEN "')");
	wait_heard(ear, "postern_site a.example.com");
	database_run(verifier, "UPDATE domains SET status = 'active' WHERE name = 'a.example.com'");
	wait_heard(ear, "postern_site a.example.com");
	database_run(verifier, "DELETE FROM domains WHERE name = 'a.example.com'");
	wait_heard(ear, "postern_site a.example.com");
	database_run(edge, "SELECT enqueue_issuance('b.example.com', 'first_hit')");
	wait_heard(ear, "postern_job b.example.com");
	database_run(acme, "UPDATE issuance_jobs SET state = 'failed' WHERE name = 'b.example.com'");
	wait_heard(ear, "postern_site b.example.com");
	database_run(acme, "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, "
			   "serial, directory,"
			   " not_before, not_after, renew_at) VALUES ('c.example.com', 1, '', '', '', '', "
			   "'', '', now(), now(),"
			   " now())");
	wait_heard(ear, "postern_site c.example.com");
	database_run(acme, "UPDATE certificates SET version = 2");
	wait_heard(ear, "postern_site c.example.com");
	stop(ear);
}

static void what_changes_nothing_for_an_edge_is_not_told(void **state)
{
	struct pg *pg = database_connect(state, "postern_verifier");
	database_run(
	    pg, "INSERT INTO domains (tenant, name, token) VALUES ('default', 'a.example.com', '" TOKEN "')");
	struct ear *ear = start(state, "postern_edge", both);
	database_run(pg, "UPDATE domains SET checks = checks + 1, status = status");
	database_run(pg, "NOTIFY postern_site, 'the end'");
	pthread_mutex_lock(&ear->lock);
	while (ear->count == 0)
		wait_changed_locked(ear, "the end");
	assert_string_equal(ear->heard[0], "postern_site the end");
	pthread_mutex_unlock(&ear->lock);
	stop(ear);
}

/* Who re-reads in on_connected must see what was committed before, and be told of what comes after. */
static void listener_is_back_after_its_backend_was_ended(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct ear *ear = start(state, "postern_edge", both);
	for (size_t round = 2; round < 5; round++) {
		database_run(pg,
		    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name ="
		    " 'test-listener' AND datname = current_database()");
		wait_connected(ear, round);
		database_run(pg, "NOTIFY postern_site, 'again'");
		wait_heard(ear, "postern_site again");
	}
	stop(ear);
}

static void listener_is_back_after_a_restart_of_the_server(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct ear *ear = start(state, "postern_edge", both);
	kill(database_server_pid(pg), SIGQUIT);
	wait_connected(ear, 2);
	struct error error;
	while (pg_query(pg, 1000, NULL, &error, "NOTIFY postern_site, 'again'", NULL, 0) != R_OK)
		pg_wait_ready(pg, 100, &error);
	wait_heard(ear, "postern_site again");
	stop(ear);
}

static void awkward_channel_names_are_quoted(void **state)
{
	const char *const channels[] = {"Odd \"channel\"; DROP TABLE tenants", NULL};
	struct pg *pg = database_connect(state, NULL);
	struct ear *ear = start(state, "postern_edge", channels);
	database_run(pg, "SELECT pg_notify($1, 'x')", channels[0]);
	wait_heard(ear, "Odd \"channel\"; DROP TABLE tenants x");
	stop(ear);
}

static void stopping_takes_a_few_seconds_at_most(void **state)
{
	struct ear *ear = start(state, "postern_edge", both);
	int64_t begin = clock_monotonic_ms();
	stop(ear);
	assert_true(clock_monotonic_ms() - begin < 3000);
	/* Nobody there: it is still trying. */
	struct ear deaf = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	const struct pg_listen_handler handler = {on_notify, on_connected, &deaf};
	struct pg_listen *listen =
	    pg_listen_start("host=/nonexistent user=x dbname=x", "test", both, &handler);
	begin = clock_monotonic_ms();
	pg_listen_stop(listen);
	assert_true(clock_monotonic_ms() - begin < 3000);
	assert_int_equal(deaf.connections, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(tables_tell_what_changed),
	    database_test(what_changes_nothing_for_an_edge_is_not_told),
	    database_test(listener_is_back_after_its_backend_was_ended),
	    database_test(listener_is_back_after_a_restart_of_the_server),
	    database_test(awkward_channel_names_are_quoted),
	    database_test(stopping_takes_a_few_seconds_at_most),
	};
	return cmocka_run_group_tests_name("pg_listen", tests, NULL, NULL);
}
