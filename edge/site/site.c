#include "edge/site/site.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"
#include "edge/site/intern.h"

static size_t string_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static size_t options_size(const char *tenant, const struct domain_options *options)
{
	return string_size(tenant) + string_size(options->upstream) + string_size(options->hsts) +
	       string_size(options->passthrough) + string_size(options->redirect) +
	       (options->parts ? DOMAIN_PARTS * sizeof *options->parts : 0);
}

static const char *copy_string(char **room, const char *text)
{
	char *copy = *room;

	if (!text)
		return NULL;
	strcpy(copy, text);
	*room += strlen(text) + 1;
	return copy;
}

/* Kept once for all sites. What is shared counts for the site that brought it, so that the cache's bound also
 * holds where nothing is alike. */
static unsigned char *share(struct site *site, const void *bytes, size_t size)
{
	bool is_new = false;
	unsigned char *shared = intern_get(bytes, size, &is_new);

	if (is_new)
		site->bytes += size;
	return shared;
}

static void copy_parts(struct site *site, struct domain_part *room, const struct domain_part *parts)
{
	site->options.parts = room;
	for (size_t i = 0; i < DOMAIN_PARTS; i++)
		if (parts[i].bytes)
			room[i] =
			    (struct domain_part){share(site, parts[i].bytes, parts[i].size), parts[i].size};
}

static void copy_options(
    struct site *site, char *room, const char *tenant, const struct domain_options *options)
{
	site->options = *options;
	site->tenant = copy_string(&room, tenant);
	site->options.upstream = copy_string(&room, options->upstream);
	site->options.passthrough = copy_string(&room, options->passthrough);
	site->options.hsts = copy_string(&room, options->hsts);
	site->options.redirect = copy_string(&room, options->redirect);
}

/* The site, where its parts are, its leaf, its key and its strings in one allocation; the rest of the chain
 * is shared. */
struct site *site_new(const struct hostname *name, struct site_stamp stamp, struct certificate *certificate,
    const void *key, size_t key_size, const char *tenant, const struct domain_options *options)
{
	size_t leaf_size = certificate->chain_size[0];
	size_t size = sizeof(struct site) + leaf_size + key_size + options_size(tenant, options);
	struct site *site = NULL;

	assert(certificate->chain_count >= 1 || options->passthrough);
	site = mem_alloc(size);
	atomic_init(&site->references, 1);
	site->name = *name;
	site->stamp = stamp;
	site->certificate = *certificate;
	site->bytes = size;
	struct domain_part *parts = (struct domain_part *)(site + 1);
	site->certificate.chain[0] = (unsigned char *)(options->parts ? parts + DOMAIN_PARTS : parts);
	if (leaf_size > 0)
		memcpy(site->certificate.chain[0], certificate->chain[0], leaf_size);
	site->key = site->certificate.chain[0] + leaf_size;
	site->key_size = key_size;
	if (key_size > 0)
		memcpy(site->key, key, key_size);
	copy_options(site, (char *)site->key + key_size, tenant, options);
	if (options->parts)
		copy_parts(site, parts, options->parts);
	for (size_t i = 1; i < certificate->chain_count; i++)
		site->certificate.chain[i] = share(site, certificate->chain[i], certificate->chain_size[i]);
	certificate_fini(certificate);
	*certificate = (struct certificate){0};
	return site;
}

static int compare_hashes(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void site_set_exceptions(struct site *site, uint64_t *hashes, size_t count)
{
	if (count > 0)
		qsort(hashes, count, sizeof *hashes, compare_hashes);
	site->exceptions = hashes;
	site->exception_count = count;
	site->bytes += count * sizeof *hashes;
}

bool site_name_is_under(const char *name, const char *wildcard)
{
	const char *dot = strchr(name, '.');

	return dot && strcmp(dot, wildcard + 1) == 0 && strcmp(name, wildcard) != 0;
}

bool site_is_exception(const struct site *site, const char *name)
{
	uint64_t hash = name_hash(name);

	return site->exception_count > 0 && bsearch(&hash, site->exceptions, site->exception_count,
						sizeof *site->exceptions, compare_hashes);
}

struct site *site_ref(struct site *site)
{
	atomic_fetch_add_explicit(&site->references, 1, memory_order_relaxed);
	return site;
}

void site_unref(struct site *site)
{
	if (!site || atomic_fetch_sub_explicit(&site->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 1; i < site->certificate.chain_count; i++)
		intern_release(site->certificate.chain[i]);
	for (size_t i = 0; site->options.parts && i < DOMAIN_PARTS; i++)
		intern_release((unsigned char *)(uintptr_t)site->options.parts[i].bytes);
	OPENSSL_cleanse(site->key, site->key_size);
	free(site->exceptions);
	free(site);
}
