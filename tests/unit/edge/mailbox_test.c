#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "edge/loop/mailbox.h"

enum { SENDERS = 4, EACH = 5000 };

struct reader {
	struct loop *loop;
	struct mailbox *mailbox;
	int next[SENDERS]; /* expected from each */
	int received;
	bool in_order;
};

struct letter {
	struct message message;
	int sender, number;
};

static void on_letter(struct message *message, void *receiver)
{
	struct letter *letter = loop_owner(message, struct letter, message);
	struct reader *reader = receiver;

	if (letter->number != reader->next[letter->sender]++)
		reader->in_order = false;
	if (++reader->received == SENDERS * EACH)
		loop_stop(reader->loop);
	free(letter);
}

static void post(struct mailbox *mailbox, int sender, int number)
{
	struct letter *letter = mem_alloc(sizeof *letter);

	*letter = (struct letter){.message.deliver = on_letter, .sender = sender, .number = number};
	mailbox_send(mailbox, &letter->message);
}

struct sender {
	pthread_t thread;
	struct mailbox *mailbox;
	int index;
};

static void *send_all(void *arg)
{
	const struct sender *sender = arg;

	for (int i = 0; i < EACH; i++)
		post(sender->mailbox, sender->index, i);
	return NULL;
}

static int setup(void **state)
{
	struct reader *reader = mem_alloc(sizeof *reader);

	reader->loop = loop_new();
	reader->mailbox = mailbox_new(reader->loop, reader);
	reader->in_order = true;
	*state = reader;
	return 0;
}

static int teardown(void **state)
{
	struct reader *reader = *state;

	loop_free(reader->loop);
	free(reader);
	return 0;
}

static void messages_of_many_threads_all_arrive_in_each_senders_order(void **state)
{
	struct reader *reader = *state;
	struct sender senders[SENDERS];

	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.mailbox = reader->mailbox, .index = i};
		pthread_create(&senders[i].thread, NULL, send_all, &senders[i]);
	}
	loop_run(reader->loop);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	assert_int_equal(reader->received, SENDERS * EACH);
	assert_true(reader->in_order);
	mailbox_free(reader->mailbox);
}

static void undelivered_messages_are_delivered_when_it_is_freed(void **state)
{
	struct reader *reader = *state;

	for (int i = 0; i < 3; i++)
		post(reader->mailbox, 0, i);
	assert_int_equal(reader->received, 0);
	mailbox_free(reader->mailbox);
	assert_int_equal(reader->received, 3);
	assert_true(reader->in_order);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(messages_of_many_threads_all_arrive_in_each_senders_order),
	    TEST(undelivered_messages_are_delivered_when_it_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
