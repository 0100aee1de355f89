#include "common/domain/domain_options.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/domain/passthrough.h"
#include "common/net/hostname.h"

enum { UPSTREAM_MAX = 512, HSTS_MAX = 64 };
/* Ten years: what is more is a slip of the pen, and a browser would keep it. */
static const json_int_t hsts_age_max = 10 * 365 * 24 * 3600;
static const json_int_t body_max = INT64_C(1) << 50;

static void set_part(struct domain_options *options, enum domain_part_kind kind, struct domain_part part)
{
	if (!options->parts)
		options->parts = mem_alloc_array(DOMAIN_PARTS, sizeof *options->parts);
	free((void *)(uintptr_t)options->parts[kind].bytes);
	options->parts[kind] = part;
}

static void set_string(const char **out, const char *text)
{
	free((char *)(uintptr_t)*out);
	*out = mem_string(text);
}

static enum result wrong(struct error *error, const char *mend)
{
	error_set(error, "%s", mend);
	return R_INVALID;
}

/* ---- upstream */

/* Empty where the URL has no such part. */
static bool part_is(CURLU *url, CURLUPart part, const char *first, const char *second)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, part, &text, 0);
	const char *value = code == CURLUE_OK ? text : "";
	bool is = strcmp(value, first) == 0 || strcmp(value, second) == 0;

	curl_free(text);
	return is;
}

/* http(s)://host[:port] or h2c, and nothing behind it: the path is the client's. */
static bool is_origin(const char *text)
{
	CURLU *url = curl_url();
	const unsigned flags = CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME;
	bool is_h2c = strncmp(text, "h2c://", 6) == 0;
	bool ok = url && strlen(text) <= UPSTREAM_MAX &&
		  curl_url_set(url, CURLUPART_URL, text, flags) == CURLUE_OK &&
		  (is_h2c || part_is(url, CURLUPART_SCHEME, "http", "https")) &&
		  !part_is(url, CURLUPART_PORT, "0", "0") && part_is(url, CURLUPART_PATH, "/", "") &&
		  part_is(url, CURLUPART_QUERY, "", "") && part_is(url, CURLUPART_FRAGMENT, "", "");

	curl_url_cleanup(url);
	return ok;
}

static enum result read_upstream(struct domain_options *out, const json_t *value, struct error *error)
{
	const char *text = json_string_value(value);

	if (!text || !is_origin(text))
		return wrong(error, "it is no origin: write http://host:port, https://host:port or "
				    "h2c://host:port, without a path");
	set_string(&out->upstream, text);
	return R_OK;
}

/* `plain` belongs to a port, not to a name. */
static enum result read_passthrough(struct domain_options *out, const json_t *value, struct error *error)
{
	const char *text = json_string_value(value);
	struct passthrough servers;

	if (!text)
		return wrong(error, "it is text: servers and options, such as \"10.0.0.1:443 check=tls\"");
	enum result result = passthrough_parse(&servers, text, error);
	if (result == R_OK && servers.takes_plain)
		return wrong(error, "plain=on is for the edge's setting alone: what is not TLS has no name");
	if (result == R_OK)
		set_string(&out->passthrough, text);
	return result;
}

/* ---- hsts, minimum_tls */

static bool is_hsts_object(const json_t *value)
{
	const char *key = NULL;
	json_t *member = NULL;

	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		bool is_switch = strcmp(key, "include_subdomains") == 0 || strcmp(key, "preload") == 0;

		if (is_switch ? !json_is_boolean(member) : strcmp(key, "max_age") != 0)
			return false;
	}
	return json_is_object(value);
}

/* Seconds, or an object (RFC 6797 section 6.1). Zero makes browsers forget the name. */
static enum result read_hsts(struct domain_options *out, const json_t *value, struct error *error)
{
	const json_t *age = json_is_integer(value) ? value : json_object_get(value, "max_age");
	json_int_t seconds = json_integer_value(age);
	char text[HSTS_MAX];

	if (!json_is_integer(age) || seconds < 0 || seconds > hsts_age_max)
		return wrong(error, "it wants max_age: seconds, at most 315360000");
	if (!json_is_integer(value) && !is_hsts_object(value))
		return wrong(error, "it knows max_age, include_subdomains and preload");
	snprintf(text, sizeof text, "max-age=%" JSON_INTEGER_FORMAT "%s%s", seconds,
	    json_is_true(json_object_get(value, "include_subdomains")) ? "; includeSubDomains" : "",
	    json_is_true(json_object_get(value, "preload")) ? "; preload" : "");
	set_string(&out->hsts, text);
	return R_OK;
}

static enum result read_minimum_tls(struct domain_options *out, const json_t *value, struct error *error)
{
	const char *text = json_string_value(value);

