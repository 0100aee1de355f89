/*
 * A thread that does something now and then until it is stopped: the pauses end at once when it is to end.
 */
#ifndef COMMON_BACKGROUND_H
#define COMMON_BACKGROUND_H

#include <stdbool.h>
#include <stdint.h>

struct background;

/* One round; returns the milliseconds until the next begins, 0: at once. What takes long in it asks
 * background_is_stopping now and then. */
typedef int64_t background_run(void *arg, struct background *self);

/* `name`: the thread's, at most 15 bytes. The first round begins at once. Ends the process where no thread is
 * to be had. */
struct background *background_start(const char *name, background_run *run, void *arg);
/* The round under way ends first. NULL is fine. */
void background_stop(struct background *background);
/* From any thread: the pause under way, or the next, ends at once. */
void background_wake(struct background *background);
bool background_is_stopping(struct background *background);

#endif
