#include "edge/site/flight.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

enum { BUCKETS = 16384 };

void flights_init(struct flights *flights)
{
	*flights = (struct flights){.buckets = mem_alloc_array(BUCKETS, sizeof(struct flight *))};
	for (int state = 0; state < FLIGHT_STATES; state++)
		TAILQ_INIT(&flights->states[state]);
}

void flights_fini(struct flights *flights)
{
	struct flight *flight = NULL;

	for (int state = 0; state < FLIGHT_STATES; state++) {
		while ((flight = TAILQ_FIRST(&flights->states[state])))
			flights_remove(flights, flight);
	}
	free(flights->buckets);
}

static struct flight **find_link(struct flights *flights, uint64_t hash, const char *name, bool only_looks)
{
	struct flight **link = &flights->buckets[hash % BUCKETS];

	while (*link && ((*link)->hash != hash || (*link)->only_looks != only_looks ||
			    strcmp((*link)->name.text, name) != 0))
		link = &(*link)->next;
	return link;
}

struct flight *flights_find(struct flights *flights, const char *name, bool only_looks)
{
	return *find_link(flights, name_hash(name), name, only_looks);
}

struct flight *flights_add(struct flights *flights, const char *name, bool only_looks)
{
	struct flight *flight = mem_alloc(sizeof *flight);

	flight->hash = name_hash(name);
	flight->only_looks = only_looks;
	snprintf(flight->name.text, sizeof flight->name.text, "%s", name);
	struct flight **link = find_link(flights, flight->hash, flight->name.text, only_looks);
	assert(!*link);
	*link = flight;
	flight->state = FLIGHT_QUEUED;
	TAILQ_INSERT_TAIL(&flights->states[FLIGHT_QUEUED], flight, link);
	flights->counts[FLIGHT_QUEUED]++;
	flights->count++;
	return flight;
}

void flights_move(struct flights *flights, struct flight *flight, enum flight_state state)
{
	TAILQ_REMOVE(&flights->states[flight->state], flight, link);
	flights->counts[flight->state]--;
	flight->state = state;
	TAILQ_INSERT_TAIL(&flights->states[state], flight, link);
	flights->counts[state]++;
}

void flights_remove(struct flights *flights, struct flight *flight)
{
	struct flight **link = find_link(flights, flight->hash, flight->name.text, flight->only_looks);

	assert(*link == flight);
	*link = flight->next;
	TAILQ_REMOVE(&flights->states[flight->state], flight, link);
	flights->counts[flight->state]--;
	flights->count--;
	free(flight->receivers);
	free(flight);
}

static size_t receiver_index(const struct flight *flight, const struct mailbox *mailbox)
{
	size_t index = 0;

	while (index < flight->receiver_count && flight->receivers[index] != mailbox)
		index++;
	return index;
}

/* There are as many mailboxes as workers. */
static void grow_receivers(struct flight *flight)
{
	size_t room = flight->receiver_room ? flight->receiver_room * 2 : 2;
	struct mailbox **receivers = mem_alloc_array(room, sizeof(struct mailbox *));

	if (flight->receiver_count)
		memcpy(receivers, flight->receivers, flight->receiver_count * sizeof(struct mailbox *));
	free(flight->receivers);
	flight->receivers = receivers;
	flight->receiver_room = room;
}

void flight_join(struct flight *flight, struct mailbox *mailbox)
{
	if (receiver_index(flight, mailbox) < flight->receiver_count)
		return;
	if (flight->receiver_count == flight->receiver_room)
		grow_receivers(flight);
	flight->receivers[flight->receiver_count++] = mailbox;
}

void flight_leave(struct flight *flight, struct mailbox *mailbox)
{
	size_t index = receiver_index(flight, mailbox);

	if (index < flight->receiver_count)
		flight->receivers[index] = flight->receivers[--flight->receiver_count];
}

struct broker_reply *broker_reply_new(void (*deliver)(struct message *message, void *receiver),
    const char *name, enum broker_outcome outcome, const char *cause, struct site *site)
{
	struct broker_reply *reply = mem_alloc(sizeof *reply);

	reply->message.deliver = deliver;
	snprintf(reply->name.text, sizeof reply->name.text, "%s", name);
	reply->outcome = outcome;
	reply->cause = cause;
	reply->site = site ? site_ref(site) : NULL;
	return reply;
}
