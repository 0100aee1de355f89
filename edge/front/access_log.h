/*
 * The access log: one line for each request on stdout, where `access-log` is on, in the log's format. What it
 * shows of a request is copied when the request begins, cut, and freed with its line. It never shows a query
 * (reset links and tokens travel in it), a cookie, an authorization or any other field but User-Agent and
 * Referer.
 *
 * A line is the log's (common/log/log_writer.h): nobody waits for it, and what finds no room is lost and
 * counted.
 */
#ifndef EDGE_ACCESS_LOG_H
#define EDGE_ACCESS_LOG_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/log/log.h"
#include "edge/http/http_msg.h"

struct access_log;
struct access_entry;

/* `fd` stays the caller's. */
struct access_log *access_log_new(int fd);
/* Gives a slow reader a moment for the last lines. NULL is fine. */
void access_log_free(struct access_log *log);

/* What becomes known while the request is served. Times are in microseconds; -1: that phase did not happen,
 * or not for this request. Strings are borrowed for the call. */
struct access_outcome {
	const char *client;
	const char *request_id; /* NULL: none */
	int status;             /* 0: the connection ended before an answer */
	enum http_version version;
	uint64_t bytes_in, bytes_out;
	uint64_t served_before; /* requests on this connection */
	int retries;            /* further tries at an upstream */
	const SSL *ssl;         /* NULL: plain */
	const char *sni;
	int64_t hello_us;       /* from accept to the whole ClientHello; */
	int64_t certificate_us; /* then the wait for a certificate; */
	int64_t handshake_us;   /* then the handshake: on a connection's first request */
	int64_t head_us;        /* from the head's first byte to its last */
	int64_t connect_us;     /* to a new upstream connection */
	int64_t first_byte_us;  /* from the head to the response's head */
	const char *ended;      /* how a tunnel ended; NULL: it was none */
	int64_t total_us;       /* from the head to the last byte of the response in the socket */
};

/* NULL: what came is no request that could be read. */
struct access_entry *access_entry_new(const struct http_head *head);
/* Which upstream answers; copied. An entry that is NULL is fine here and below. */
void access_entry_set_upstream(struct access_entry *entry, const char *upstream);
/* Writes the line and frees the entry. `log` NULL: only frees. */
void access_entry_end(
    struct access_entry *entry, struct access_log *log, const struct access_outcome *outcome);

/* A line of another kind: what happened to a connection that carries no requests of ours. */
void access_log_write(
    struct access_log *log, const char *message, const struct log_field *fields, size_t count);

#endif
