#include "common/dns/webhook_target.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "common/dns/public_address.h"

/* Below it only what is http's own: nothing else expects requests from strangers there. */
enum { PORT_FREE_FROM = 1024, PORT_HTTPS = 443, PORT_HTTP = 80 };

enum result webhook_rules_load(
    struct webhook_rules *out, const struct settings *settings, struct error *error)
{
	out->http = settings_switch(settings, "webhook-http");
	return ip_ranges_load(&out->allowed, settings, "webhook-allow", error);
}

void webhook_rules_fini(struct webhook_rules *rules)
{
	ip_ranges_fini(&rules->allowed);
}

bool webhook_may_reach(const struct webhook_rules *rules, const unsigned char *bytes, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	if (size != 4 && size != 16)
		return false;
	inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
	return public_address_is(bytes, size) || ip_ranges_contain_text(&rules->allowed, text);
}

static enum result refuse(struct error *error, const char *why)
{
	error_set(error, "%s", why);
	return R_INVALID;
}

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
	curl_free(text);
	return has;
}

static enum result check_scheme(CURLU *url, const struct webhook_rules *rules, struct error *error)
{
	char *scheme = NULL;
	curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
	bool is_https = scheme && strcmp(scheme, "https") == 0;
	bool is_http = scheme && strcmp(scheme, "http") == 0;
	curl_free(scheme);
	if (is_https || (is_http && rules->http))
		return R_OK;
	return refuse(error, "must begin with https://: what is sent is nobody else's business");
}

static enum result read_port(CURLU *url, struct webhook_target *out, struct error *error)
{
	char *text = NULL;
	curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT);
	long port = text ? strtol(text, NULL, 10) : 0;
	curl_free(text);
	out->port = (uint16_t)port;
	if (port == PORT_HTTPS || port == PORT_HTTP || (port >= PORT_FREE_FROM && port <= UINT16_MAX))
		return R_OK;
	return refuse(error, "its port must be 443, 80, or from 1024 to 65535");
}

/* Bytes of an address in any of the spellings that curl takes for one, which it has rewritten. 0: none. */
static size_t read_literal(const char *host, unsigned char bytes[16])
{
	char inner[INET6_ADDRSTRLEN];
	size_t size = strlen(host);
	if (inet_pton(AF_INET, host, bytes) == 1)
		return 4;
	if (host[0] != '[' || size < 2 || size - 2 >= sizeof inner)
		return 0;
	memcpy(inner, host + 1, size - 2);
	inner[size - 2] = '\0';
	return inet_pton(AF_INET6, inner, bytes) == 1 ? 16 : 0;
}

static enum result read_host(
    CURLU *url, const struct webhook_rules *rules, struct webhook_target *out, struct error *error)
{
	unsigned char bytes[16];
	char *host = NULL;
	enum result result = R_OK;
	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return refuse(error, "has no host: write https://hooks.example.com/path");
	size_t size = read_literal(host, bytes);
	enum hostname_problem problem = size ? HOSTNAME_OK : hostname_parse(&out->host, host, strlen(host));
	if (size && !webhook_may_reach(rules, bytes, size))
		result = refuse(error, "its address is not a public one: give one that the internet reaches");
	else if (problem != HOSTNAME_OK)
		result = refuse(
		    error, "its host is no name of the internet: write https://hooks.example.com/path");
	else if (!size)
		curl_url_set(url, CURLUPART_HOST, out->host.text, 0);
	curl_free(host);
	return result;
}

static enum result write_url(CURLU *url, struct webhook_target *out, struct error *error)
{
	char *text = NULL;
	enum result result = R_OK;
	if (curl_url_get(url, CURLUPART_URL, &text, 0) != CURLUE_OK || strlen(text) > WEBHOOK_URL_MAX)
		result = refuse(error, "is too long");
	else
		strcpy(out->url, text);
	curl_free(text);
	return result;
}

static enum result read_parts(
    CURLU *url, const struct webhook_rules *rules, struct webhook_target *out, struct error *error)
{
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return refuse(error, "must not hold a user or a password: the signature says who sends");
	if (has_part(url, CURLUPART_FRAGMENT) || has_part(url, CURLUPART_ZONEID))
		return refuse(error, "must not hold a fragment (#…) or a zone (%…): leave it out");
	enum result result = check_scheme(url, rules, error);
	if (result == R_OK)
		result = read_port(url, out, error);
	if (result == R_OK)
		result = read_host(url, rules, out, error);
	return result == R_OK ? write_url(url, out, error) : result;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

enum result webhook_target_parse(
    struct webhook_target *out, const struct webhook_rules *rules, const char *text, struct error *error)
{
	*out = (struct webhook_target){.port = 0};
	if (strlen(text) > WEBHOOK_URL_MAX || !is_printable(text))
		return refuse(error, "must be at most 2000 printable ASCII characters without spaces");
	CURLU *url = curl_url();
	enum result result = R_INVALID;
	if (!url || curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		refuse(error, "is no URL: write https://hooks.example.com/path");
	else
		result = read_parts(url, rules, out, error);
	curl_url_cleanup(url);
	return result;
}
