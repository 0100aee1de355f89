/*
 * What is due about uploaded certificates, once a minute: their owners are warned before the end, in the
 * audit trail and the log; removed ones that nobody needs any more go. Any number of verifiers may do it.
 */
#ifndef VERIFIER_CLAIM_UPLOAD_WATCH_H
#define VERIFIER_CLAIM_UPLOAD_WATCH_H

#include "verifier/pg_pool.h"

struct upload_watch;

struct upload_watch *upload_watch_start(struct pg_pool *pool);
void upload_watch_stop(struct upload_watch *watch);

#endif
