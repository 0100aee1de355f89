/*
 * The benchmark's client: opens TLS connections to one server, checks every response, and tells what the
 * server's processes spent meanwhile. One thread, epoll, OpenSSL and nghttp2: it has to cost less than what
 * it measures. main.c says what may be asked for.
 *
 *   main.c         arguments, the loop, the report
 *   count.c        which operations are counted; the servers' CPU
 *   connection.c   one connection: TCP, TLS, what it does next
 *   http1.c        requests one after the other
 *   http2.c        requests side by side
 *   tunnel.c       messages through a WebSocket's tunnel
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	LOAD_HEAD_MAX = 8192,
	LOAD_PIECE = 64 * 1024,
	LOAD_CONNECTIONS_MAX = 20000,
	LOAD_STREAMS_MAX = 256,
	LOAD_FAILURES_MAX = 3,
	LOAD_PIDS_MAX = 16,
	LOAD_AT_ONCE = 32
};

struct client;
struct h2;

/* What a connection does behind its handshake. */
struct protocol {
	const unsigned char *alpn;
	unsigned alpn_size;
	/* The handshake is over: begins what may begin. */
	void (*start)(struct client *client);
	/* Does one thing; true where another may be possible at once. */
	bool (*step)(struct client *client);
	/* More operations may begin. */
	void (*go_on)(struct client *client);
	void (*forget)(struct client *client);
};

enum step { STEP_HANDSHAKE, STEP_SEND, STEP_HEAD, STEP_BODY, STEP_END, STEP_IDLE };

struct client {
	int fd;
	SSL *ssl;
	SSL_SESSION *session; /* the newest ticket */
	bool offered;         /* one was, by this connection */
	bool in_handshake;
	enum step step;
	size_t sent;     /* of head and body */
	uint64_t left;   /* of the response's body */
	int64_t started; /* ns; with a rate: when it was due */
	char name[256];
	char request[512];
	size_t request_size;
	char head[LOAD_HEAD_MAX];
	size_t head_size;
	bool upgraded;
	struct h2 *h2;
};

struct load_setup {
	const char *mode, *name, *path;
	struct sockaddr_in address;
	const struct protocol *protocol;
	bool closes, resumes, idles;
	long at_once; /* idle: a few at a time, so that what handshakes need stays small */
	long tls, connections, streams, count, warm, size, body, rate, names, grpc;
	int pids[LOAD_PIDS_MAX];
	int pid_count;
};

struct load_run {
	int epoll;
	SSL_CTX *ctx;
	struct client *clients;
	struct client **idle; /* with a rate: connections that have nothing to do */
	long idle_count, opened;
	long begun, gate; /* operations without a rate: how many may have begun */
	long connects, done, failed;
	int32_t *latencies; /* us */
	int64_t started, cpu;
};

extern struct load_setup setup;
extern struct load_run run;
extern const char load_zeros[LOAD_PIECE];
extern const struct protocol load_http1, load_http2, load_tunnel;

void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int64_t now_ns(void);

/* count.c */
int64_t servers_cpu(void);
void count_start(void);
/* An operation that began at `started` is over. */
void count_done(int64_t started);
bool count_is_over(void);
/* May another begin? It has begun then. No more than are counted begin, nor before all that came before have
 * ended: half a body at either end of the count would be someone else's. */
bool count_begins(void);
/* All that might begin have ended: the next may begin, of all clients. */
void count_open_gate(void);

/* connection.c */
void connection_open(struct client *client);
void connection_open_next(void);
void connection_drive(struct client *client);
void connection_fail(struct client *client, const char *what);
/* As SSL_write_ex and SSL_read_ex: 1, 0 for not now, -1 at its end. */
int connection_write(struct client *client, const void *bytes, size_t size, size_t *put);
int connection_read(struct client *client, void *bytes, size_t size, size_t *got);
void connection_forget(struct client *client);
/* It has nothing to do until it is taken from the list of idle ones. */
void connection_rest(struct client *client);

#endif
