/*
 * What a CA says of itself (RFC 8555 section 7.1.1): where its resources are and what it can do. What is
 * missing or broken among the optional members counts as not there.
 */
#ifndef ACME_ACME_DIRECTORY_H
#define ACME_ACME_DIRECTORY_H

#include "acme/ca/acme_msg.h"

enum { ACME_PROFILES_MAX = 16, ACME_PROFILE_SIZE = 65, ACME_CAA_IDENTITIES_MAX = 8 };

struct acme_directory {
	char new_nonce[ACME_URL_SIZE];
	char new_account[ACME_URL_SIZE];
	char new_order[ACME_URL_SIZE];
	char key_change[ACME_URL_SIZE]; /* this and the following: empty where the CA has none */
	char revoke_cert[ACME_URL_SIZE];
	char renewal_info[ACME_URL_SIZE]; /* RFC 9773 */
	bool external_account_required;
	size_t caa_identity_count;
	char caa_identities[ACME_CAA_IDENTITIES_MAX][HOSTNAME_MAX + 1];
	size_t profile_count;
	char profiles[ACME_PROFILES_MAX][ACME_PROFILE_SIZE];
};

enum result acme_parse_directory(
    struct acme_directory *out, const char *json, size_t size, struct error *error);
bool acme_directory_has_profile(const struct acme_directory *directory, const char *profile);

#endif
