/*
 * The BIO between an SSL and its socket: it first hands out what was read from the socket before the SSL
 * existed (the ClientHello), then reads the socket itself. Writes go to send() and raise no SIGPIPE.
 */
#ifndef EDGE_TLS_BIO_H
#define EDGE_TLS_BIO_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

/* The errors that the thread has met so far are not those of its next call to OpenSSL. */
void tls_forget_errors(void);
/* Closes nothing; `prefix` is borrowed until it has been read or tls_bio_drop_prefix. NULL: out of memory. */
BIO *tls_bio_new(int fd, const void *prefix, size_t size);
void tls_bio_drop_prefix(BIO *bio);
/* What callbacks of its SSL find there; NULL at first. The SSL's own place for it costs a hundred bytes. */
void tls_bio_set_owner(BIO *bio, void *owner);
void *tls_bio_owner(BIO *bio);
/* From here on the socket is read `reads` times at most, then it looks empty, until the next call. There are
 * messages (KeyUpdate, a refused renegotiation) that OpenSSL handles one after the other as long as they
 * come, without ever returning: a peer could keep the thread. The caller's watch is level-triggered, so
 * nothing that was left in the socket is forgotten. */
void tls_bio_limit_reads(BIO *bio, int reads);
/* While set, what is written may wait in the kernel for what comes behind it, so that both leave in one
 * segment: 200 ms at most, or until the socket is shut. */
void tls_bio_expect_more(BIO *bio, bool more);

#endif
