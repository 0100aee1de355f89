#include "common/ask_endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate.h"
#include "common/file.h"
#include "common/mem.h"

enum { CA_FILE_MAX = 1024 * 1024, TOKEN_MAX = 8192 };

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

enum result ask_endpoint_init(struct ask_endpoint *endpoint, const char *url, const char *ca_file,
    const char *token, struct error *error)
{
	*endpoint = (struct ask_endpoint){.url = NULL};
	buf_init(&endpoint->ca, CA_FILE_MAX);
	enum result result = make_url(endpoint, url, error);
	if (result == R_OK)
		result = read_ca(endpoint, ca_file, error);
	if (result == R_OK)
		result = make_headers(endpoint, token, error);
	if (result != R_OK)
		ask_endpoint_fini(endpoint);
	return result;
}

void ask_endpoint_fini(struct ask_endpoint *endpoint)
{
	curl_slist_free_all(endpoint->headers);
	buf_fini(&endpoint->ca);
	free(endpoint->url);
	*endpoint = (struct ask_endpoint){.url = NULL};
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
		struct curl_blob ca = {
		    .data = (void *)(uintptr_t)buf_bytes(&endpoint->ca), .len = buf_size(&endpoint->ca)};

		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
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
