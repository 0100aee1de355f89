#include "acme/ca/acme_msg.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acme/ca/acme_json.h"
#include "common/base/clean_text.h"

static const struct {
	const char *name;
	bool has_token;
} challenge_types[ACME_CHALLENGE_TYPES] = {
    [ACME_TLS_ALPN_01] = {"tls-alpn-01", true},
    [ACME_HTTP_01] = {"http-01", true},
    [ACME_DNS_PERSIST_01] = {"dns-persist-01", false},
    [ACME_DNS_01] = {"dns-01", true},
};

static const char *const status_names[] = {
    [ACME_PENDING] = "pending",
    [ACME_READY] = "ready",
    [ACME_PROCESSING] = "processing",
    [ACME_VALID] = "valid",
    [ACME_INVALID] = "invalid",
    [ACME_DEACTIVATED] = "deactivated",
    [ACME_EXPIRED] = "expired",
    [ACME_REVOKED] = "revoked",
};

const char *acme_challenge_name(enum acme_challenge_type type)
{
	return challenge_types[type].name;
}

json_t *acme_json_object(const char *what, const char *json, size_t size, struct error *error)
{
	json_error_t reason;
	json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &reason);
	if (!root) {
		error_set(error, "%s: not JSON: %s", what, reason.text);
		return NULL;
	}
	if (json_is_object(root))
		return root;
	error_set(error, "%s: not a JSON object", what);
	json_decref(root);
	return NULL;
}

bool acme_url_is_safe(const char *url)
{
	if (!url || strlen(url) >= ACME_URL_SIZE || strncmp(url, "https://", 8) != 0 || url[8] == '\0')
		return false;
	for (const char *at = url; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || *at == '"' || *at == '\\')
			return false;
	return true;
}

enum result acme_json_url(
    char out[ACME_URL_SIZE], const char *what, const char *member, const json_t *value, struct error *error)
{
	const char *url = json_string_value(value);
	if (!acme_url_is_safe(url)) {
		error_set(
		    error, "%s: `%s` is %s", what, member, value ? "not a usable https URL" : "missing");
		return R_INVALID;
	}
	snprintf(out, ACME_URL_SIZE, "%s", url);
	return R_OK;
}

static enum result read_status(
    enum acme_status *out, const char *what, const json_t *object, struct error *error)
{
	const char *text = json_string_value(json_object_get(object, "status"));
	for (size_t i = 0; text && i < sizeof status_names / sizeof *status_names; i++) {
		if (strcmp(text, status_names[i]) != 0)
			continue;
		*out = (enum acme_status)i;
		return R_OK;
	}
	error_set(error, "%s: `status` is %s", what, text ? "one that is not known" : "missing");
	return R_INVALID;
}

static void read_words(struct acme_problem *out, const json_t *object)
{
	static const char prefix[] = "urn:ietf:params:acme:error:";
	memset(out, 0, sizeof *out);
	const char *type = json_string_value(json_object_get(object, "type"));
	const char *detail = json_string_value(json_object_get(object, "detail"));
	if (type && strncmp(type, prefix, sizeof prefix - 1) == 0)
		clean_text(out->type, sizeof out->type, type + sizeof prefix - 1);
	if (detail)
		clean_text(out->detail, sizeof out->detail, detail);
}

/* One that is another name's says nothing about ours. */
static const json_t *find_subproblem(const json_t *list, const char *name, bool is_compound)
{
	size_t index = 0;
	const json_t *entry = NULL;
	const json_t *anonymous = NULL;
	json_array_foreach(list, index, entry)
	{
		const json_t *identifier = json_object_get(entry, "identifier");
		const char *value = json_string_value(json_object_get(identifier, "value"));
		if (value && name && strcasecmp(value, name) == 0)
			return entry;
		if (!anonymous && json_is_object(entry) && (!value || !name))
			anonymous = entry;
	}
	return is_compound ? anonymous : NULL;
}

static void read_problem(struct acme_problem *out, const json_t *object, const char *name)
{
	read_words(out, object);
	const json_t *sub =
	    find_subproblem(json_object_get(object, "subproblems"), name, strcmp(out->type, "compound") == 0);
	if (sub)
		read_words(out, sub);
}

void acme_parse_problem(struct acme_problem *out, const char *json, size_t size, const char *name)
{
	memset(out, 0, sizeof *out);
	json_t *root = acme_json_object("problem", json, size, NULL);
	if (root)
		read_problem(out, root, name);
	json_decref(root);
}

