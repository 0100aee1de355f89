/*
 * What a daemon does to itself before it speaks to strangers: no core dumps, no new privileges, SIGPIPE
 * ignored, stop signals taken by one thread, and another user where it was started as root.
 */
#ifndef COMMON_PROCESS_H
#define COMMON_PROCESS_H

#include "common/base/result.h"

/* First thing in main: opens what is closed of descriptors 0 to 2, blocks SIGTERM, SIGINT, SIGHUP in every
 * thread to come, ignores SIGPIPE, no core dumps. */
void process_init(void);
/* After all sockets are bound and secrets read. `user` NULL: stay, with no new privileges. */
enum result process_drop_rights(const char *user, struct error *error);
/* Waits for a signal; returns its number. */
int process_wait_signal(void);
/* 16 random bytes as 32 hex digits: this process among all others (lease owner). */
const char *process_id(void);
/* Random bytes; cannot fail (ends the process). */
void process_random(void *bytes, unsigned long size);

#endif
