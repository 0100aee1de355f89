/*
 * May this stored row be served? Opens the key, parses the chain, compares the two and the name, and makes
 * the site of them; nothing that a worker sees has come another way. One thread.
 */
#ifndef EDGE_SITE_JUDGE_H
#define EDGE_SITE_JUDGE_H

#include "common/seal/seal.h"
#include "edge/site/site.h"

struct site_judge;

/* A row as it was read; all borrowed. */
struct site_raw {
	const char *name;        /* what the site is for: a host name or a wildcard */
	const char *certificate; /* the row's name: the same, or the wildcard above it; NULL: no row */
	struct site_stamp stamp;
	const char *pem;
	const unsigned char *sealed; /* NULL: the column could not be read */
	size_t sealed_size;
	const char *tenant, *options; /* of the owner; NULL: none */
	bool redirect_leads;          /* what `options` redirects to may be redirected to */
};

/* `keys` is borrowed. */
struct site_judge *site_judge_new(const struct seal_keys *keys);
void site_judge_free(struct site_judge *judge);

/* Where the owner has its TLS passed on, the site of that, whatever certificate there is. A reference for the
 * caller; NULL, counted and logged, where the row cannot be served; NULL where there is no row. */
struct site *site_judge_row(struct site_judge *judge, const struct site_raw *raw);

#endif
