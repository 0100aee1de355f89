#include "acme/ca/acme_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/ca/acme_header.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

enum { HEADERS_MAX = 64 * 1024, ANSWER_MS = 10 * 1000 };

struct acme_http {
	CURL *curl;
	struct curl_slist *post_headers;
	const char *ca_file;
	const char *user_agent;
	const atomic_bool *abandon;
	char reason[CURL_ERROR_SIZE];
};

struct exchange {
	const char *unsent;
	size_t unsent_size;
	size_t header_bytes;
	bool over_limit;
	bool too_slow;
	const char *url;
	int64_t answer_ms; /* when the answer began, monotonic; 0: not yet */
	struct acme_http *http;
	struct acme_response *response;
};

enum result acme_http_global_init(struct error *error)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		return R_OK;
	error_set(error, "libcurl cannot start");
	return R_ERROR;
}

void acme_response_init(struct acme_response *response)
{
	*response = (struct acme_response){.retry_after = -1};
	buf_init(&response->body, ACME_BODY_MAX);
}

void acme_response_fini(struct acme_response *response)
{
	buf_fini(&response->body);
}

struct acme_http *acme_http_new(const char *ca_file, const char *user_agent, const atomic_bool *abandon)
{
	struct acme_http *http = mem_alloc(sizeof *http);
	http->curl = curl_easy_init();
	/* The empty Expect keeps libcurl from waiting for a 100 that CAs do not send. */
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/jose+json");
	http->post_headers = curl_slist_append(headers, "Expect:");
	if (!http->curl || !http->post_headers) {
		fprintf(stderr, "postern-acme: out of memory\n");
		abort();
	}
	http->ca_file = ca_file;
	http->user_agent = user_agent;
	http->abandon = abandon;
	return http;
}

void acme_http_free(struct acme_http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	curl_slist_free_all(http->post_headers);
	free(http);
}

static size_t on_read(char *space, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	size_t taken = size * count < exchange->unsent_size ? size * count : exchange->unsent_size;
	memcpy(space, exchange->unsent, taken);
	exchange->unsent += taken;
	exchange->unsent_size -= taken;
	return taken;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	if (buf_append(&exchange->response->body, bytes, size * count) == R_OK)
		return size * count;
	exchange->over_limit = true;
	return 0;
}

/* Called with one line at a time. */
static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
	struct exchange *exchange = arg;
	size_t length = size * count;
	exchange->header_bytes += length;
	if (exchange->answer_ms == 0)
		exchange->answer_ms = clock_monotonic_ms();
	if (exchange->header_bytes > HEADERS_MAX) {
		exchange->over_limit = true;
		return 0;
	}
	acme_header_read(exchange->response, exchange->url, bytes, length, clock_wall_ms() / 1000);
	return length;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	struct exchange *exchange = arg;
	const struct acme_http *http = exchange->http;
	exchange->too_slow =
	    exchange->answer_ms > 0 && clock_monotonic_ms() - exchange->answer_ms > ANSWER_MS;
	return exchange->too_slow || (http->abandon && atomic_load(http->abandon)) ? 1 : 0;
}

static void set_limits(struct acme_http *http)
{
	CURL *curl = http->curl;
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	/* No least speed beside it: a CA that thinks for 20 s sends nothing meanwhile, and to hang up on its
	 * newOrder would cost the order. */
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 30000L);
	/* A connection that idled longer is likelier to be closed under our hands than worth a handshake. */
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, 30L);
	curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 2L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, http->user_agent);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->reason);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	if (http->ca_file)
		curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
}

/* The body goes through a read callback without a seek callback: so libcurl cannot repeat a POST on a fresh
 * connection when a kept one dies, and no JWS, whose nonce is spent, is ever sent twice. */
static void set_request(struct acme_http *http, enum acme_method method, const char *url,
    const struct buf *body, struct exchange *exchange)
{
	CURL *curl = http->curl;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
	if (method == ACME_HEAD)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (method != ACME_POST)
		return;
	exchange->unsent = buf_bytes(body);
	exchange->unsent_size = buf_size(body);
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)buf_size(body));
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, http->post_headers);
}

/* A server cannot have acted on a POST of which not a byte of the body was taken. */
static enum result judge(CURLcode code, const struct exchange *exchange, const struct buf *body)
{
	if (exchange->over_limit)
		return R_INVALID;
	if (code == CURLE_OK)
		return R_OK;
	return body && exchange->unsent != buf_bytes(body) ? R_TIMEOUT : R_DOWN;
}

enum result acme_http_exchange(struct acme_http *http, enum acme_method method, const char *url,
    const struct buf *body, size_t body_max, struct acme_response *response, struct error *error)
{
	struct exchange exchange = {.response = response, .url = url, .http = http};
	acme_response_fini(response);
	acme_response_init(response);
	buf_init(&response->body, body_max);

	curl_easy_reset(http->curl);
	http->reason[0] = '\0';
	set_limits(http);
	set_request(http, method, url, body, &exchange);
	CURLcode code = curl_easy_perform(http->curl);
	long status = 0;
	curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
	response->status = (int)status;

	enum result result = judge(code, &exchange, body);
	if (result == R_INVALID)
		error_set(error, "%s: the answer is too long", url);
	else if (exchange.too_slow)
		error_set(error, "%s: the answer was not whole within %d s", url, ANSWER_MS / 1000);
	else if (result != R_OK)
		error_set(error, "%s: %s", url, http->reason[0] ? http->reason : curl_easy_strerror(code));
	return result;
}
