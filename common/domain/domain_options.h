/*
 * What a domain's row may ask of the edges: the JSON of `domains.options` in, a checked struct out, or a
 * sentence that names the key and the mend. Whoever writes options checks them here, and the edge reads them
 * here, so that nothing is accepted that is not kept.
 *
 * Bounds: the whole is at most DOMAIN_OPTIONS_MAX bytes of JSON (the table holds no more), each page
 * DOMAIN_PAGE_MAX, each list of networks DOMAIN_NETWORKS_MAX, the response fields DOMAIN_FIELDS_MAX of each
 * kind with values of DOMAIN_VALUE_MAX.
 */
#ifndef COMMON_DOMAIN_OPTIONS_H
#define COMMON_DOMAIN_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/net/ip_ranges.h"

enum {
	DOMAIN_OPTIONS_MAX = 16 * 1024,
	DOMAIN_PAGE_MAX = 8 * 1024,
	DOMAIN_NETWORKS_MAX = 256,
	DOMAIN_FIELDS_MAX = 16,
	DOMAIN_VALUE_MAX = 4096,
};

/* What has no size of its own, as bytes that can be kept once for all domains that say the same. */
enum domain_part_kind {
	DOMAIN_PAGE_502, /* HTML */
	DOMAIN_PAGE_503,
	DOMAIN_PAGE_504,
	DOMAIN_FIELDS_ADDED,   /* name NUL value NUL, again and again */
	DOMAIN_FIELDS_REMOVED, /* name NUL, in lower case */
	DOMAIN_ALLOW,          /* struct ip_range */
	DOMAIN_DENY,
	DOMAIN_PARTS
};

struct domain_part {
	const void *bytes; /* NULL: the row says nothing of it */
	size_t size;
};

/* Zeroed means: nothing is asked for. */
struct domain_options {
	const char *upstream; /* http(s)://host[:port]; NULL: the setting */
	/* Servers that its TLS is passed on to unopened, as common/passthrough reads it; NULL: it is ours. */
	const char *passthrough;
	const char *hsts;     /* value of Strict-Transport-Security; NULL: the edge sets none */
	int minimum_tls;      /* TLS1_2_VERSION …; 0: the edge's own */
	const char *redirect; /* normalised host that all requests are sent to; NULL: none */
	int redirect_status;  /* 301 or 308 */
	bool has_max_body;
	uint64_t max_body; /* bytes of a request's body; 0: any number */
	/* `allow` or `deny` could not be read: nobody is let in, for what it says cannot be known. */
	bool is_closed;
	struct domain_part *parts; /* DOMAIN_PARTS of them; NULL: all of them say nothing */
};

/* Reads one key into `out`, which domain_options_fini frees. R_INVALID: the key is unknown or the value
 * wrong, and `out` is as if it had not been there, except for is_closed. */
enum result domain_options_read(
    struct domain_options *out, const char *key, const json_t *value, struct error *error);
/* Is it a key whose loss would let somebody in? */
bool domain_options_guards(const char *key);
void domain_options_fini(struct domain_options *options);

/* Before they are written: the whole object, for the domain `name`. */
enum result domain_options_check(const json_t *options, const char *name, struct error *error);

/* A part of it, empty where the row says nothing. */
struct domain_part domain_options_part(const struct domain_options *options, enum domain_part_kind kind);
/* May a visitor with this address (as net_format_host writes it) come in? `deny` counts more than `allow`. */
bool domain_options_admit(const struct domain_options *options, const char *address);

/* The option `response_headers`, and what it may not touch; domain_fields.c. */
enum result domain_fields_read(
    struct domain_part *added, struct domain_part *removed, const json_t *value, struct error *error);

#endif