	if (text && strcmp(text, "1.3") == 0)
		out->minimum_tls = TLS1_3_VERSION;
	else if (text && strcmp(text, "1.2") == 0)
		out->minimum_tls = TLS1_2_VERSION;
	else
		return wrong(error, "it is \"1.2\" or \"1.3\"");
	return R_OK;
}

/* ---- redirect */

static bool is_redirect_object(const json_t *value)
{
	const char *key = NULL;
	json_t *member = NULL;

	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		if (strcmp(key, "host") != 0 && strcmp(key, "status") != 0)
			return false;
	}
	return json_is_object(value);
}

/* A host, or an object. The name must be written as it is stored, since it is compared with stored ones. */
static enum result read_redirect(struct domain_options *out, const json_t *value, struct error *error)
{
	const char *host = json_string_value(json_is_object(value) ? json_object_get(value, "host") : value);
	const json_t *status = json_object_get(value, "status");
	struct hostname name;

	if (!host || (json_is_object(value) && !is_redirect_object(value)))
		return wrong(error, "it is a host, or {\"host\": \"example.com\", \"status\": 301}");
	enum hostname_problem problem = hostname_parse(&name, host, strlen(host));
	if (problem != HOSTNAME_OK) {
		error_set(error, "`%.64s` %s", host, hostname_problem_text(problem));
		return R_INVALID;
	}
	if (strcmp(name.text, host) != 0) {
		error_set(error, "write the host as `%s`", name.text);
		return R_INVALID;
	}
	if (status && json_integer_value(status) != 301 && json_integer_value(status) != 308)
		return wrong(error, "its status is 301 or 308");
	set_string(&out->redirect, host);
	out->redirect_status = status ? (int)json_integer_value(status) : 308;
	return R_OK;
}

/* ---- max_body, error_pages, response_headers */

static enum result read_max_body(struct domain_options *out, const json_t *value, struct error *error)
{
	json_int_t bytes = json_integer_value(value);

	if (!json_is_integer(value) || bytes < 0 || bytes > body_max)
		return wrong(error, "it is a number of bytes, 0 for any number");
	out->max_body = (uint64_t)bytes;
	out->has_max_body = true;
	return R_OK;
}

static enum result page_kind(enum domain_part_kind *out, const char *status)
{
	static const char *const names[] = {"502", "503", "504"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(status, names[i]) != 0)
			continue;
		*out = (enum domain_part_kind)(DOMAIN_PAGE_502 + i);
		return R_OK;
	}
	return R_NONE;
}

static enum result check_page(
    enum domain_part_kind *kind, const char *status, const json_t *page, struct error *error)
{
	size_t size = json_string_length(page);

	/* 421 says that the request's host is not this domain: its page would stand in another's place. */
	if (page_kind(kind, status) != R_OK) {
		error_set(error,
		    "`%.16s` has no page of a domain's: it knows 502, 503 and 504 (for 421 there is the "
		    "setting)",
		    status);
		return R_INVALID;
	}
	if (!json_is_string(page) || size == 0 || size > DOMAIN_PAGE_MAX) {
		error_set(error, "the page of %s is HTML of 1 to %d bytes", status, DOMAIN_PAGE_MAX);
		return R_INVALID;
	}
	return R_OK;
}

static enum result read_error_pages(struct domain_options *out, const json_t *value, struct error *error)
{
	enum domain_part_kind kind = DOMAIN_PARTS;
	const char *status = NULL;
	json_t *page = NULL;

	if (!json_is_object(value))
		return wrong(error, "it is an object, {\"503\": \"<!doctype html>...\"}");
	json_object_foreach((json_t *)(uintptr_t)value, status, page)
	{
		if (check_page(&kind, status, page, error) != R_OK)
			return R_INVALID;
	}
	json_object_foreach((json_t *)(uintptr_t)value, status, page)
	{
		size_t size = json_string_length(page);

		page_kind(&kind, status);
		set_part(out, kind, (struct domain_part){mem_copy(json_string_value(page), size), size});
	}
	return R_OK;
}

static enum result read_response_headers(struct domain_options *out, const json_t *value, struct error *error)
{
	struct domain_part added, removed;
	enum result result = domain_fields_read(&added, &removed, value, error);

	if (result != R_OK)
		return result;
	set_part(out, DOMAIN_FIELDS_ADDED, added);
	set_part(out, DOMAIN_FIELDS_REMOVED, removed);
	return R_OK;
}

/* ---- allow, deny */

/* An empty list is refused: whether it means nobody or everybody is not for us to guess. */
static enum result read_networks(struct domain_part *out, const json_t *value, struct error *error)
{
	size_t count = json_array_size(value);
	json_t *member = NULL;
	size_t index = 0;

