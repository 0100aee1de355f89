/*
 * Tells others the ceilings that this issuer keeps to, so that they can say what is left of a CA's quota.
 */
#ifndef ACME_CEILINGS_SHARE_H
#define ACME_CEILINGS_SHARE_H

#include "acme/account/ca_list.h"
#include "common/pg/pg.h"

/* Writes where they are other than what is there. What fails is logged, and said again with the next beat. */
void ceilings_share(const struct ca_list *cas, struct pg *pg);

#endif
