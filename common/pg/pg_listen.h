/*
 * A thread that LISTENs on a connection of its own and hands on what arrives. NOTIFY is a hint: anyone may
 * send any payload, and any may be lost. After each (re)connect `on_connected` is called, after LISTEN, so
 * that its reader sees everything that was committed before. A NOTIFY to itself that does not come back
 * within 5 s is logged as a warning (a pooler in transaction mode swallows LISTEN).
 */
#ifndef COMMON_PG_LISTEN_H
#define COMMON_PG_LISTEN_H

struct pg_listen;

struct pg_listen_handler {
	void (*on_notify)(
	    void *arg, const char *channel, const char *payload); /* payload: at most 8,000 bytes */
	void (*on_connected)(void *arg);
	void *arg;
};

/* `channels` ends with NULL. Strings are copied. The handlers run on the listener's thread. */
struct pg_listen *pg_listen_start(const char *conninfo, const char *role, const char *const *channels,
    const struct pg_listen_handler *handler);
/* Stops and joins the thread; at most about a second. */
void pg_listen_stop(struct pg_listen *listen);

#endif
