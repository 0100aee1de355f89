/*
 * What was sent to a webhook and what came of it; and what is to be sent to it because somebody asks: a test,
 * or a message once more.
 */
#ifndef VERIFIER_WEBHOOK_WEBHOOK_LOG_H
#define VERIFIER_WEBHOOK_WEBHOOK_LOG_H

#include "verifier/access/scope.h"

/* Columns: id, the message's id, type, when it happened, state, attempts, made_at, last_try_at, next_try_at,
 * status, error, answer, took_ms. The newest first, before the id `before` (0: all); `state` NULL: any. */
enum result webhook_log_list(struct pg *pg, const struct scope *scope, int64_t webhook, const char *state,
    int64_t before, int limit, PGresult **rows, struct error *error);
/* The same columns, and the body. No row: there is none. */
enum result webhook_log_show(struct pg *pg, const struct scope *scope, int64_t webhook, int64_t delivery,
    PGresult **rows, struct error *error);

/* Both are sent before everything else that waits, also by a webhook that is paused. R_NONE: there is no such
 * webhook or delivery, or the webhook is switched off. */
enum result webhook_log_test(
    struct pg *pg, const struct scope *scope, int64_t webhook, int64_t *delivery, struct error *error);
/* A delivery that still waits goes at once; of another a new one is made, with the same message. */
enum result webhook_log_again(struct pg *pg, const struct scope *scope, int64_t webhook, int64_t delivery,
    int64_t *again, struct error *error);

#endif
