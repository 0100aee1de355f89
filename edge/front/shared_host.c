#include "edge/front/shared_host.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "common/certificate/certificate.h"

static bool have_one_tenant(const struct site *site, const struct site *other)
{
	return site && other && site->tenant && other->tenant && strcmp(site->tenant, other->tenant) == 0;
}

/* A resumed connection was made without showing a certificate: the one of its name, as it is now, stands for
 * what its client saw then. */
static bool is_covered(const char *host, const SSL *ssl, const struct site *own)
{
	X509 *shown = SSL_get_certificate(ssl);
	const unsigned char *der = own->certificate.chain[0];

	if (shown)
		return certificate_covers(shown, host);
	X509 *leaf = d2i_X509(NULL, &der, (long)own->certificate.chain_size[0]);
	bool covers = leaf && certificate_covers(leaf, host);
	ERR_clear_error();
	X509_free(leaf);
	return covers;
}

struct site *shared_host_find(struct site_cache *sites, const char *sni, const char *host, const SSL *ssl)
{
	struct site *own = site_cache_find(sites, sni);
	struct site *other = site_cache_find(sites, host);
	bool may = ssl && have_one_tenant(own, other) && !site_is_passed(own) && !site_is_passed(other) &&
		   SSL_version(ssl) >= other->options.minimum_tls && is_covered(host, ssl, own);

	site_unref(own);
	if (may)
		return other;
	site_unref(other);
	return NULL;
}
