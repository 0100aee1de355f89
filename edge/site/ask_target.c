#include "edge/site/ask_target.h"

#include <stdlib.h>

#include "common/base/mem.h"

enum result ask_target_new(
    struct ask_target **out, const struct ask_endpoint_config *config, struct error *error)
{
	*out = NULL;
	if (!config->url)
		return R_OK;
	struct ask_target *target = mem_alloc(sizeof *target);
	enum result result = ask_endpoint_init(&target->endpoint, config, error);
	if (result != R_OK) {
		free(target);
		return result;
	}
	atomic_init(&target->references, 1);
	target->url = mem_string(config->url);
	*out = target;
	return R_OK;
}

struct ask_target *ask_target_ref(struct ask_target *target)
{
	atomic_fetch_add_explicit(&target->references, 1, memory_order_relaxed);
	return target;
}

void ask_target_unref(struct ask_target *target)
{
	if (!target || atomic_fetch_sub_explicit(&target->references, 1, memory_order_acq_rel) > 1)
		return;
	ask_endpoint_fini(&target->endpoint);
	free(target->url);
	free(target);
}
