/*
 * The ask endpoint: may a certificate be had for this name? On a listener, threads and database
 * connections of its own, so that nothing else the verifier does delays an edge. One thread speaks HTTP;
 * while the database is asked (ask_batch.h) the request is suspended.
 */
#ifndef VERIFIER_ASK_ASK_H
#define VERIFIER_ASK_ASK_H

#include "verifier/config.h"

struct ask;

/* `fd` listens, and is taken. */
enum result ask_start(struct ask **out, const struct config *config, int fd, struct error *error);
void ask_stop(struct ask *ask);

#endif
