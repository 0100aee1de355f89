/*
 * When a message that was not taken is sent again, and how long an endpoint that takes nothing is left alone
 * meanwhile. Pure; `random` is any 32 random bits: times are spread by a tenth.
 */
#ifndef ACME_WEBHOOK_BACKOFF_H
#define ACME_WEBHOOK_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* Seconds of an endpoint's Retry-After that are believed. */
enum { BACKOFF_RETRY_AFTER_MAX = 60 * 60 };

/* Milliseconds after the attempts-th failed try (1 is the first), not sooner than the endpoint asked for
 * (seconds, 0: it did not): 5 s, 1, 5, 30 minutes, 2, 5, 10, 14, 20, 24 hours. -1 after the eleventh: given
 * up. */
int64_t backoff_message_ms(int attempts, int64_t retry_after_s, uint32_t random);

/* Milliseconds in which nothing is sent to an endpoint after its failures-th failure in a row, whatever the
 * messages: 2, 5, 15 s, 1, 5, 15 minutes. So one message that it refuses holds the others up for two seconds,
 * and one that is dead costs a try each quarter of an hour. */
int64_t backoff_endpoint_ms(int failures, int64_t retry_after_s, uint32_t random);

#endif
