/*
 * Asks before a renewal whether the name may still have a certificate: one question, waited for by the thread
 * that has the job. A definite no stops the renewal; anything else does not.
 */
#ifndef ACME_ASK_H
#define ACME_ASK_H

#include "common/domain/ask_endpoint.h"

enum { ASK_TIMEOUT_MS = 5000 };

/* One thread's way to the endpoint: its connection is kept. */
struct ask;

/* The endpoint must outlive it; NULL: nobody is to be asked, and everything is allowed. */
struct ask *ask_new(const struct ask_endpoint *endpoint);
void ask_free(struct ask *ask);

/* *status: what was answered, 0: nothing. */
enum ask_verdict ask_about(struct ask *ask, const char *name, long *status);

#endif
