#include "common/base/tally.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/mem.h"

/* One thread's cells. Only that thread writes; a load and a store do where others would need a locked
 * addition. When it ends the next new thread goes on counting where it stopped. */
struct block {
	struct block *next;
	bool taken;
	_Atomic int64_t cells[TALLY_CELLS];
};

/* The list only grows, so that it is read without the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	pthread_key_t key;
	_Atomic(struct block *) blocks;
	unsigned used;
} tally = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .used = TALLY_FIRST_FREE};

static _Thread_local struct block *own;

static void on_thread_end(void *arg)
{
	struct block *block = arg;

	own = NULL;
	pthread_mutex_lock(&tally.lock);
	block->taken = false;
	pthread_mutex_unlock(&tally.lock);
}

static void make_key(void)
{
	pthread_key_create(&tally.key, on_thread_end);
}

static struct block *find_free_locked(void)
{
	struct block *block = atomic_load_explicit(&tally.blocks, memory_order_relaxed);

	while (block && block->taken)
		block = block->next;
	return block;
}

static struct block *add_locked(void)
{
	struct block *block = mem_alloc(sizeof *block);

	block->next = atomic_load_explicit(&tally.blocks, memory_order_relaxed);
	atomic_store_explicit(&tally.blocks, block, memory_order_release);
	return block;
}

/* Apart from what is done each time, which is then a few instructions. */
static struct block *__attribute__((noinline)) take_block(void)
{
	pthread_once(&tally.once, make_key);
	pthread_mutex_lock(&tally.lock);
	struct block *block = find_free_locked();
	if (!block)
		block = add_locked();
	block->taken = true;
	pthread_mutex_unlock(&tally.lock);
	pthread_setspecific(tally.key, block);
	return block;
}

unsigned tally_new(unsigned count)
{
	pthread_mutex_lock(&tally.lock);
	unsigned first = tally.used;
	assert(count <= TALLY_CELLS - first);
	tally.used += count;
	pthread_mutex_unlock(&tally.lock);
	return first;
}

void tally_add(unsigned cell, int64_t value)
{
	if (!own)
		own = take_block();
	int64_t held = atomic_load_explicit(&own->cells[cell], memory_order_relaxed);
	atomic_store_explicit(&own->cells[cell], held + value, memory_order_relaxed);
}

int64_t tally_sum(unsigned cell)
{
	int64_t sum = 0;

	for (struct block *block = atomic_load_explicit(&tally.blocks, memory_order_acquire); block;
	     block = block->next)
		sum += atomic_load_explicit(&block->cells[cell], memory_order_relaxed);
	return sum;
}