static enum result read_authorizations(struct acme_order *out, const json_t *list, struct error *error)
{
	size_t count = json_array_size(list);
	if (count > ACME_AUTHORIZATIONS_MAX) {
		error_set(error, "order: %zu authorizations for one name", count);
		return R_INVALID;
	}
	for (size_t i = 0; i < count; i++) {
		enum result result = acme_json_url(
		    out->authorizations[i], "order", "authorizations", json_array_get(list, i), error);
		if (result != R_OK)
			return result;
	}
	out->authorization_count = count;
	return R_OK;
}

enum result acme_parse_order(struct acme_order *out, const char *json, size_t size, struct error *error)
{
	memset(out, 0, sizeof *out);
	json_t *root = acme_json_object("order", json, size, error);
	if (!root)
		return R_INVALID;
	enum result result = read_status(&out->status, "order", root, error);
	if (result == R_OK)
		result = read_authorizations(out, json_object_get(root, "authorizations"), error);
	if (result == R_OK)
		result = acme_json_url(
		    out->finalize, "order", "finalize", json_object_get(root, "finalize"), error);
	const json_t *certificate = json_object_get(root, "certificate");
	if (result == R_OK && certificate)
		result = acme_json_url(out->certificate, "order", "certificate", certificate, error);
	if (result == R_OK)
		read_problem(&out->problem, json_object_get(root, "error"), NULL);
	json_decref(root);
	return result;
}

/* False leaves the challenge out: a type that we do not speak, or one that is broken, must not spoil the
 * others. */
static bool read_challenge(struct acme_challenge *out, const json_t *object)
{
	memset(out, 0, sizeof *out);
	const char *type = json_string_value(json_object_get(object, "type"));
	const char *token = json_string_value(json_object_get(object, "token"));
	int known = 0;
	while (known < ACME_CHALLENGE_TYPES && (!type || strcmp(type, challenge_types[known].name) != 0))
		known++;
	if (known == ACME_CHALLENGE_TYPES || (challenge_types[known].has_token && !base64url_is_token(token)))
		return false;
	if (read_status(&out->status, "challenge", object, NULL) != R_OK ||
	    acme_json_url(out->url, "challenge", "url", json_object_get(object, "url"), NULL) != R_OK)
		return false;
	out->type = (enum acme_challenge_type)known;
	if (challenge_types[known].has_token)
		snprintf(out->token, sizeof out->token, "%s", token);
	read_problem(&out->problem, json_object_get(object, "error"), NULL);
	return true;
}

/* draft-ietf-acme-dns-persist section 3.1: none, or more than ten, and the challenge is malformed. */
static bool read_issuer_names(struct acme_issuer_names *out, const json_t *list)
{
	memset(out, 0, sizeof *out);
	if (json_array_size(list) == 0 || json_array_size(list) > ACME_ISSUER_NAMES_MAX)
		return false;
	size_t index = 0;
	const json_t *entry = NULL;
	json_array_foreach(list, index, entry)
	{
		const char *name = json_string_value(entry);
		if (!name || name[0] == '\0' || strlen(name) > HOSTNAME_MAX)
			return false;
		snprintf(out->list[out->count++], sizeof out->list[0], "%s", name);
	}
	return true;
}

static void read_challenges(struct acme_authorization *out, const json_t *list)
{
	size_t index = 0;
	const json_t *entry = NULL;
	json_array_foreach(list, index, entry)
	{
		if (out->challenge_count == ACME_CHALLENGES_MAX)
			return;
		struct acme_challenge *challenge = &out->challenges[out->challenge_count];
		if (!read_challenge(challenge, entry))
			continue;
		if (challenge->type == ACME_DNS_PERSIST_01 &&
		    !read_issuer_names(&out->issuer_names, json_object_get(entry, "issuer-domain-names")))
			continue;
		size_t seen = 0;
		while (strcmp(out->challenges[seen].url, challenge->url) != 0)
			seen++;
		if (seen == out->challenge_count)
			out->challenge_count++;
	}
}

enum result acme_parse_authorization(
    struct acme_authorization *out, const char *json, size_t size, struct error *error)
{
	memset(out, 0, sizeof *out);
	json_t *root = acme_json_object("authorization", json, size, error);
	if (!root)
		return R_INVALID;
	const json_t *identifier = json_object_get(root, "identifier");
	const char *type = json_string_value(json_object_get(identifier, "type"));
	const char *name = json_string_value(json_object_get(identifier, "value"));
	enum result result = read_status(&out->status, "authorization", root, error);
	if (result == R_OK && (!type || strcmp(type, "dns") != 0 || !name || strlen(name) > HOSTNAME_MAX)) {
		error_set(error, "authorization: `identifier` is no DNS name");
		result = R_INVALID;
	}
	if (result == R_OK) {
		snprintf(out->name, sizeof out->name, "%s", name);
		out->wildcard = json_is_true(json_object_get(root, "wildcard"));
		read_challenges(out, json_object_get(root, "challenges"));
	}
	json_decref(root);
	return result;
}
