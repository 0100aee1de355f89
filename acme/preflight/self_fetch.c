#include "acme/preflight/self_fetch.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/version.h"
#include "common/dns/public_address.h"

enum { BODY_MAX = 512, REDIRECTS_MAX = 5, URL_SIZE = 600 };

struct fetch {
	const struct self_fetch_request *request;
	bool barred;
	size_t size;
	char body[BODY_MAX];
};

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct fetch *fetch = arg;
	if (size * count > BODY_MAX - fetch->size)
		return 0;
	memcpy(fetch->body + fetch->size, bytes, size * count);
	fetch->size += size * count;
	return size * count;
}

static bool may_connect(const struct self_fetch_request *request, const struct curl_sockaddr *to)
{
	const unsigned char *bytes = NULL;
	unsigned port = 0;
	size_t size = 0;
	if (to->family == AF_INET) {
		const struct sockaddr_in *in = (const void *)&to->addr;
		bytes = (const unsigned char *)&in->sin_addr;
		port = ntohs(in->sin_port);
		size = 4;
	} else if (to->family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)&to->addr;
		bytes = in6->sin6_addr.s6_addr;
		port = ntohs(in6->sin6_port);
		size = 16;
	}
	bool good_port = port == 80 || port == 443 || port == (unsigned)request->port;
	return good_port && (request->allow_private || public_address_is(bytes, size));
}

/* The last word about each connection, also those of redirects: whatever a name was resolved to. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct fetch *fetch = arg;
	if (purpose != CURLSOCKTYPE_IPCXN || !may_connect(fetch->request, to)) {
		fetch->barred = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static struct curl_slist *connect_to(const struct self_fetch_request *request)
{
	char text[INET6_ADDRSTRLEN];
	char entry[URL_SIZE];
	bool is_v6 = request->address->size == 16;
	inet_ntop(is_v6 ? AF_INET6 : AF_INET, request->address->bytes, text, sizeof text);
	/* Whichever port: a redirect to https leads to the same address. */
	snprintf(entry, sizeof entry, is_v6 ? "%s::[%s]:" : "%s::%s:", request->name, text);
	return curl_slist_append(NULL, entry);
}

static void set_options(CURL *curl, struct fetch *fetch, struct curl_slist *to)
{
	const struct self_fetch_request *request = fetch->request;
	char url[URL_SIZE];
	snprintf(url, sizeof url, "http://%s:%d/.well-known/acme-challenge/%s", request->name, request->port,
	    request->token);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CONNECT_TO, to);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SELF_FETCH_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)SELF_FETCH_CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "postern-acme/" POSTERN_VERSION " (preflight)");
	/* CAs do not look at certificates here either (RFC 8555 section 8.3 is about http). */
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, fetch);
}

/* RFC 8555 section 8.3: blanks at the end do not count. */
static bool is_expected(const struct fetch *fetch)
{
	size_t size = fetch->size;
	while (size > 0 && isspace((unsigned char)fetch->body[size - 1]))
		size--;
	const char *expected = fetch->request->expected;
	return size == strlen(expected) && memcmp(fetch->body, expected, size) == 0;
}

static enum self_fetch judge(CURL *curl, CURLcode code, const struct fetch *fetch)
{
	long status = 0;
	long os_error = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_OK && status == 200 && is_expected(fetch))
		return SELF_FETCH_US;
	if (status != 0 || os_error == ECONNREFUSED)
		return SELF_FETCH_STRANGER;
	if (fetch->barred)
		return SELF_FETCH_BARRED;
	return code == CURLE_OPERATION_TIMEDOUT || code == CURLE_COULDNT_CONNECT ? SELF_FETCH_NO_ANSWER
										 : SELF_FETCH_STRANGER;
}

enum self_fetch self_fetch(const struct self_fetch_request *request)
{
	struct fetch fetch = {.request = request};
	CURL *curl = curl_easy_init();
	struct curl_slist *to = connect_to(request);
	if (!curl || !to) {
		curl_slist_free_all(to);
		curl_easy_cleanup(curl);
		return SELF_FETCH_NO_ANSWER;
	}
	set_options(curl, &fetch, to);
	CURLcode code = curl_easy_perform(curl);
	enum self_fetch result = judge(curl, code, &fetch);
	curl_easy_cleanup(curl);
	curl_slist_free_all(to);
	return result;
}
