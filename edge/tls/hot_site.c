#include "edge/tls/hot_site.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/certificate/certificate.h"
#include "common/daemon/metrics.h"
#include "edge/loop/loop.h"
#include "edge/loop/name_table.h"

enum { FINGERPRINT_TEXT = 2 * 32 + 1 };

/* An issuer's certificate, once for all sites that use it. */
struct intermediate {
	struct name_entry entry;
	char fingerprint[FINGERPRINT_TEXT]; /* SHA-256 of the DER, hex */
	X509 *x509;
	size_t users;
};

struct hot_site {
	struct name_entry entry;
	TAILQ_ENTRY(hot_site) used;
	struct site *cold; /* what it was made of, or the same certificate with younger options */
	uint64_t change;   /* of the cache, when it was compared last */
	X509 *leaf;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
	struct intermediate *intermediates[CERTIFICATE_CHAIN_MAX];
	size_t intermediate_count;
};
TAILQ_HEAD(hot_list, hot_site);

struct hot_sites {
	OSSL_LIB_CTX *libctx;
	EVP_MD *sha256;
	struct site_cache *cache;
	size_t max_count;
	struct name_table sites;
	struct name_table intermediates;
	struct hot_list used; /* least recently used first */
	struct metric *decoded, *evictions;
};

struct hot_sites *hot_sites_new(OSSL_LIB_CTX *libctx, struct site_cache *cache, size_t max_count)
{
	struct hot_sites *hot = mem_alloc(sizeof *hot);

	hot->libctx = libctx;
	hot->cache = cache;
	hot->max_count = max_count;
	hot->sha256 = EVP_MD_fetch(libctx, "SHA256", NULL);
	TAILQ_INIT(&hot->used);
	hot->decoded = metrics_gauge("postern_edge_hot_certificates", NULL,
	    "Certificates that workers have ready for handshakes; each worker counts its own.");
	hot->evictions = metrics_counter("postern_edge_hot_certificate_evictions_total", NULL,
	    "Decoded certificates that made room for others: many mean that hot-certificates is too small.");
	if (hot->sha256)
		return hot;
	free(hot);
	return NULL;
}

static X509 *decode(struct hot_sites *hot, const unsigned char *der, size_t size)
{
	X509 *x509 = X509_new_ex(hot->libctx, NULL);

	if (x509 && d2i_X509(&x509, &der, (long)size))
		return x509;
	/* d2i_X509 has freed and cleared what it was given. */
	X509_free(x509);
	return NULL;
}

static void fingerprint(
    struct hot_sites *hot, const unsigned char *der, size_t size, char text[FINGERPRINT_TEXT])
{
	unsigned char digest[32];

	if (!EVP_Digest(der, size, digest, NULL, hot->sha256, NULL))
		abort();
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static struct intermediate *take_intermediate(struct hot_sites *hot, const unsigned char *der, size_t size)
{
	char text[FINGERPRINT_TEXT];

	fingerprint(hot, der, size, text);
	struct name_entry *entry = name_table_find(&hot->intermediates, text);
	struct intermediate *intermediate = entry ? loop_owner(entry, struct intermediate, entry) : NULL;
	if (!intermediate) {
		X509 *x509 = decode(hot, der, size);

		if (!x509)
			return NULL;
		intermediate = mem_alloc(sizeof *intermediate);
		intermediate->x509 = x509;
		memcpy(intermediate->fingerprint, text, sizeof text);
		intermediate->entry.name = intermediate->fingerprint;
		name_table_add(&hot->intermediates, &intermediate->entry);
	}
	intermediate->users++;
	return intermediate;
}

static void leave_intermediate(struct hot_sites *hot, struct intermediate *intermediate)
{
	if (--intermediate->users > 0)
		return;
	name_table_remove(&hot->intermediates, &intermediate->entry);
	X509_free(intermediate->x509);
	free(intermediate);
}

static void free_site(struct hot_sites *hot, struct hot_site *site)
{
	for (size_t i = 0; i < site->intermediate_count; i++)
		leave_intermediate(hot, site->intermediates[i]);
	sk_X509_free(site->chain);
	X509_free(site->leaf);
	EVP_PKEY_free(site->key);
	site_unref(site->cold);
	free(site);
}

static void drop(struct hot_sites *hot, struct hot_site *site)
{
	TAILQ_REMOVE(&hot->used, site, used);
	name_table_remove(&hot->sites, &site->entry);
	metric_add(hot->decoded, -1);
	free_site(hot, site);
}

void hot_sites_free(struct hot_sites *hot)
{
	if (!hot)
		return;
	while (!TAILQ_EMPTY(&hot->used))
		drop(hot, TAILQ_FIRST(&hot->used));
	name_table_fini(&hot->sites);
	name_table_fini(&hot->intermediates);
	EVP_MD_free(hot->sha256);
	free(hot);
}

static enum result decode_chain(
    struct hot_sites *hot, struct hot_site *site, const struct certificate *certificate)
{
	site->leaf = decode(hot, certificate->chain[0], certificate->chain_size[0]);
	site->chain = sk_X509_new_null();
	if (!site->leaf || !site->chain)
		return R_ERROR;
	for (size_t i = 1; i < certificate->chain_count; i++) {
		struct intermediate *intermediate =
		    take_intermediate(hot, certificate->chain[i], certificate->chain_size[i]);

		if (!intermediate)
			return R_ERROR;
		site->intermediates[site->intermediate_count++] = intermediate;
		if (!sk_X509_push(site->chain, intermediate->x509))
			return R_ERROR;
	}
	return R_OK;
}

static struct hot_site *build(struct hot_sites *hot, struct site *cold, struct error *error)
{
	struct hot_site *site = mem_alloc(sizeof *site);

