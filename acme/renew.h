/*
 * The issuer's upkeep, one thread: certificates that are due become renewal jobs, campaigns of re-issue go
 * on, expired challenges and full buckets go, gauges are read, and the account is there before the first job
 * needs it. All in batches of bounded size along an index, by the database's clock; any number of instances
 * may do it at once.
 */
#ifndef ACME_RENEW_H
#define ACME_RENEW_H

#include "acme/ca_list.h"
#include "acme/lookup.h"

struct renew;

/* The lookup is borrowed. */
struct renew *renew_start(const char *database, const struct ca_list *cas, struct lookup *lookup);
void renew_stop(struct renew *renew);

#endif
