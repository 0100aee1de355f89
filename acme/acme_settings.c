#include "acme/acme_settings.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "acme/acme_msg.h"
#include "acme/challenge_set.h"
#include "acme/issuer.h"

enum { LEASE_MIN_MS = 1000, LEASE_MAX_MS = 60 * 60 * 1000, CONTACT_MAX = 256 };

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
    {"challenge-types", SETTING_STRING, SETTING_REPEAT, "tls-alpn-01,http-01",
	"Challenges to use, the preferred first: tls-alpn-01, http-01. After a failure the next type is "
	"tried.",
	NULL, 0, 0},
    {"jobs", SETTING_INTEGER, 0, "16",
	"Orders driven at once by this process; each takes a thread and a database connection.", NULL, 1,
	ISSUER_JOBS_MAX},
    {"job-lease", SETTING_DURATION, 0, "60s",
	"How long a job is this process's own without a sign of life; after it another instance goes on with "
	"the order. "
	"Prolonged while work goes on; a request to the CA may take 30 s.",
	NULL, LEASE_MIN_MS, LEASE_MAX_MS},
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

static enum result check_directory(const char *url, struct error *error)
{
	if (acme_url_is_safe(url))
		return R_OK;
	error_set(error,
	    "acme-directory: `%.200s` is not an https URL; give the CA's directory as https://host/path",
	    url ? url : "");
	return R_INVALID;
}

/* It is put into a JSON document as it is. */
static enum result check_contact(const char *contact, struct error *error)
{
	if (!contact)
		return R_OK;
	bool is_plain = strlen(contact) < CONTACT_MAX && strchr(contact, '@');
	for (const char *at = contact; *at != '\0'; at++)
		is_plain = is_plain && *at > ' ' && *at < 0x7f && *at != '"' && *at != '\\' && *at != ',';
	if (is_plain)
		return R_OK;
	error_set(
	    error, "acme-contact: `%.200s` is not one mail address; write it as ops@example.com", contact);
	return R_INVALID;
}

/* libcurl would say it with each request, as if the network were at fault. */
static enum result check_ca(const char *path, struct error *error)
{
	if (!path)
		return R_OK;
	X509_STORE *store = X509_STORE_new();
	bool is_good = store && X509_STORE_load_file(store, path) == 1;
	X509_STORE_free(store);
	ERR_clear_error();
	if (is_good)
		return R_OK;
	error_set(error, "acme-ca: %s holds no PEM certificate", path);
	return R_INVALID;
}

enum result acme_settings_check(const struct settings *settings, struct error *error)
{
	enum result result = check_directory(settings_string(settings, "acme-directory"), error);
	if (result == R_OK)
		result = check_ca(settings_string(settings, "acme-ca"), error);
	return result == R_OK ? check_contact(settings_string(settings, "acme-contact"), error) : result;
}
