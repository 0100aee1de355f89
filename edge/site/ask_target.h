/*
 * Whom we ask, as the settings say, files already read. Never changes, counted by references: a reload makes
 * another one, and questions under way end with theirs.
 */
#ifndef EDGE_ASK_TARGET_H
#define EDGE_ASK_TARGET_H

#include <stdatomic.h>

#include "common/domain/ask_endpoint.h"

struct ask_target {
	atomic_int references;
	char *url; /* as the setting says, for the log */
	struct ask_endpoint endpoint;
};

/* As ask_endpoint_init. With its url NULL *out is NULL: nobody is asked. */
enum result ask_target_new(
    struct ask_target **out, const struct ask_endpoint_config *config, struct error *error);
struct ask_target *ask_target_ref(struct ask_target *target);
void ask_target_unref(struct ask_target *target); /* NULL is fine */

#endif
