/*
 * The end of an order that is given up, because its name goes to another CA or is not allowed any more: its
 * pending authorizations are ended (RFC 8555 section 7.5.2), since they count against the account until they
 * expire, and the job forgets it. The job is held meanwhile: the order may not be another process's by now.
 */
#ifndef ACME_ABANDON_H
#define ACME_ABANDON_H

#include "acme/order/order.h"

/* `tools` are for the CA where the order is; without a session there is none to ask. The CA's part is best
 * effort: R_OK, and the job is at JOB_NONE, whatever came of it. Nor is a CA asked that is left alone, or
 * could not be reached for this name: that would cost a thread a minute for each name. R_LOST, R_AGAIN,
 * R_DOWN: as order_run, and the order is still the job's. */
enum result abandon_order(const struct order_tools *tools, struct job *job, struct error *error);

#endif
