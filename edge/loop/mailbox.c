#include "edge/loop/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/mem.h"

/* Senders push on a stack, the reader takes all of it and turns it round: messages of one sender keep their
 * order. Only the push on an empty stack wakes the reader, so a burst costs one system call. */
struct mailbox {
	struct loop *loop;
	struct loop_io wake;
	void *receiver;
	_Atomic(struct message *) newest;
};

static struct message *mailbox_take(struct mailbox *mailbox)
{
	struct message *message = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct message *oldest = NULL;

	while (message) {
		struct message *next = message->next;

		message->next = oldest;
		oldest = message;
		message = next;
	}
	return oldest;
}

static void deliver_all(struct mailbox *mailbox)
{
	struct message *message = mailbox_take(mailbox);

	while (message) {
		struct message *next = message->next;

		message->deliver(message, mailbox->receiver);
		message = next;
	}
}

static void on_wake(struct loop_io *io, uint32_t events)
{
	struct mailbox *mailbox = loop_owner(io, struct mailbox, wake);
	uint64_t count = 0;

	(void)events;
	/* Read before taking: a message that comes in between wakes once more, for nothing. */
	if (read(io->fd, &count, sizeof count) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	deliver_all(mailbox);
}

struct mailbox *mailbox_new(struct loop *loop, void *receiver)
{
	struct mailbox *mailbox = mem_alloc(sizeof *mailbox);

	mailbox->loop = loop;
	mailbox->receiver = receiver;
	mailbox->wake.on_ready = on_wake;
	mailbox->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mailbox->wake.fd < 0 || loop_watch(loop, &mailbox->wake, EPOLLIN) != R_OK) {
		if (mailbox->wake.fd >= 0)
			close(mailbox->wake.fd);
		free(mailbox);
		return NULL;
	}
	return mailbox;
}

void mailbox_free(struct mailbox *mailbox)
{
	if (!mailbox)
		return;
	deliver_all(mailbox);
	loop_unwatch(mailbox->loop, &mailbox->wake);
	close(mailbox->wake.fd);
	free(mailbox);
}

void mailbox_send(struct mailbox *mailbox, struct message *message)
{
	struct message *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	const uint64_t one = 1;

	do {
		message->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
	    &mailbox->newest, &newest, message, memory_order_release, memory_order_relaxed));
	/* EAGAIN is a counter that stands at its maximum: the reader is awake. */
	if (!newest && write(mailbox->wake.fd, &one, sizeof one) < 0)
		assert(errno == EAGAIN);
}
