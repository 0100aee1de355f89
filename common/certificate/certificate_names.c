/*
 * Which names a certificate is for: its DNS names alone, since no client has looked at the common name for
 * years.
 */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/mem.h"
#include "common/certificate/certificate.h"

/* `*.example.com` stands for exactly one label (RFC 6125 section 6.4.3). */
static bool san_covers(const char *san, size_t size, const char *name)
{
	if (size > 2 && san[0] == '*' && san[1] == '.') {
		const char *dot = strchr(name, '.');
		return dot && dot != name && strlen(dot + 1) == size - 2 &&
		       !strncasecmp(san + 2, dot + 1, size - 2);
	}
	return strlen(name) == size && !strncasecmp(san, name, size);
}

bool certificate_covers(const X509 *leaf, const char *name)
{
	bool found = false;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *general = sk_GENERAL_NAME_value(names, i);
		if (general->type == GEN_DNS)
			found = san_covers((const char *)ASN1_STRING_get0_data(general->d.dNSName),
			    (size_t)ASN1_STRING_length(general->d.dNSName), name);
	}
	GENERAL_NAMES_free(names);
	return found;
}

static bool has(const struct hostname *names, size_t count, const struct hostname *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i].text, name->text))
			return true;
	return false;
}

size_t certificate_names(const struct certificate *certificate, struct hostname **out)
{
	const unsigned char *at = certificate->chain[0];
	X509 *leaf = d2i_X509(NULL, &at, (long)certificate->chain_size[0]);
	GENERAL_NAMES *names = leaf ? X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL) : NULL;
	int most = names ? sk_GENERAL_NAME_num(names) : 0;
	size_t count = 0;
	*out = mem_alloc_array(
	    (size_t)(most < CERTIFICATE_NAMES_MAX ? most : CERTIFICATE_NAMES_MAX), sizeof **out);
	for (int i = 0; i < most && count < CERTIFICATE_NAMES_MAX; i++) {
		const GENERAL_NAME *general = sk_GENERAL_NAME_value(names, i);
		struct hostname name;
		if (general->type == GEN_DNS &&
		    hostname_parse_either(&name, (const char *)ASN1_STRING_get0_data(general->d.dNSName),
			(size_t)ASN1_STRING_length(general->d.dNSName)) == HOSTNAME_OK &&
		    !has(*out, count, &name))
			(*out)[count++] = name;
	}
	GENERAL_NAMES_free(names);
	X509_free(leaf);
	return count;
}
