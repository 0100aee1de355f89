#include "acme/acme_settings.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#include "acme/ca/acme_msg.h"
#include "acme/issuer.h"
#include "acme/order/csr.h"
#include "acme/proof/challenge_set.h"
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/dns/dns_settings.h"
#include "common/dns/our_place.h"

enum {
	LEASE_MIN_MS = 1000,
	LEASE_MAX_MS = 60 * 60 * 1000,
	CONTACT_MAX = 256,
	EAB_KID_MAX = 256,
	EAB_FILE_MAX = 4096,
	NAME_MAX_SIZE = 40,
	OFF_AFTER_MIN_MS = 60 * 60 * 1000,
};
#define OFF_AFTER_MAX_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

static const struct setting table[] = {
    SETTINGS_OF_EVERY_DAEMON("127.0.0.1:2020"),
    {"seal-key-file", SETTING_FILE, SETTING_REQUIRED, NULL,
	"Key file of `postern seal-key new`: opens and seals the private keys in the database.", NULL, 0, 0},
    {"acme-directory", SETTING_URL, 0, "https://acme-v02.api.letsencrypt.org/directory",
	"Directory URL of the CA (RFC 8555). The account, one for all instances, belongs to it.", NULL, 0, 0},
    {"acme-ca", SETTING_FILE, 0, NULL,
	"PEM file with the certificates to trust when speaking to the CA, for a private one. Default: the "
	"system's.",
	NULL, 0, 0},
    {"acme-contact", SETTING_STRING, 0, NULL,
	"Mail address that is given to the CA with the account. Default: none.", NULL, 0, 0},
    {"acme-eab-kid", SETTING_STRING, 0, NULL,
	"Key identifier of the external account that the CA gave you (EAB, RFC 8555 section 7.3.4). Default: "
	"none.",
	NULL, 0, 0},
    {"acme-eab-key-file", SETTING_FILE, 0, NULL,
	"File with the external account's HMAC key, in base64url as the CA gave it.", NULL, 0, 0},
    {"acme-profile", SETTING_STRING, 0, NULL,
	"Certificate profile to ask for where the CA offers it, for example `shortlived`. Default: the CA's "
	"own.",
	NULL, 0, 0},
    {"acme-profile-required", SETTING_SWITCH, 0, "off",
	"Issue nothing where the CA does not offer acme-profile.", NULL, 0, 0},
    {"preferred-chain", SETTING_STRING, 0, NULL,
	"Where the CA offers several chains, the one whose topmost certificate was issued by this common "
	"name. "
	"Default, and where it is not offered: the CA's first.",
	NULL, 0, 0},
    {"certificate-key", SETTING_CHOICE, 0, "p256", "Type of the certificates' keys.", CSR_KEY_CHOICES, 0, 0},
    {"acme-fallback-directory", SETTING_URL, 0, NULL,
	"Directory URL of a second CA, for names that the first one cannot or will not issue for: its "
	"trouble "
	"persists, its limit ends far off, a CAA record forbids it. Default: none.",
	NULL, 0, 0},
    {"acme-fallback-ca", SETTING_FILE, 0, NULL, "As acme-ca, for the second CA.", NULL, 0, 0},
    {"acme-fallback-contact", SETTING_STRING, 0, NULL, "As acme-contact, for the second CA.", NULL, 0, 0},
    {"acme-fallback-eab-kid", SETTING_STRING, 0, NULL, "As acme-eab-kid, for the second CA.", NULL, 0, 0},
    {"acme-fallback-eab-key-file", SETTING_FILE, 0, NULL, "As acme-eab-key-file, for the second CA.", NULL, 0,
	0},
    {"acme-fallback-profile", SETTING_STRING, 0, NULL, "As acme-profile, for the second CA; never required.",
	NULL, 0, 0},
    {"challenge-types", SETTING_STRING, SETTING_REPEAT, "dns-persist-01,dns-01,tls-alpn-01,http-01",
	"Challenges to use, the preferred first: dns-persist-01 (where the CA offers it and the customer's "
	"record is seen), dns-01 (where _acme-challenge.<name> leads into dns-zone), tls-alpn-01, http-01. "
	"After a failure the next type is tried.",
	NULL, 0, 0},
    {"preflight", SETTING_SWITCH, 0, "on",
	"Look before each order whether it can succeed: does the name lead here (saas-root, cname-target, "
	"apex-addresses), do its CAA records and DNSSEC allow it? If not, no order is placed, and the reason "
	"is "
	"kept for the customer. Where DNS cannot be asked, orders are placed without.",
	NULL, 0, 0},
    {"preflight-port", SETTING_INTEGER, 0, "80",
	"Port at which the CA asks for http-01 challenges. A name that leads elsewhere (a CDN) is looked at "
	"by a "
	"request to this port.",
	NULL, 1, 65535},
    {"preflight-allow-private", SETTING_SWITCH, 0, "off",
	"Let that request go to private, loopback and link-local addresses too: for a private CA inside a "
	"network.",
	NULL, 0, 0},
    SETTINGS_OF_THE_RESOLVER,
    SETTINGS_OF_OUR_PLACE(0),
    {"dns-zone", SETTING_STRING, 0, NULL,
	"The verifiers' dns-zone, lower case: names whose _acme-challenge leads into it are validated by "
	"dns-01. "
	"Default: none are.",
	NULL, 0, 0},
    {"ask-url", SETTING_URL, 0, NULL,
	"Asked before a renewal whether the name may still have a certificate: GET ask-url?domain=NAME. An "
	"answer "
	"that is a definite no stops it, an endpoint that gives none does not. Default: nobody is asked.",
	NULL, 0, 0},
    {"ask-ca", SETTING_FILE, 0, NULL,
	"PEM file of the CAs that may vouch for an https ask-url. Default: the system's.", NULL, 0, 0},
    {"ask-client-cert-file", SETTING_FILE, 0, NULL,
	"PEM certificate, with what leads to its CA, that is shown to an https ask-url. Default: none.", NULL,
	0, 0},
    {"ask-client-key-file", SETTING_FILE, 0, NULL, "PEM private key of ask-client-cert-file, not encrypted.",
	NULL, 0, 0},
    {"ask-token", SETTING_STRING, SETTING_SECRET, NULL,
	"Bearer token sent with each ask. Also ask-token-file.", NULL, 0, 0},
    {"ask-token-file", SETTING_FILE, 0, NULL, "File that holds the value of `ask-token`.", NULL, 0, 0},
    {"budget-orders", SETTING_STRING, 0, NULL,
	"New orders that the CA of acme-directory allows the account, as 300/3h; 0: no ceiling. Default: "
	"what Let's Encrypt "
	"allows "
	"(300/3h) at its directory, none elsewhere.",
	NULL, 0, 0},
    {"budget-domain", SETTING_STRING, 0, NULL,
	"Certificates for names of one registrable domain. Default: 45/7d at Let's Encrypt, whose own "
	"ceiling of "
	"50/7d all its accounts share; none elsewhere.",
	NULL, 0, 0},
    {"budget-exact", SETTING_STRING, 0, NULL,
	"Certificates for exactly the same name. Default: 5/7d at Let's Encrypt, none elsewhere.", NULL, 0,
	0},
    {"budget-failures", SETTING_STRING, 0, NULL,
	"Failed validations of a name. Default: 5/1h at Let's Encrypt, none elsewhere.", NULL, 0, 0},
    {"budget-accounts", SETTING_STRING, 0, NULL,
	"New accounts. Default: 10/3h at Let's Encrypt, none elsewhere.", NULL, 0, 0},
    {"budget-requests", SETTING_STRING, 0, NULL,
	"Requests of any kind that this process sends, in a second: the CA's front counts them by address. "
	"Default: 200/1s at Let's Encrypt (which allows 250), none elsewhere.",
	NULL, 0, 0},
    {"acme-fallback-budget-orders", SETTING_STRING, 0, NULL, "As budget-orders, for the second CA.", NULL, 0,
	0},
    {"acme-fallback-budget-domain", SETTING_STRING, 0, NULL, "As budget-domain, for the second CA.", NULL, 0,
	0},
    {"acme-fallback-budget-exact", SETTING_STRING, 0, NULL, "As budget-exact, for the second CA.", NULL, 0,
	0},
    {"acme-fallback-budget-failures", SETTING_STRING, 0, NULL, "As budget-failures, for the second CA.", NULL,
	0, 0},
    {"acme-fallback-budget-accounts", SETTING_STRING, 0, NULL, "As budget-accounts, for the second CA.", NULL,
	0, 0},
    {"acme-fallback-budget-requests", SETTING_STRING, 0, NULL, "As budget-requests, for the second CA.", NULL,
	0, 0},
    {"jobs", SETTING_INTEGER, 0, "16",
	"Orders driven at once by this process; each takes a thread and a database connection.", NULL, 1,
	ISSUER_JOBS_MAX},
    {"job-lease", SETTING_DURATION, 0, "60s",
	"How long a job is this process's own without a sign of life; after it another instance goes on with "
	"the order. "
	"Prolonged while work goes on; a request to the CA may take 30 s.",
	NULL, LEASE_MIN_MS, LEASE_MAX_MS},
    {"webhook-deliveries", SETTING_INTEGER, 0, "32",
	"Webhooks to which this process sends at a time, a message each. 0: it sends to none.", NULL, 0,
	COURIER_ENDPOINTS_MAX},
    SETTINGS_OF_WEBHOOK_RULES,
    {"webhook-ca", SETTING_FILE, 0, NULL,
	"PEM file of CAs that may vouch for webhooks' endpoints besides the system's.", NULL, 0, 0},
    {"webhook-off-after", SETTING_DURATION, 0, "5d",
	"A webhook that has taken nothing for so long, in ten tries at least, is switched off.", NULL,
	OFF_AFTER_MIN_MS, OFF_AFTER_MAX_MS},
};

