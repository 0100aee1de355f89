/*
 * The operator's word: one thread that looks each second for a task (ca_task.h) and does it. So that
 * `postern`, which asks for it, needs neither a seal key nor a way to the CA.
 */
#ifndef ACME_OPERATOR_DESK_H
#define ACME_OPERATOR_DESK_H

#include "acme/account/ca_list.h"
#include "common/seal/seal.h"

struct operator_desk;

/* List and keys must outlive it. */
struct operator_desk *operator_desk_start(
    const char *database, const struct ca_list *cas, const struct seal_keys *keys);
/* What is under way ends first. */
void operator_desk_stop(struct operator_desk *desk);

#endif
