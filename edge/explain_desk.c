#include "edge/explain_desk.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "common/net/hostname.h"

enum { WAITING_MAX = 64, QUERY_MS = 1000 };

struct explain_desk {
	struct handshakes *handshakes;
	pthread_mutex_t lock; /* covers what follows */
	size_t count;
	struct hostname names[WAITING_MAX];
};

struct explain_desk *explain_desk_new(struct handshakes *handshakes)
{
	struct explain_desk *desk = mem_alloc(sizeof *desk);

	desk->handshakes = handshakes;
	pthread_mutex_init(&desk->lock, NULL);
	return desk;
}

void explain_desk_free(struct explain_desk *desk)
{
	if (!desk)
		return;
	pthread_mutex_destroy(&desk->lock);
	free(desk);
}

/* The same name twice is one answer: a statement may write a row once only. */
static bool is_waiting_locked(const struct explain_desk *desk, const char *name)
{
	for (size_t i = 0; i < desk->count; i++)
		if (strcmp(desk->names[i].text, name) == 0)
			return true;
	return false;
}

bool explain_desk_ask(struct explain_desk *desk, const char *name)
{
	pthread_mutex_lock(&desk->lock);
	bool waits = is_waiting_locked(desk, name);
	if (!waits && desk->count < WAITING_MAX) {
		snprintf(desk->names[desk->count].text, sizeof desk->names->text, "%s", name);
		desk->count++;
		waits = true;
	}
	pthread_mutex_unlock(&desk->lock);
	return waits;
}

static size_t take(struct explain_desk *desk, struct hostname names[WAITING_MAX])
{
	pthread_mutex_lock(&desk->lock);
	size_t count = desk->count;
	memcpy(names, desk->names, count * sizeof *names);
	desk->count = 0;
	pthread_mutex_unlock(&desk->lock);
	return count;
}

void explain_desk_answer(struct explain_desk *desk, struct pg *pg, const char *node)
{
	struct hostname *names = mem_alloc_array(WAITING_MAX, sizeof *names);
	const char *texts[WAITING_MAX];
	char *seen[WAITING_MAX];
	struct error error = {""};
	size_t count = take(desk, names);

	for (size_t i = 0; i < count; i++) {
		texts[i] = names[i].text;
		seen[i] = handshakes_tell(desk->handshakes, names[i].text, clock_wall_ms());
	}
	char *name_array = pg_text_array(texts, count);
	char *seen_array = pg_text_array((const char *const *)seen, count);
	if (count > 0 && pg_run(pg, QUERY_MS, NULL, &error, "SELECT handshakes_answer($1, $2, $3)",
			     pg_text(node), pg_text(name_array), pg_text(seen_array)) != R_OK)
		log_warn("what was seen of a name could not be told", log_str("error", error.text));
	free(seen_array);
	free(name_array);
	for (size_t i = 0; i < count; i++)
		free(seen[i]);
	free(names);
}
