/*
 * A worker's own tier above the site cache: certificates decoded in its library context and keys imported,
 * ready to be installed in an SSL by reference. Bounded by count (about 9 KiB each), least recently used
 * goes; intermediates are shared by fingerprint.
 *
 * Nothing here is older than the site cache: an entry is looked up there again whenever the cache has changed
 * since.
 */
#ifndef EDGE_HOT_SITE_H
#define EDGE_HOT_SITE_H

#include <openssl/types.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "edge/site/site_cache.h"

struct hot_sites;
struct hot_site;

struct hot_sites *hot_sites_new(OSSL_LIB_CTX *libctx, struct site_cache *cache, size_t max_count);
void hot_sites_free(struct hot_sites *hot);

/* What may be served for the name now (or passed on, site_is_passed: then there is nothing to install), its
 * own or its wildcard's (`now` in seconds since 1970), from this tier or the cache beneath. R_NONE: neither
 * has it, or it has expired. R_ERROR: the cache's entry cannot be decoded (a bug: it was checked). *out is
 * valid until the next call. */
enum result hot_sites_find(
    struct hot_sites *hot, const char *name, int64_t now, struct hot_site **out, struct error *error);
/* Installs leaf, chain and key in the SSL, which holds references of its own. */
enum result hot_site_install(const struct hot_site *site, SSL *ssl);
/* Its name, stamp and options. Valid as long as the hot site. */
const struct site *hot_site_cold(const struct hot_site *site);

size_t hot_sites_intermediates(const struct hot_sites *hot);

#endif
