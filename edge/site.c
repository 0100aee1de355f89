#include "edge/site.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "edge/intern.h"

/* The site, its leaf and its key in one allocation; the rest of the chain is shared. What is shared counts
 * for the site that brought it, so that the cache's bound also holds where every chain differs. */
struct site *site_new(const struct hostname *name, int64_t version, struct certificate *certificate,
    const void *key, size_t key_size)
{
	size_t leaf_size = certificate->chain_size[0];
	struct site *site = NULL;

	assert(certificate->chain_count >= 1);
	site = mem_alloc(sizeof *site + leaf_size + key_size);
	atomic_init(&site->references, 1);
	site->name = *name;
	site->version = version;
	site->certificate = *certificate;
	site->bytes = sizeof *site + leaf_size + key_size;
	site->certificate.chain[0] = (unsigned char *)(site + 1);
	memcpy(site->certificate.chain[0], certificate->chain[0], leaf_size);
	site->key = site->certificate.chain[0] + leaf_size;
	site->key_size = key_size;
	memcpy(site->key, key, key_size);
	for (size_t i = 1; i < certificate->chain_count; i++) {
		bool is_new = false;

		site->certificate.chain[i] =
		    intern_get(certificate->chain[i], certificate->chain_size[i], &is_new);
		if (is_new)
			site->bytes += certificate->chain_size[i];
	}
	certificate_fini(certificate);
	*certificate = (struct certificate){0};
	return site;
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
	OPENSSL_cleanse(site->key, site->key_size);
	free(site);
}
