#include "common/domain/ask_endpoint.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/certificate/certificate.h"
#include "common/settings/settings.h"

enum { CA_FILE_MAX = 1024 * 1024, PEM_MAX = 128 * 1024, TOKEN_MAX = 8192 };

static enum result make_url(struct ask_endpoint *endpoint, const char *given, struct error *error)
{
	CURLU *url = curl_url();
	char *text = NULL;
	CURLUcode code = curl_url_set(url, CURLUPART_URL, given, 0);

	if (code == CURLUE_OK)
		code = curl_url_set(url, CURLUPART_QUERY, "domain=", CURLU_APPENDQUERY);
	if (code == CURLUE_OK)
		code = curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url, CURLUPART_URL, &text, 0);
	if (code == CURLUE_OK)
		endpoint->url = mem_string(text);
	else
		error_set(error, "ask-url %s: %s", given, curl_url_strerror(code));
	curl_free(text);
	curl_url_cleanup(url);
	return code == CURLUE_OK ? R_OK : R_INVALID;
}

static enum result read_ca(struct ask_endpoint *endpoint, const char *path, struct error *error)
{
	if (!path)
		return R_OK;
	enum result result = file_read(path, &endpoint->ca, error);
	if (result == R_OK)
		result = certificate_check_bundle(buf_bytes(&endpoint->ca), buf_size(&endpoint->ca), error);
	if (result != R_OK)
		error_prefix(error, "ask-ca %s", path);
	return result;
}

static enum result make_headers(struct ask_endpoint *endpoint, const char *token, struct error *error)
{
	struct buf line;
	enum result result = R_OK;

	if (!token)
		return R_OK;
	buf_init(&line, TOKEN_MAX);
	if (strpbrk(token, "\r\n") || buf_append_format(&line, "Authorization: Bearer %s", token) != R_OK) {
		error_set(error, "ask-token: is too long or has more than one line");
		result = R_INVALID;
	} else {
		endpoint->headers = curl_slist_append(NULL, buf_string(&line));
	}
	buf_wipe(&line);
	return result;
}

static enum result read_pem(struct buf *out, const char *setting, const char *path, struct error *error)
{
	enum result result = file_read(path, out, error);

	if (result != R_OK)
		error_prefix(error, "%s", setting);
	return result;
}

/* Without it a wrong file would be found out by each question. */
static enum result check_pair(const struct ask_endpoint *endpoint, struct error *error)
{
	BIO *cert_bio =
	    BIO_new_mem_buf(buf_bytes(&endpoint->client_cert), (int)buf_size(&endpoint->client_cert));
	BIO *key_bio =
	    BIO_new_mem_buf(buf_bytes(&endpoint->client_key), (int)buf_size(&endpoint->client_key));
	X509 *cert = PEM_read_bio_X509(cert_bio, NULL, NULL, NULL);
	/* An empty pass phrase: else OpenSSL would ask the terminal for one. */
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)(uintptr_t) "");
	enum result result = R_INVALID;

	if (!cert)
		error_set(error, "ask-client-cert-file: holds no certificate in PEM");
	else if (!key)
		error_set(error, "ask-client-key-file: holds no private key in PEM, or an encrypted one");
	else if (X509_check_private_key(cert, key) != 1)
		error_set(
		    error, "ask-client-key-file: is not the key of the certificate in ask-client-cert-file");
	else
		result = R_OK;
	ERR_clear_error();
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(key_bio);
	BIO_free(cert_bio);
	return result;
}

static enum result read_client(
    struct ask_endpoint *endpoint, const struct ask_endpoint_config *config, struct error *error)
{
	if (!config->client_cert_file != !config->client_key_file) {
		error_set(error, "%s is not set: ask-client-cert-file and ask-client-key-file go together",
		    config->client_cert_file ? "ask-client-key-file" : "ask-client-cert-file");
		return R_INVALID;
	}
	if (!config->client_cert_file)
		return R_OK;
	enum result result =
	    read_pem(&endpoint->client_cert, "ask-client-cert-file", config->client_cert_file, error);
	if (result == R_OK)
		result =
		    read_pem(&endpoint->client_key, "ask-client-key-file", config->client_key_file, error);
	return result == R_OK ? check_pair(endpoint, error) : result;
}

