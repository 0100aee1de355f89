/*
 * What pass_conn.c (a connection's beginning, its two directions, its end) and pass_connect.c (how it comes
 * by a server) share: the connection itself. Nobody else includes this.
 */
#ifndef EDGE_PASS_CONN_INTERNAL_H
#define EDGE_PASS_CONN_INTERNAL_H

#include "edge/loop/deadline.h"
#include "edge/pass/pass_conn.h"
#include "edge/pass/pass_flow.h"
#include "edge/pass/pass_log.h"
#include "edge/pass/pass_sessions.h"
#include "edge/pass/server_hello.h"

enum pass_state {
	PASS_LOOKING,    /* the servers' names are looked up for the first time */
	PASS_CONNECTING, /* to one of them */
	PASS_OPEN,
	PASS_GONE, /* before it began: its task frees it */
};

struct pass_conn {
	struct worker *worker;
	enum pass_state state;
	struct upstream_group *group;
	struct upstream_address *address;               /* the one in use or tried just now; a reference */
	struct upstream_address *tried[PASS_TRIES_MAX]; /* references */
	size_t tried_count;
	int64_t give_up_ms; /* PASS_LOOKING */
	int64_t moved_ms;   /* PASS_OPEN: when something last came */
	uint64_t circle;    /* its mark in pass_circles, until a server has answered */
	uint64_t
	    site_change; /* of_domain: the site cache's, when its domain was last looked at; 0: not yet */

	struct loop_io client, upstream;
	struct pass_flow in, out; /* from the client, to it */
	struct deadline deadline; /* to connect; then of silence */
	struct loop_task begin;

	bool proxy_v2, is_tls, of_domain;
	bool has_settled; /* open for so long that its server's side is probed */
	enum passthrough_affinity affinity;
	struct server_hello server_hello; /* PASSTHROUGH_BY_SESSION */
	struct pass_session session;      /* the client's; id points to the next */
	uint8_t session_id[PASS_SESSION_ID_MAX];

	struct net_address peer, local;
	struct pass_metrics metrics;
	struct pass_line line;
	void (*on_closed)(void *owner);
	void *owner;
};

/* pass_conn.c */
/* `cut`: one side ended in disorder, or we do not wait for its end; the other sees a reset, not an end that
 * looks like the sender's own. The conn is gone. */
void pass_conn_end(struct pass_conn *conn, const char *cause, bool cut);
/* Nobody took the connection: an alert, and the end. */
void pass_conn_refuse(struct pass_conn *conn, const char *cause);
/* Moves what can be moved, both ways. The conn may be gone. */
void pass_conn_run(struct pass_conn *conn);

/* pass_stay.c */
/* It is open: its deadline is from now on how long it may stay. */
void pass_stay_begin(struct pass_conn *conn);
/* The conn may be gone. */
void pass_stay_on_deadline(struct pass_conn *conn);

/* pass_connect.c */
/* Waits for the first look-up of the servers' names, then tries one after the other. */
void pass_connect_begin(struct pass_conn *conn);
void pass_connect_on_ready(struct pass_conn *conn);
void pass_connect_on_deadline(struct pass_conn *conn);
/* Gives the server's place back. */
void pass_connect_leave(struct pass_conn *conn);

#endif
