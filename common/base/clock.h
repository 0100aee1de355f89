/*
 * The two clocks. Deadlines use the monotonic one, certificates the wall clock; leases use neither but the
 * database's. Tests replace both.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);
int64_t clock_wall_ms(void); /* since 1970-01-01 UTC */

/* For tests: NULL restores the real one. Not safe while other threads read. */
void clock_replace(int64_t (*monotonic_us)(void), int64_t (*wall_ms)(void));

#endif
