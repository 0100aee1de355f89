#include "acme/proof/lookup.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

struct lookup {
	struct resolver *resolver;
	_Atomic int64_t unreachable_until_ms;
	struct metric *unreachable;
};

struct lookup *lookup_new(struct resolver *resolver)
{
	struct lookup *lookup = mem_alloc(sizeof *lookup);
	lookup->resolver = resolver;
	lookup->unreachable = metrics_gauge("postern_acme_dns_unreachable", NULL,
	    "1 while look-ups are left out because none of the last came to anything.");
	return lookup;
}

void lookup_free(struct lookup *lookup)
{
	if (!lookup)
		return;
	resolver_free(lookup->resolver);
	free(lookup);
}

struct resolver *lookup_resolver(struct lookup *lookup)
{
	return lookup->resolver;
}

/* When the time is over one asks again; the others go on without until it knows. */
static bool may_ask(struct lookup *lookup)
{
	int64_t now = clock_monotonic_ms();
	int64_t until = atomic_load(&lookup->unreachable_until_ms);
	if (until == 0)
		return true;
	return until <= now && atomic_compare_exchange_strong(
				   &lookup->unreachable_until_ms, &until, now + LOOKUP_UNREACHABLE_MS);
}

static void note(struct lookup *lookup, bool is_reachable)
{
	int64_t until = is_reachable ? 0 : clock_monotonic_ms() + LOOKUP_UNREACHABLE_MS;
	int64_t before = atomic_exchange(&lookup->unreachable_until_ms, until);
	metric_set(lookup->unreachable, !is_reachable);
	if (!is_reachable && before == 0)
		log_warn("DNS cannot be reached: orders are placed without a look at it; see dns-servers");
}

enum result lookup_ask(struct lookup *lookup, const char *name, const struct resolver_question *questions,
    size_t count, struct resolver_answer *answers)
{
	bool any = false;
	if (!may_ask(lookup))
		return R_DOWN;
	const char *top = strrchr(name, '.');
	struct resolver_question *all = mem_alloc_array(count + 1, sizeof *all);
	struct resolver_answer *found = mem_alloc_array(count + 1, sizeof *found);
	memcpy(all, questions, count * sizeof *all);
	/* The domain's own servers may be down; its registry's are not, unless it is our way to them. */
	all[count] = (struct resolver_question){top ? top + 1 : name, RESOLVER_NS};
	resolver_ask(lookup->resolver, name, all, count + 1, LOOKUP_MS, found);
	for (size_t i = 0; i <= count; i++)
		any = any || found[i].outcome != RESOLVER_TEMPORARY;
	note(lookup, any);
	resolver_answer_free(&found[count]);
	for (size_t i = 0; i < count && !any; i++)
		resolver_answer_free(&found[i]);
	if (any)
		memcpy(answers, found, count * sizeof *answers);
	free(found);
	free(all);
	return any ? R_OK : R_DOWN;
}

bool lookup_can_validate(struct lookup *lookup)
{
	const struct resolver_question root = {".", RESOLVER_NS};
	struct resolver_answer answer;
	resolver_ask(lookup->resolver, ".", &root, 1, LOOKUP_MS, &answer);
	bool is_good = answer.outcome == RESOLVER_FOUND;
	resolver_answer_free(&answer);
	return is_good;
}
