/*
 * The background checks: claims domains that are due and decides about them as their look-ups come in, so
 * that a slow name server delays nobody but its own domain. One thread, one database connection; any number
 * of verifiers may poll beside each other.
 */
#ifndef VERIFIER_CLAIM_POLLER_H
#define VERIFIER_CLAIM_POLLER_H

#include "common/dns/resolver.h"
#include "verifier/config.h"

struct poller;
struct diagnoser;

enum result poller_start(struct poller **out, const struct config *config, struct resolver *resolver,
    struct diagnoser *diagnoser, struct error *error);
/* Ends its checks in flight without deciding about them: their leases run out. */
void poller_stop(struct poller *poller);

#endif