const struct settings_program acme_program = {
    .name = "postern-acme",
    .summary = "obtains and renews the certificates of Postern's edges from an ACME CA",
    .table = table,
    .count = sizeof table / sizeof *table,
    .description =
	"Any number of instances may run: they share the work through PostgreSQL, where each issuance job is "
	"a lease "
	"with a fence, and one account at the CA. A job whose owner dies is gone on with by another "
	"instance, at the "
	"step that was reached.\n\n"
	"It needs to reach PostgreSQL and the CA, and nothing needs to reach it but who reads its metrics.",
};

static enum result check_directory(const char *name, const char *url, struct error *error)
{
	if (acme_url_is_safe(url))
		return R_OK;
	error_set(error, "%s: `%.200s` is not an https URL; give the CA's directory as https://host/path",
	    name, url ? url : "");
	return R_INVALID;
}

/* What goes into a JSON document as it is. */
static bool is_plain(const char *text, size_t max)
{
	bool plain = text[0] != '\0' && strlen(text) < max;
	for (const char *at = text; *at != '\0'; at++)
		plain = plain && *at > ' ' && *at < 0x7f && *at != '"' && *at != '\\';
	return plain;
}

static enum result check_contact(const char *name, const char *contact, struct error *error)
{
	if (!contact || (is_plain(contact, CONTACT_MAX) && strchr(contact, '@') && !strchr(contact, ',')))
		return R_OK;
	error_set(error, "%s: `%.200s` is not one mail address; write it as ops@example.com", name, contact);
	return R_INVALID;
}

