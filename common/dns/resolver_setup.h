/*
 * How a libunbound context is set up: hardly any caches, no built-in zones, our stubs, resolvers and trust
 * anchors.
 */
#ifndef COMMON_DNS_RESOLVER_SETUP_H
#define COMMON_DNS_RESOLVER_SETUP_H

#include "common/dns/resolver.h"

struct ub_ctx;

/* A context that is final: options that are wrong show here, not at the first look-up. */
enum result resolver_setup(struct ub_ctx **out, const struct resolver_options *options, struct error *error);

#endif
