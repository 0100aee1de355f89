#include "verifier/claim/upload_watch.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/daemon/background.h"
#include "common/log/log.h"
#include "verifier/claim/upload.h"

enum { ROUND_MS = 60 * 1000, AGAIN_MS = 1000 };

struct upload_watch {
	struct background *thread;
	struct pg_pool *pool;
};

/* A database that is away or not migrated yet is the API's to complain about. */
static int64_t round_of(void *arg, struct background *self)
{
	struct upload_watch *watch = arg;
	struct error error = {""};
	int warned = 0;
	(void)self;
	struct pg *pg = pg_pool_take(watch->pool, &error);
	enum result result = pg ? upload_tend(pg, &warned, &error) : R_DOWN;
	if (pg)
		pg_pool_give(watch->pool, pg);
	if (warned)
		log_warn(
		    "uploaded certificates expire, and nobody else renews them", log_int("count", warned));
	return result == R_OK ? ROUND_MS : AGAIN_MS;
}

struct upload_watch *upload_watch_start(struct pg_pool *pool)
{
	struct upload_watch *watch = mem_alloc(sizeof *watch);
	watch->pool = pool;
	watch->thread = background_start("uploads", round_of, watch);
	return watch;
}

void upload_watch_stop(struct upload_watch *watch)
{
	if (!watch)
		return;
	background_stop(watch->thread);
	free(watch);
}