static enum result check_plain(
    const char *name, const char *value, size_t max, const char *what, struct error *error)
{
	if (!value || is_plain(value, max))
		return R_OK;
	error_set(error,
	    "%s: `%.100s` is not %s: printable characters without blanks and quotes, fewer than %zu", name,
	    value, what, max);
	return R_INVALID;
}

/* libcurl would say it with each request, as if the network were at fault. */
static enum result check_ca(const char *name, const char *path, struct error *error)
{
	if (!path)
		return R_OK;
	X509_STORE *store = X509_STORE_new();
	bool is_good = store && X509_STORE_load_file(store, path) == 1;
	X509_STORE_free(store);
	ERR_clear_error();
	if (is_good)
		return R_OK;
	error_set(error, "%s: %s holds no PEM certificate", name, path);
	return R_INVALID;
}

static enum result read_ceilings(
    const struct settings *settings, const char *prefix, struct ca_config *out, struct error *error)
{
	struct ceilings_settings said = {.is_set = {false}};
	for (int at = 0; at < BUDGET_CEILINGS; at++) {
		char name[NAME_MAX_SIZE];
		snprintf(name, sizeof name, "%s-%s", prefix, ceiling_name((enum budget_ceiling)at));
		const char *text = settings_string(settings, name);
		said.is_set[at] = text != NULL;
		if (text && ceiling_parse(&said.rules[at], text, error) != R_OK) {
			error_prefix(error, "%s", name);
			return R_INVALID;
		}
	}
	ceilings_of_directory(&out->ceilings, &said, out->directory_url);
	return R_OK;
}

