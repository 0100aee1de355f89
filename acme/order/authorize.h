/*
 * One authorization of an order (RFC 8555 section 7.5): choose a challenge, publish its row, tell the CA, and
 * wait, bounded, for its verdict. An edge that has answered makes the wait short.
 */
#ifndef ACME_AUTHORIZE_H
#define ACME_AUTHORIZE_H

#include "acme/order/order.h"

/* R_OK: valid; where it was not so at once, the order that was read before is out of date. R_NONE: it is
 * expired, deactivated or revoked, so the order is of no use any more. Else as order_run. */
enum result authorize(struct order_run *run, const char *url);

/* Ends one that is pending: it counts against the account until it expires (RFC 8555 section 7.5.2). */
enum result authorize_end(struct order_run *run, const char *url);

/* After an order turned invalid: the problem of an authorization that did; R_NONE: there is none to be found.
 */
enum result authorize_find_problem(struct order_run *run, const char *url, struct acme_failure *failure);

#endif
