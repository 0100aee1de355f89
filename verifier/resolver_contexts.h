/*
 * The libunbound contexts that look-ups run in. However its caches are set, a context remembers for seconds
 * which servers were silent and which names failed; so each serves the look-ups of half a second only, and
 * goes when the last of them is done. Making one takes a millisecond.
 *
 * At most a dozen live at once, since no look-up lasts longer than RESOLVER_DEADLINE_MS.
 */
#ifndef VERIFIER_RESOLVER_CONTEXTS_H
#define VERIFIER_RESOLVER_CONTEXTS_H

#include "verifier/resolver.h"

struct ub_ctx;
struct resolver_contexts;
struct resolver_context;

/* The options are copied. Starts the thread on which libunbound's callbacks run. */
enum result resolver_contexts_new(
    struct resolver_contexts **out, const struct resolver_options *options, struct error *error);
/* Every context must have been given back. */
void resolver_contexts_free(struct resolver_contexts *contexts);

/* A young one; NULL where the system refused what it needs. Any thread. */
struct resolver_context *resolver_contexts_take(struct resolver_contexts *contexts);
void resolver_contexts_give(struct resolver_contexts *contexts, struct resolver_context *context);
struct ub_ctx *resolver_context_ub(const struct resolver_context *context);

#endif