	if (count == 0 || count > DOMAIN_NETWORKS_MAX) {
		error_set(error, "it is a list of 1 to %d networks, [\"192.0.2.0/24\", \"2001:db8::/32\"]",
		    DOMAIN_NETWORKS_MAX);
		return R_INVALID;
	}
	struct ip_range *ranges = mem_alloc_array(count, sizeof *ranges);
	enum result result = R_OK;
	json_array_foreach(value, index, member)
	{
		if (result == R_OK && !json_is_string(member))
			result = wrong(error, "each network is a string, \"192.0.2.0/24\"");
		if (result == R_OK)
			result = ip_range_parse(&ranges[index], json_string_value(member), error);
	}
	if (result == R_OK)
		*out = (struct domain_part){ranges, count * sizeof *ranges};
	else
		free(ranges);
	return result;
}

static enum result read_guard(
    struct domain_options *out, enum domain_part_kind kind, const json_t *value, struct error *error)
{
	struct domain_part part;
	enum result result = read_networks(&part, value, error);

	if (result == R_OK)
		set_part(out, kind, part);
	else
		out->is_closed = true;
	return result;
}

static enum result read_allow(struct domain_options *out, const json_t *value, struct error *error)
{
	return read_guard(out, DOMAIN_ALLOW, value, error);
}

static enum result read_deny(struct domain_options *out, const json_t *value, struct error *error)
{
	return read_guard(out, DOMAIN_DENY, value, error);
}

/* ---- all of them */

static const struct option {
	const char *key;
	enum result (*read)(struct domain_options *out, const json_t *value, struct error *error);
} known[] = {
    {"upstream", read_upstream},
    {"passthrough", read_passthrough},
    {"hsts", read_hsts},
    {"minimum_tls", read_minimum_tls},
    {"redirect", read_redirect},
    {"max_body", read_max_body},
    {"error_pages", read_error_pages},
    {"response_headers", read_response_headers},
    {"allow", read_allow},
    {"deny", read_deny},
};

enum result domain_options_read(
    struct domain_options *out, const char *key, const json_t *value, struct error *error)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].key, key) == 0)
			return known[i].read(out, value, error);
	return wrong(error, "no such option; there are upstream, passthrough, hsts, minimum_tls, redirect, "
			    "max_body, error_pages, response_headers, allow and deny");
}

bool domain_options_guards(const char *key)
{
	return strcmp(key, "allow") == 0 || strcmp(key, "deny") == 0;
}

void domain_options_fini(struct domain_options *options)
{
	free((char *)(uintptr_t)options->upstream);
	free((char *)(uintptr_t)options->passthrough);
	free((char *)(uintptr_t)options->hsts);
	free((char *)(uintptr_t)options->redirect);
	for (size_t i = 0; options->parts && i < DOMAIN_PARTS; i++)
		free((void *)(uintptr_t)options->parts[i].bytes);
	free(options->parts);
	*options = (struct domain_options){0};
}

/* As the database counts: the text of a jsonb has the same blanks, and no more characters than this bytes. */
static enum result check_size(const json_t *options, struct error *error)
{
	size_t size = json_dumpb(options, NULL, 0, 0);

	if (size > 0 && size <= DOMAIN_OPTIONS_MAX)
		return R_OK;
	error_set(
	    error, "options: at most %d bytes of JSON together, these are %zu", DOMAIN_OPTIONS_MAX, size);
	return R_INVALID;
}

enum result domain_options_check(const json_t *options, const char *name, struct error *error)
{
	struct domain_options read = {0};
	const char *key = NULL;
	json_t *value = NULL;

	if (!json_is_object(options))
		return wrong(error, "options: it is an object");
	enum result result = check_size(options, error);
	json_object_foreach((json_t *)(uintptr_t)options, key, value)
	{
		if (result != R_OK)
			break;
		result = domain_options_read(&read, key, value, error);
		if (result != R_OK)
			error_prefix(error, "%.64s", key);
	}
	if (result == R_OK && read.redirect && strcmp(read.redirect, name) == 0)
		result = wrong(error, "redirect: the domain cannot lead to itself: name another host");
	domain_options_fini(&read);
	return result;
}

struct domain_part domain_options_part(const struct domain_options *options, enum domain_part_kind kind)
{
	return options->parts ? options->parts[kind] : (struct domain_part){0};
}

static struct ip_ranges networks(const struct domain_options *options, enum domain_part_kind kind)
{
	struct domain_part part = domain_options_part(options, kind);

	return (struct ip_ranges){part.bytes, part.size / sizeof(struct ip_range)};
}

bool domain_options_admit(const struct domain_options *options, const char *address)
{
	if (options->is_closed || !options->parts)
		return !options->is_closed;
	struct ip_ranges allowed = networks(options, DOMAIN_ALLOW);
	struct ip_ranges denied = networks(options, DOMAIN_DENY);

	return !ip_ranges_contain_text(&denied, address) &&
	       (allowed.count == 0 || ip_ranges_contain_text(&allowed, address));
}
