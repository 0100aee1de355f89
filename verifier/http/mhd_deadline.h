/*
 * A deadline for the stage that each connection of an HTTP server is in. libmicrohttpd only knows a time
 * without any byte, which a peer that trickles never reaches; here a connection past its deadline is shut
 * down. Once more than three quarters of the places are taken, each stage has 3 s, so that peers who say
 * nothing keep nobody out for longer.
 */
#ifndef VERIFIER_HTTP_MHD_DEADLINE_H
#define VERIFIER_HTTP_MHD_DEADLINE_H

#include <microhttpd.h>

struct mhd_deadlines;
struct mhd_deadline;

/* For a server of so many `connections` at once. */
struct mhd_deadlines *mhd_deadlines_start(unsigned connections);
/* After the server has stopped. */
void mhd_deadlines_stop(struct mhd_deadlines *deadlines);

/* The result is to be the connection's socket context. */
struct mhd_deadline *mhd_deadlines_add(
    struct mhd_deadlines *deadlines, struct MHD_Connection *connection, int timeout_ms);
/* Before its socket is closed, whose number another may get. */
void mhd_deadlines_remove(struct mhd_deadlines *deadlines, struct mhd_deadline *deadline);
/* From now on; 0: none. */
void mhd_deadlines_set(struct mhd_deadlines *deadlines, struct MHD_Connection *connection, int timeout_ms);

#endif