/* CAs hand the key out with padding or without. */
static enum result read_external_key(
    struct jws_external *out, const char *name, const char *path, struct error *error)
{
	struct buf text;
	struct buf key;
	buf_init(&text, EAB_FILE_MAX);
	buf_init(&key, EAB_FILE_MAX);
	enum result result = file_read(path, &text, error);
	size_t size = strcspn(buf_string(&text), "= \t\r\n");
	const char *rest = buf_string(&text) + size;
	if (result == R_OK && (size == 0 || rest[strspn(rest, "= \t\r\n")] != '\0' ||
				  base64url_decode(&key, buf_string(&text), size) != R_OK)) {
		error_set(error, "%s: %s does not hold one key in base64url", name, path);
		result = R_INVALID;
	}
	if (result == R_OK) {
		out->key = mem_copy(buf_bytes(&key), buf_size(&key));
		out->key_size = buf_size(&key);
	}
	buf_wipe(&key);
	buf_wipe(&text);
	return result;
}

struct names {
	char directory[NAME_MAX_SIZE], ca[NAME_MAX_SIZE], contact[NAME_MAX_SIZE], kid[NAME_MAX_SIZE],
	    key[NAME_MAX_SIZE], profile[NAME_MAX_SIZE];
};

static struct names names_of(const char *prefix)
{
	struct names names;
	snprintf(names.directory, NAME_MAX_SIZE, "%s-directory", prefix);
	snprintf(names.ca, NAME_MAX_SIZE, "%s-ca", prefix);
	snprintf(names.contact, NAME_MAX_SIZE, "%s-contact", prefix);
	snprintf(names.kid, NAME_MAX_SIZE, "%s-eab-kid", prefix);
	snprintf(names.key, NAME_MAX_SIZE, "%s-eab-key-file", prefix);
	snprintf(names.profile, NAME_MAX_SIZE, "%s-profile", prefix);
	return names;
}

static enum result read_external(
    const struct settings *settings, const struct names *names, struct jws_external *out, struct error *error)
{
	const char *kid = settings_string(settings, names->kid);
	const char *path = settings_string(settings, names->key);
	out->kid = kid;
	if (!kid && !path)
		return R_OK;
	if (!kid || !path) {
		error_set(error, "%s and %s belong together: set both or none", names->kid, names->key);
		return R_INVALID;
	}
	enum result result = check_plain(names->kid, kid, EAB_KID_MAX, "a key identifier", error);
	return result == R_OK ? read_external_key(out, names->key, path, error) : result;
}

enum result acme_settings_ca(
    const struct settings *settings, const char *prefix, struct ca_config *out, struct error *error)
{
	const struct names names = names_of(prefix);
	*out = (struct ca_config){.prefix = prefix,
	    .directory_url = settings_string(settings, names.directory),
	    .ca_file = settings_string(settings, names.ca),
	    .contact = settings_string(settings, names.contact),
	    .profile = settings_string(settings, names.profile),
	    .preferred_chain = settings_string(settings, "preferred-chain")};
	bool is_fallback = strcmp(prefix, "acme-fallback") == 0;
	if (is_fallback && !out->directory_url)
		return R_NONE;
	out->profile_required = !is_fallback && settings_switch(settings, "acme-profile-required");
	enum result result = check_directory(names.directory, out->directory_url, error);
	if (result == R_OK)
		result = check_ca(names.ca, out->ca_file, error);
	if (result == R_OK)
		result = check_contact(names.contact, out->contact, error);
	if (result == R_OK)
		result = check_plain(
		    names.profile, out->profile, ACME_PROFILE_SIZE, "the name of a profile", error);
	if (result == R_OK && out->profile_required && !out->profile) {
		error_set(error, "acme-profile-required is on, but acme-profile names none");
		result = R_INVALID;
	}
	if (result == R_OK)
		result = read_ceilings(settings, is_fallback ? "acme-fallback-budget" : "budget", out, error);
	return result == R_OK ? read_external(settings, &names, &out->external, error) : result;
}

enum result acme_settings_webhooks(
    const struct settings *settings, struct courier_config *out, struct error *error)
{
	*out = (struct courier_config){.database = settings_string(settings, "database"),
	    .ca_file = settings_string(settings, "webhook-ca"),
	    .endpoints = (int)settings_number(settings, "webhook-deliveries"),
	    .patience_ms = settings_number(settings, "webhook-off-after")};
	enum result result = check_ca("webhook-ca", out->ca_file, error);
	return result == R_OK ? webhook_rules_load(&out->rules, settings, error) : result;
}
