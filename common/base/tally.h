/*
 * Numbers that many threads add to and anybody sums up. Each thread adds to cells of its own, without a lock
 * and without a cache line that it shares with others; what a thread that ended has counted stays counted.
 */
#ifndef COMMON_TALLY_H
#define COMMON_TALLY_H

#include <stdint.h>

/* Cells there are in all (asserted), 8 bytes each for every thread that counts. */
enum { TALLY_CELLS = 8192 };

/* Cells that exist from the start. */
enum { TALLY_BUFFER_BYTES, /* memory behind every struct buf of the process */ TALLY_FIRST_FREE };

/* The first of `count` neighbouring cells, all 0. For good: there is no giving back. */
unsigned tally_new(unsigned count);
void tally_add(unsigned cell, int64_t value);
/* Over all threads. What others add meanwhile may or may not be in it. */
int64_t tally_sum(unsigned cell);

#endif
