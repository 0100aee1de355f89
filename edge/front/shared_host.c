#include "edge/front/shared_host.h"

#include <openssl/ssl.h>
#include <string.h>

#include "common/certificate.h"

static bool have_one_tenant(const struct site *site, const struct site *other)
{
	return site && other && site->options.tenant && other->options.tenant &&
	       strcmp(site->options.tenant, other->options.tenant) == 0;
}

struct site *shared_host_find(struct site_cache *sites, const char *sni, const char *host, const SSL *ssl)
{
	X509 *leaf = ssl ? SSL_get_certificate(ssl) : NULL;
	struct site *own = NULL;
	struct site *other = NULL;

	if (!leaf)
		return NULL;
	own = site_cache_find(sites, sni);
	other = site_cache_find(sites, host);
	bool may = have_one_tenant(own, other) && SSL_version(ssl) >= other->options.minimum_tls &&
		   certificate_covers(leaf, host);
	site_unref(own);
	if (may)
		return other;
	site_unref(other);
	return NULL;
}
