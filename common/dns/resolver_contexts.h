/*
 * The libunbound contexts that look-ups run in. Each serves the look-ups of half a second and goes when the
 * last of them is done: so many domains share the way down from the root, and yet nothing is remembered. For
 * however its caches are set, a context knows for seconds which servers were silent and which names failed;
 * and a subject (the domain that is being checked) never gets a context that has served it before.
 *
 * About two dozen live at once at most, since no look-up lasts longer than RESOLVER_DEADLINE_MS.
 */
#ifndef COMMON_DNS_RESOLVER_CONTEXTS_H
#define COMMON_DNS_RESOLVER_CONTEXTS_H

#include "common/dns/resolver.h"

struct ub_ctx;
struct resolver_contexts;
struct resolver_context;

/* The options are copied. Starts the thread on which libunbound's callbacks run. */
enum result resolver_contexts_new(
    struct resolver_contexts **out, const struct resolver_options *options, struct error *error);
/* Every context must have been given back. */
void resolver_contexts_free(struct resolver_contexts *contexts);

/* A young one that knows nothing of the subject, for `users` look-ups that each give it back; NULL where the
 * system refused what it needs. Any thread. */
struct resolver_context *resolver_contexts_take(
    struct resolver_contexts *contexts, const char *subject, size_t users);
void resolver_contexts_give(struct resolver_contexts *contexts, struct resolver_context *context);
struct ub_ctx *resolver_context_ub(const struct resolver_context *context);

#endif
