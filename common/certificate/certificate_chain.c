/*
 * Is a chain complete? Only what leads to a root that the client has is any good to it, and the mistake that
 * people make most is to leave the intermediate out: browsers that met it elsewhere hide that.
 */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "common/certificate/certificate.h"

/* Debian's ca-certificates keeps each root in a file that is named after its subject's hash. */
static X509_STORE *system_roots(void)
{
	X509_STORE *store = X509_STORE_new();
	X509_LOOKUP *lookup = store ? X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()) : NULL;
	if (lookup)
		X509_LOOKUP_add_dir(lookup, NULL, X509_FILETYPE_DEFAULT);
	return store;
}

/* Of that name and key, whatever its dates: they are the client's to judge. */
static bool is_issued_by_system_root(X509 *last)
{
	X509_STORE *roots = system_roots();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	bool found = roots && context && X509_STORE_CTX_init(context, roots, NULL, NULL) == 1 &&
		     X509_STORE_CTX_get1_issuer(&issuer, context, last) == 1 &&
		     X509_verify(last, X509_get0_pubkey(issuer)) == 1;
	X509_free(issuer);
	X509_STORE_CTX_free(context);
	X509_STORE_free(roots);
	ERR_clear_error();
	return found;
}

bool certificate_is_complete(const struct certificate *certificate, char *wanted, size_t size)
{
	const unsigned char *at = certificate->chain[certificate->chain_count - 1];
	X509 *last = d2i_X509(NULL, &at, (long)certificate->chain_size[certificate->chain_count - 1]);
	bool complete =
	    last && ((X509_get_extension_flags(last) & EXFLAG_SS) || is_issued_by_system_root(last));
	wanted[0] = '\0';
	if (last && !complete)
		X509_NAME_oneline(X509_get_issuer_name(last), wanted, (int)size);
	X509_free(last);
	return complete;
}
