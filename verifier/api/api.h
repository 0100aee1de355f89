/*
 * The API and the dashboard on one listener: who asks, and which handler answers.
 */
#ifndef VERIFIER_API_API_H
#define VERIFIER_API_API_H

#include "common/dns/resolver.h"
#include "verifier/config.h"
#include "verifier/pg_pool.h"

struct api;
struct diagnoser;

/* What the handlers work with; all of it outlives the API. */
struct api_parts {
	const struct config *config;
	struct pg_pool *pool;
	struct resolver *resolver;
	struct diagnoser *diagnoser;
};

/* `fd` listens, and is taken. */
enum result api_start(struct api **out, const struct api_parts *parts, int fd, struct error *error);
void api_stop(struct api *api);

#endif
