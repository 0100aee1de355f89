/*
 * Condition variables that wait until a time of clock_monotonic_ms, so that a step of the wall clock neither
 * cuts a wait short nor makes it endless.
 */
#ifndef COMMON_CONDITION_H
#define COMMON_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void condition_init(pthread_cond_t *condition);
/* With the lock held, as pthread_cond_wait. False: the time has come, whatever else happened; true: woken,
 * perhaps for nothing, so the caller looks again at what it waits for. */
bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t monotonic_ms);

#endif