	site->cold = site_ref(cold);
	site->entry.name = cold->name.text;
	if (site_is_passed(cold))
		return site;
	if (certificate_key_import(&site->key, cold->key, cold->key_size, hot->libctx, error) != R_OK)
		goto fail;
	if (decode_chain(hot, site, &cold->certificate) != R_OK) {
		error_set(error, "a certificate of %s cannot be decoded: %s", cold->name.text,
		    ERR_error_string(ERR_get_error(), NULL));
		goto fail;
	}
	return site;
fail:
	ERR_clear_error();
	free_site(hot, site);
	return NULL;
}

/* Options change without the certificate: nothing has to be decoded again. */
static void adopt(struct hot_site *site, struct site *cold)
{
	struct site *former = site->cold;

	site->cold = site_ref(cold);
	site->entry.name = cold->name.text;
	site_unref(former);
}

static enum result add(struct hot_sites *hot, struct site *cold, struct hot_site **out, struct error *error)
{
	struct hot_site *site = build(hot, cold, error);

	if (!site)
		return R_ERROR;
	if (hot->sites.count >= hot->max_count) {
		drop(hot, TAILQ_FIRST(&hot->used));
		metric_add(hot->evictions, 1);
	}
	metric_add(hot->decoded, 1);
	name_table_add(&hot->sites, &site->entry);
	TAILQ_INSERT_TAIL(&hot->used, site, used);
	*out = site;
	return R_OK;
}

static bool is_same_certificate(const struct site *a, const struct site *b)
{
	if (site_is_passed(a) || site_is_passed(b))
		return site_is_passed(a) && site_is_passed(b);
	return a->stamp.version == b->stamp.version &&
	       a->certificate.chain_size[0] == b->certificate.chain_size[0] &&
	       memcmp(a->certificate.chain[0], b->certificate.chain[0], a->certificate.chain_size[0]) == 0;
}

static struct hot_site *find(struct hot_sites *hot, const char *name)
{
	struct name_entry *entry = name_table_find(&hot->sites, name);

	return entry ? loop_owner(entry, struct hot_site, entry) : NULL;
}

/* Compares the entry (NULL: there is none) with the cache and replaces, drops or makes it. The change counter
 * is read before: a change in between is seen at the next look. */
static enum result refresh(struct hot_sites *hot, const char *name, struct hot_site *site,
    struct hot_site **out, struct error *error)
{
	uint64_t change = site_cache_change(hot->cache);
	struct site *cold = site_cache_find(hot->cache, name);
	enum result result = R_OK;

	/* The name had a site of its own and has none any more: a wildcard serves it. */
	if (cold && strcmp(cold->name.text, name) != 0) {
		if (site)
			drop(hot, site);
		site = find(hot, cold->name.text);
	}
	if (site && (!cold || !is_same_certificate(cold, site->cold))) {
		drop(hot, site);
		site = NULL;
	}
	if (!cold)
		return R_NONE;
	if (site)
		adopt(site, cold);
	else
		result = add(hot, cold, &site, error);
	if (result == R_OK)
		site->change = change;
	*out = site;
	site_unref(cold);
	return result;
}

enum result hot_sites_find(
    struct hot_sites *hot, const char *name, int64_t now, struct hot_site **out, struct error *error)
{
	struct hot_site *site = find(hot, name);

	if (!site || site->change != site_cache_change(hot->cache)) {
		enum result result = refresh(hot, name, site, &site, error);

		if (result != R_OK)
			return result;
	}
	TAILQ_REMOVE(&hot->used, site, used);
	TAILQ_INSERT_TAIL(&hot->used, site, used);
	if (site->cold->certificate.not_after <= now)
		return R_NONE;
	*out = site;
	return R_OK;
}

enum result hot_site_install(const struct hot_site *site, SSL *ssl)
{
	if (SSL_use_cert_and_key(ssl, site->leaf, site->key, site->chain, 1))
		return R_OK;
	ERR_clear_error();
	return R_ERROR;
}

const struct site *hot_site_cold(const struct hot_site *site)
{
	return site->cold;
}

size_t hot_sites_intermediates(const struct hot_sites *hot)
{
	return hot->intermediates.count;
}
