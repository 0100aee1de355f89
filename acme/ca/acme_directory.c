#include "acme/ca/acme_directory.h"

#include <stdio.h>
#include <string.h>

#include "acme/ca/acme_json.h"

static void read_optional_url(char out[ACME_URL_SIZE], const json_t *root, const char *member)
{
	if (acme_json_url(out, "directory", member, json_object_get(root, member), NULL) != R_OK)
		out[0] = '\0';
}

static void read_identities(struct acme_directory *out, const json_t *list)
{
	size_t index = 0;
	const json_t *entry = NULL;
	json_array_foreach(list, index, entry)
	{
		const char *text = json_string_value(entry);
		if (text && strlen(text) <= HOSTNAME_MAX && out->caa_identity_count < ACME_CAA_IDENTITIES_MAX)
			snprintf(
			    out->caa_identities[out->caa_identity_count++], HOSTNAME_MAX + 1, "%s", text);
	}
}

static void read_profiles(struct acme_directory *out, json_t *profiles)
{
	const char *name = NULL;
	json_t *description = NULL;
	json_object_foreach(profiles, name, description)
	{
		if (strlen(name) < ACME_PROFILE_SIZE && out->profile_count < ACME_PROFILES_MAX)
			snprintf(out->profiles[out->profile_count++], ACME_PROFILE_SIZE, "%s", name);
	}
}

static void read_meta(struct acme_directory *out, const json_t *meta)
{
	out->external_account_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
	read_identities(out, json_object_get(meta, "caaIdentities"));
	read_profiles(out, json_object_get(meta, "profiles"));
}

enum result acme_parse_directory(
    struct acme_directory *out, const char *json, size_t size, struct error *error)
{
	static const char what[] = "directory";
	memset(out, 0, sizeof *out);
	json_t *root = acme_json_object(what, json, size, error);
	if (!root)
		return R_INVALID;
	enum result result =
	    acme_json_url(out->new_nonce, what, "newNonce", json_object_get(root, "newNonce"), error);
	if (result == R_OK)
		result = acme_json_url(
		    out->new_account, what, "newAccount", json_object_get(root, "newAccount"), error);
	if (result == R_OK)
		result =
		    acme_json_url(out->new_order, what, "newOrder", json_object_get(root, "newOrder"), error);
	read_optional_url(out->key_change, root, "keyChange");
	read_optional_url(out->revoke_cert, root, "revokeCert");
	read_optional_url(out->renewal_info, root, "renewalInfo");
	read_meta(out, json_object_get(root, "meta"));
	json_decref(root);
	return result;
}

bool acme_directory_has_profile(const struct acme_directory *directory, const char *profile)
{
	for (size_t i = 0; i < directory->profile_count; i++)
		if (strcmp(directory->profiles[i], profile) == 0)
			return true;
	return false;
}
