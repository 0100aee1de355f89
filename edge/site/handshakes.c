#include "edge/site/handshakes.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/loop/name_hash.h"
#include "edge/site/handshakes_internal.h"

enum { BUCKETS = 8192 };

struct kept {
	TAILQ_ENTRY(kept) order; /* the one heard of last is first */
	struct kept *next;       /* in its bucket */
	uint64_t hash;
	bool is_ours;
	struct handshake_record record;
	char name[];
};
TAILQ_HEAD(kept_list, kept);

struct table {
	pthread_mutex_t lock;
	struct kept *buckets[BUCKETS];
	struct kept_list lists[2]; /* strangers, ours */
	size_t counts[2];
};

struct handshakes {
	size_t worker_count;
	struct table tables[];
};

static const size_t list_max[2] = {HANDSHAKES_STRANGERS, HANDSHAKES_OURS};

struct handshakes *handshakes_new(size_t workers)
{
	struct handshakes *handshakes = mem_alloc(sizeof *handshakes + workers * sizeof(struct table));

	handshakes->worker_count = workers;
	for (size_t i = 0; i < workers; i++) {
		pthread_mutex_init(&handshakes->tables[i].lock, NULL);
		TAILQ_INIT(&handshakes->tables[i].lists[0]);
		TAILQ_INIT(&handshakes->tables[i].lists[1]);
	}
	return handshakes;
}

static void unlink_kept(struct table *table, struct kept *kept)
{
	struct kept **link = &table->buckets[kept->hash % BUCKETS];

	while (*link != kept)
		link = &(*link)->next;
	*link = kept->next;
	TAILQ_REMOVE(&table->lists[kept->is_ours], kept, order);
	table->counts[kept->is_ours]--;
}

static void drop_last(struct table *table, bool is_ours)
{
	struct kept *last = TAILQ_LAST(&table->lists[is_ours], kept_list);

	unlink_kept(table, last);
	free(last);
}

void handshakes_free(struct handshakes *handshakes)
{
	if (!handshakes)
		return;
	for (size_t i = 0; i < handshakes->worker_count; i++) {
		for (int ours = 0; ours < 2; ours++)
			while (handshakes->tables[i].counts[ours] > 0)
				drop_last(&handshakes->tables[i], ours);
		pthread_mutex_destroy(&handshakes->tables[i].lock);
	}
	free(handshakes);
}

static struct kept *find(struct table *table, uint64_t hash, const char *name)
{
	struct kept *kept = table->buckets[hash % BUCKETS];

	while (kept && (kept->hash != hash || strcmp(kept->name, name) != 0))
		kept = kept->next;
	return kept;
}

static void put_first(struct table *table, struct kept *kept, bool is_ours)
{
	kept->is_ours = is_ours;
	if (table->counts[is_ours] == list_max[is_ours])
		drop_last(table, is_ours);
	TAILQ_INSERT_HEAD(&table->lists[is_ours], kept, order);
	table->counts[is_ours]++;
}

/* Ours once is ours for good: a customer's name that is refused later stays where no flood reaches it. */
static struct kept *touch(struct table *table, const char *name, bool is_ours)
{
	uint64_t hash = name_hash(name);
	struct kept *kept = find(table, hash, name);

	if (kept) {
		TAILQ_REMOVE(&table->lists[kept->is_ours], kept, order);
		table->counts[kept->is_ours]--;
		put_first(table, kept, is_ours || kept->is_ours);
		return kept;
	}
	size_t size = strlen(name) + 1;
	kept = mem_alloc(sizeof *kept + size);
	memcpy(kept->name, name, size);
	kept->hash = hash;
	kept->next = table->buckets[hash % BUCKETS];
	table->buckets[hash % BUCKETS] = kept;
	put_first(table, kept, is_ours);
	return kept;
}

static struct table *lock_table(struct handshakes *handshakes, size_t worker)
{
	assert(worker < handshakes->worker_count);
	pthread_mutex_lock(&handshakes->tables[worker].lock);
	return &handshakes->tables[worker];
}

void handshakes_completed(
    struct handshakes *handshakes, size_t worker, const char *name, enum handshake_end end)
{
	if (!handshakes || !name[0])
		return;
	struct table *table = lock_table(handshakes, worker);
	struct handshake_record *record = &touch(table, name, true)->record;
	record->ends[end]++;
	record->last_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&table->lock);
}

void handshakes_refused(
    struct handshakes *handshakes, size_t worker, const char *name, const struct handshake_refusal *refusal)
{
	if (!handshakes || !name[0])
		return;
	struct table *table = lock_table(handshakes, worker);
	struct kept *kept = touch(table, name, refusal->is_ours || handshake_cause_is_ours(refusal->cause));
	handshake_record_refuse(&kept->record, refusal, clock_monotonic_ms());
	pthread_mutex_unlock(&table->lock);
}

char *handshakes_tell(struct handshakes *handshakes, const char *name, int64_t wall_ms)
{
	struct handshake_record all = {.last_ms = 0};
	uint64_t hash = name_hash(name);

	for (size_t i = 0; i < handshakes->worker_count; i++) {
		struct table *table = lock_table(handshakes, i);
		const struct kept *kept = find(table, hash, name);
		if (kept)
			handshake_record_add(&all, &kept->record);
		pthread_mutex_unlock(&table->lock);
	}
	return handshake_record_json(&all, wall_ms, clock_monotonic_ms());
}

size_t handshakes_count(struct handshakes *handshakes)
{
	size_t count = 0;

	for (size_t i = 0; i < handshakes->worker_count; i++) {
		struct table *table = lock_table(handshakes, i);
		count += table->counts[0] + table->counts[1];
		pthread_mutex_unlock(&table->lock);
	}
	return count;
}
