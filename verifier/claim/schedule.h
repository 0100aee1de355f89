/*
 * When is a domain looked at again? Every 15 s in the first ten minutes, then ever more rarely up to once an
 * hour, for thirty days.
 */
#ifndef VERIFIER_CLAIM_SCHEDULE_H
#define VERIFIER_CLAIM_SCHEDULE_H

/* Seconds until the next check after `checks` checks since the schedule (re)started; -1: no further one. */
int schedule_next_s(int checks);

#endif
