/*
 * What conn.c (life and states), conn_hello.c (reading and deciding), conn_wait.c (waiting) and
 * conn_handshake.c share: the connection itself. Nobody else includes this.
 */
#ifndef EDGE_CONN_INTERNAL_H
#define EDGE_CONN_INTERNAL_H

#include <sys/queue.h>

#include "common/base/buf.h"
#include "common/net/hostname.h"
#include "common/net/net.h"
#include "edge/conn/conn.h"
#include "edge/front/http_conn.h"
#include "edge/loop/stream.h"
#include "edge/site/cert_wait.h"
#include "edge/tls/client_hello.h"
#include "edge/tls/hot_site.h"
#include "edge/tls/tls_context.h"

enum conn_state {
	CONN_PROXY,          /* reading the PROXY protocol's header */
	CONN_HELLO,          /* reading the ClientHello; no SSL yet */
	CONN_WAIT_CHALLENGE, /* tls-alpn-01: the database is asked */
	CONN_WAIT_CERT,      /* in a flight of cert_wait */
	CONN_RESUMING,       /* its certificate came; queued for its handshake */
	CONN_HANDSHAKE,
	CONN_HTTP,    /* the stream is http_conn's */
	CONN_PASS,    /* the stream is pass's: its TLS is not ours */
	CONN_CLOSING, /* our side is shut; what the client still sends is drained */
	CONN_STATES
};

/* What a hello that was read is to get. */
enum conn_want {
	WANT_SITE,      /* what its name has: a handshake, or a route */
	WANT_ROUTE,     /* where TLS is never terminated: a route of its domain's, or the default */
	WANT_CA_ROUTE,  /* a CA's probe, and no challenge of ours: a route of its domain's */
	WANT_OLD_ROUTE, /* a version that we do not speak: the same */
	WANT_DEFAULT,   /* the default certificate: `name` is that one's now */
};

enum {
	CONN_CHALLENGE_MS = 3000,       /* longest look-up of a challenge */
	CONN_DRAIN_MS = 2000,           /* in a drain: for a ClientHello that has not come yet */
	CONN_CLOSING_MS = 1000,         /* how long a refused client may take to go */
	CONN_CLOSING_BYTES = 64 * 1024, /* and how much it may still send */
	CONN_RESUMED_AT_ONCE = 8,       /* handshakes begun in a round: some 2 ms of CPU */
};

/* What is needed until HTTP begins. An idle connection does without: 500 bytes less for each. */
struct conn_opening {
	struct conn *conn;
	struct net_address local; /* what a PROXY header said; size 0: the socket knows */
	struct buf received;      /* a PROXY header; then the ClientHello and what came with it */
	struct client_hello hello;
	struct hostname name;
	enum conn_want want;
	bool is_validation;     /* offers acme-tls/1 alone */
	const char *remembered; /* why it was refused a moment ago, and is again; NULL: it was not */
	const char *cause;      /* WANT_DEFAULT: why the name that was asked for is not served */
	struct tls_session session;
	struct hot_site *site;     /* to be installed; only while the hello is being handled, else NULL */
	struct cert_waiter waiter; /* CONN_WAIT_CERT */
	int64_t waiting_since_us;  /* 0: counts against no limit */
	size_t waiting_bytes;
	int64_t challenge_id;
	int64_t phase_began_us; /* accept, then the beginning of the handshake */
	struct conn_times times;
};

struct conn {
	struct worker *worker;
	uint64_t id;
	enum conn_state state;
	bool tls;
	bool is_counted; /* in edge->clients */
	struct listen_point point;
	struct stream stream;
	struct loop_timer deadline;
	struct net_address client;
	struct conn_opening *opening; /* NULL with CONN_HTTP, CONN_PASS and CONN_CLOSING */
	TAILQ_ENTRY(conn) resuming;   /* CONN_RESUMING */
	struct http_conn *http;       /* CONN_HTTP */
	struct pass_conn *pass;       /* CONN_PASS */
	char *name;                   /* CONN_HTTP, CONN_PASS: normalised SNI; empty without TLS */
	size_t closing_left;          /* CONN_CLOSING */
};

/* conn.c */
void conn_enter(struct conn *conn, enum conn_state state, int64_t deadline_ms); /* 0: no deadline */
/* Leaves whatever the connection waits in. No handshake goes on after that. */
void conn_end_opening(struct conn *conn);
/* Ends it here and now; the conn is gone. */
void conn_free(struct conn *conn);
/* For who asks later what became of the name's handshakes: it ended without one. */
void conn_note_end(struct conn *conn, int alert, const char *cause, bool is_ours);
/* Before an SSL exists: sends the alert, counts the refusal, then conn_close_gently. */
void conn_refuse(struct conn *conn, enum tls_alert alert, const char *cause);
/* Shuts our side and drains the other, so that no RST overtakes what was sent last. */
void conn_close_gently(struct conn *conn);
void conn_start_http(struct conn *conn);
/* The stream moves to whoever has the connection in that state. */
struct stream conn_give_stream(struct conn *conn, enum conn_state state);
/* Who speaks is known: on to the ClientHello, or to HTTP on port 80. */
void conn_start_client(struct conn *conn);

/* conn_proxy.c */
/* Closes the connection of a peer that may not say whose it is. */
void conn_proxy_begin(struct conn *conn);
void conn_proxy_on_ready(struct conn *conn, uint32_t events);
void conn_proxy_on_deadline(struct conn *conn);

/* conn_hello.c */
void conn_hello_on_ready(struct conn *conn, uint32_t events);
/* Goes on with what the name has in memory. False: nothing is there. */
bool conn_find_site(struct conn *conn);
/* The name has nothing that could be used for what is wanted; `cause` is a static word for the metric. */
void conn_find_nothing(struct conn *conn, const char *cause);
/* Nobody asked for it by a name of ours, if by any. */
void conn_not_ours(struct conn *conn, const char *cause);

/* conn_pass.c; true: the connection is passed on, or gone */
/* By the settings' route of its name; by their default; to the default, though it does not speak TLS. */
bool conn_pass_by_name(struct conn *conn);
bool conn_pass_by_default(struct conn *conn);
bool conn_pass_plain(struct conn *conn);
/* As its domain's option says; refused where that cannot be used. */
void conn_pass_by_site(struct conn *conn, const struct site *site);

/* conn_wait.c */
void conn_wait_for_challenge(struct conn *conn);
void conn_wait_for_cert(struct conn *conn);
void conn_wait_on_challenge(struct conn *conn, const struct challenge_reply *reply);
/* Leaves whatever it waits in, and gives its place back. */
void conn_wait_leave(struct conn *conn);

/* conn_handshake.c */
void conn_handshake_with_site(struct conn *conn, struct hot_site *site);
void conn_handshake_with_challenge(struct conn *conn, const char *key_authorization);
void conn_handshake_on_ready(struct conn *conn, uint32_t events);
void conn_handshake_on_deadline(struct conn *conn);

#endif
