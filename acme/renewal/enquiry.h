/*
 * What the issuer asks of others apart from its orders, one thread: the CAs, for the account before the first
 * job needs it, for how records name them, and when certificates are to be renewed; DNS, for the records that
 * orders relied on. However slow they answer, nobody waits for this thread.
 */
#ifndef ACME_ENQUIRY_H
#define ACME_ENQUIRY_H

#include "acme/account/ca_list.h"
#include "acme/proof/lookup.h"

struct enquiry;

/* List and lookup must outlive it. */
struct enquiry *enquiry_start(const char *database, const struct ca_list *cas, struct lookup *lookup);
/* A request under way ends first, or is cut off by the CAs' flag. */
void enquiry_stop(struct enquiry *enquiry);

#endif