struct ask_endpoint_config ask_endpoint_settings(const struct settings *settings)
{
	return (struct ask_endpoint_config){.url = settings_string(settings, "ask-url"),
	    .ca_file = settings_string(settings, "ask-ca"),
	    .token = settings_string(settings, "ask-token"),
	    .client_cert_file = settings_string(settings, "ask-client-cert-file"),
	    .client_key_file = settings_string(settings, "ask-client-key-file")};
}

enum result ask_endpoint_init(
    struct ask_endpoint *endpoint, const struct ask_endpoint_config *config, struct error *error)
{
	*endpoint = (struct ask_endpoint){.url = NULL};
	buf_init(&endpoint->ca, CA_FILE_MAX);
	buf_init(&endpoint->client_cert, PEM_MAX);
	buf_init(&endpoint->client_key, PEM_MAX);
	enum result result = make_url(endpoint, config->url, error);
	if (result == R_OK)
		result = read_ca(endpoint, config->ca_file, error);
	if (result == R_OK)
		result = read_client(endpoint, config, error);
	if (result == R_OK)
		result = make_headers(endpoint, config->token, error);
	if (result != R_OK)
		ask_endpoint_fini(endpoint);
	return result;
}

void ask_endpoint_fini(struct ask_endpoint *endpoint)
{
	curl_slist_free_all(endpoint->headers);
	buf_fini(&endpoint->ca);
	buf_fini(&endpoint->client_cert);
	buf_wipe(&endpoint->client_key);
	free(endpoint->url);
	*endpoint = (struct ask_endpoint){.url = NULL};
}

/* curl copies the blob's address alone: the endpoint outlives the question. */
static void set_blob(CURL *easy, CURLoption option, const struct buf *bytes)
{
	struct curl_blob blob = {.data = (void *)(uintptr_t)buf_bytes(bytes), .len = buf_size(bytes)};

	curl_easy_setopt(easy, option, &blob);
}

static void set_transport(const struct ask_endpoint *endpoint, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	if (buf_size(&endpoint->ca) > 0) {
		set_blob(easy, CURLOPT_CAINFO_BLOB, &endpoint->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (buf_size(&endpoint->client_cert) > 0) {
		set_blob(easy, CURLOPT_SSLCERT_BLOB, &endpoint->client_cert);
		set_blob(easy, CURLOPT_SSLKEY_BLOB, &endpoint->client_key);
	}
}

void ask_endpoint_prepare(const struct ask_endpoint *endpoint, CURL *easy, const char *name,
    const char *user_agent, long timeout_ms)
{
	char *url = mem_format("%s%s", endpoint->url, name);

	curl_easy_setopt(easy, CURLOPT_URL, url);
	free(url);
	set_transport(endpoint, easy);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, user_agent);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, endpoint->headers);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
}

static enum ask_verdict verdict_of_status(long status)
{
	static const long not_about_the_name[] = {401, 407, 408, 425, 429};

	if (status >= 200 && status < 300)
		return ASK_ALLOWED;
	for (size_t i = 0; i < sizeof not_about_the_name / sizeof *not_about_the_name; i++) {
		if (status == not_about_the_name[i])
			return ASK_UNKNOWN;
	}
	return status >= 400 && status < 500 ? ASK_DENIED : ASK_UNKNOWN;
}

enum ask_verdict ask_endpoint_verdict(CURL *easy, CURLcode code, size_t body_size, long *status)
{
	*status = 0;
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, status);
	if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && body_size > ASK_BODY_MAX))
		return verdict_of_status(*status);
	return ASK_UNKNOWN;
}
