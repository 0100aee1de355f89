#include "edge/pass/pass_sessions.h"

#include <assert.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

enum { BUCKETS = 32768 }; /* a power of two, about as many as there are sessions */

struct entry {
	struct entry *next; /* in its bucket */
	TAILQ_ENTRY(entry) by_use;
	uint64_t hash;
	uint64_t group;
	int64_t used_ms;
	struct net_address server;
	uint8_t size;
	uint8_t id[PASS_SESSION_ID_MAX];
};

struct pass_sessions {
	pthread_mutex_t lock;
	unsigned char key[16]; /* both sides choose ids: neither chooses the bucket */
	size_t max, count;
	int64_t life_ms;
	struct entry *buckets[BUCKETS];
	TAILQ_HEAD(, entry) by_use; /* least recently used first, so also the one that is forgotten first */
};

struct pass_sessions *pass_sessions_new(size_t max, int64_t life_ms)
{
	struct pass_sessions *sessions = mem_alloc(sizeof *sessions);

	pthread_mutex_init(&sessions->lock, NULL);
	TAILQ_INIT(&sessions->by_use);
	sessions->max = max;
	sessions->life_ms = life_ms;
	if (RAND_bytes(sessions->key, sizeof sessions->key) != 1)
		abort();
	return sessions;
}

static uint64_t hash_of(const struct pass_sessions *sessions, const struct pass_session *session)
{
	unsigned char bytes[sizeof session->group + PASS_SESSION_ID_MAX];

	assert(session->size <= PASS_SESSION_ID_MAX);
	memcpy(bytes, &session->group, sizeof session->group);
	memcpy(bytes + sizeof session->group, session->id, session->size);
	return name_hash_keyed(sessions->key, bytes, sizeof session->group + session->size);
}

static struct entry **bucket_of(struct pass_sessions *sessions, uint64_t hash)
{
	return &sessions->buckets[hash % BUCKETS];
}

static struct entry *find_locked(
    struct pass_sessions *sessions, const struct pass_session *session, uint64_t hash)
{
	struct entry *entry = *bucket_of(sessions, hash);

	while (
	    entry && (entry->hash != hash || entry->group != session->group || entry->size != session->size ||
			 memcmp(entry->id, session->id, session->size) != 0))
		entry = entry->next;
	return entry;
}

static void drop_locked(struct pass_sessions *sessions, struct entry *entry)
{
	struct entry **link = bucket_of(sessions, entry->hash);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	TAILQ_REMOVE(&sessions->by_use, entry, by_use);
	sessions->count--;
	free(entry);
}

static void expire_locked(struct pass_sessions *sessions, int64_t now_ms)
{
	struct entry *oldest = NULL;

	while ((oldest = TAILQ_FIRST(&sessions->by_use)) && now_ms - oldest->used_ms >= sessions->life_ms)
		drop_locked(sessions, oldest);
}

static struct entry *add_locked(
    struct pass_sessions *sessions, const struct pass_session *session, uint64_t hash)
{
	struct entry *entry = mem_alloc(sizeof *entry);

	if (sessions->count == sessions->max)
		drop_locked(sessions, TAILQ_FIRST(&sessions->by_use));
	entry->hash = hash;
	entry->group = session->group;
	entry->size = (uint8_t)session->size;
	memcpy(entry->id, session->id, session->size);
	entry->next = *bucket_of(sessions, hash);
	*bucket_of(sessions, hash) = entry;
	TAILQ_INSERT_TAIL(&sessions->by_use, entry, by_use);
	sessions->count++;
	return entry;
}

static void touch_locked(struct pass_sessions *sessions, struct entry *entry, int64_t now_ms)
{
	entry->used_ms = now_ms;
	TAILQ_REMOVE(&sessions->by_use, entry, by_use);
	TAILQ_INSERT_TAIL(&sessions->by_use, entry, by_use);
}

bool pass_sessions_find(struct pass_sessions *sessions, const struct pass_session *session, int64_t now_ms,
    struct net_address *server)
{
	uint64_t hash = hash_of(sessions, session);

	pthread_mutex_lock(&sessions->lock);
	expire_locked(sessions, now_ms);
	struct entry *entry = find_locked(sessions, session, hash);
	if (entry) {
		touch_locked(sessions, entry, now_ms);
		*server = entry->server;
	}
	pthread_mutex_unlock(&sessions->lock);
	return entry;
}

void pass_sessions_learn(struct pass_sessions *sessions, const struct pass_session *session, int64_t now_ms,
    const struct net_address *server)
{
	uint64_t hash = hash_of(sessions, session);

	pthread_mutex_lock(&sessions->lock);
	expire_locked(sessions, now_ms);
	struct entry *entry = find_locked(sessions, session, hash);
	if (!entry)
		entry = add_locked(sessions, session, hash);
	entry->server = *server;
	touch_locked(sessions, entry, now_ms);
	pthread_mutex_unlock(&sessions->lock);
}

size_t pass_sessions_count(struct pass_sessions *sessions)
{
	pthread_mutex_lock(&sessions->lock);
	size_t count = sessions->count;
	pthread_mutex_unlock(&sessions->lock);
	return count;
}

void pass_sessions_free(struct pass_sessions *sessions)
{
	struct entry *entry = NULL;

	if (!sessions)
		return;
	while ((entry = TAILQ_FIRST(&sessions->by_use)))
		drop_locked(sessions, entry);
	pthread_mutex_destroy(&sessions->lock);
	free(sessions);
}
