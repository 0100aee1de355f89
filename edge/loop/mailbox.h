/*
 * Messages to a worker's loop from any thread: many senders, one reader, an eventfd to wake it. A message
 * names its receiver by id and generation or by host name, never by pointer: the client may have gone.
 */
#ifndef EDGE_MAILBOX_H
#define EDGE_MAILBOX_H

#include "edge/loop/loop.h"

struct mailbox;

/* Embedded first in a malloc'ed message. `deliver` runs on the reader's loop and frees the message. */
struct message {
	struct message *next;
	void (*deliver)(struct message *message, void *receiver);
};

/* `receiver` is handed to each deliver. */
struct mailbox *mailbox_new(struct loop *loop, void *receiver);
/* Once no sender is left. What was not delivered is delivered now, so that it is freed: the receiver must
 * still be there. */
void mailbox_free(struct mailbox *mailbox);
void mailbox_send(struct mailbox *mailbox, struct message *message); /* any thread; takes the message */

#endif
