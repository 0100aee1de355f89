#include "edge/site/site_options.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/tls1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "edge/loop/log_rate.h"

enum { UPSTREAM_MAX = 512, HSTS_MAX = 64 };
/* Ten years: what is more is a slip of the pen, and a browser would keep it. */
static const json_int_t hsts_age_max = 10 * 365 * 24 * 3600;

static void complain(const char *name, const char *key, const char *problem)
{
	static struct log_rate rate;

	if (log_rate_allows(&rate))
		log_warn("an option of a domain is ignored", log_str("name", name), log_str("option", key),
		    log_str("problem", problem));
}

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

/* http(s)://host[:port], and nothing behind it: the path is the client's. */
static bool is_origin(const char *text)
{
	CURLU *url = curl_url();
	bool ok = url && strlen(text) <= UPSTREAM_MAX &&
		  curl_url_set(url, CURLUPART_URL, text, CURLU_DISALLOW_USER) == CURLUE_OK &&
		  part_is(url, CURLUPART_SCHEME, "http", "https") && part_is(url, CURLUPART_PATH, "/", "") &&
		  part_is(url, CURLUPART_QUERY, "", "") && part_is(url, CURLUPART_FRAGMENT, "", "");

	curl_url_cleanup(url);
	return ok;
}

static const char *read_upstream(struct site_options *out, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || !is_origin(text))
		return "it is no URL like http://host:port";
	out->upstream = mem_string(text);
	return NULL;
}

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
static const char *read_hsts(struct site_options *out, const json_t *value)
{
	const json_t *age = json_is_integer(value) ? value : json_object_get(value, "max_age");
	json_int_t seconds = json_integer_value(age);
	char text[HSTS_MAX];

	if (!json_is_integer(age) || seconds < 0 || seconds > hsts_age_max)
		return "it wants max_age: seconds, at most 315360000";
	if (!json_is_integer(value) && !is_hsts_object(value))
		return "it knows max_age, include_subdomains and preload";
	snprintf(text, sizeof text, "max-age=%" JSON_INTEGER_FORMAT "%s%s", seconds,
	    json_is_true(json_object_get(value, "include_subdomains")) ? "; includeSubDomains" : "",
	    json_is_true(json_object_get(value, "preload")) ? "; preload" : "");
	out->hsts = mem_string(text);
	return NULL;
}

static const char *read_minimum_tls(struct site_options *out, const json_t *value)
{
	const char *text = json_string_value(value);

	if (text && strcmp(text, "1.3") == 0)
		out->minimum_tls = TLS1_3_VERSION;
	else if (text && strcmp(text, "1.2") == 0)
		out->minimum_tls = TLS1_2_VERSION;
	else
		return "it is \"1.2\" or \"1.3\"";
	return NULL;
}

/* Each returns what is wrong with the value, or NULL. */
static const struct option {
	const char *key;
	const char *(*read)(struct site_options *out, const json_t *value);
} known[] = {
    {"upstream", read_upstream},
    {"hsts", read_hsts},
    {"minimum_tls", read_minimum_tls},
};

static const char *read_option(struct site_options *out, const char *key, const json_t *value)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(known[i].key, key) == 0)
			return known[i].read(out, value);
	return "this edge does not know it";
}

/* One line. What jansson does not take (a number beyond its range, too deep nesting) costs this option alone.
 */
static void read_line(struct site_options *out, const char *json, const char *name)
{
	json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	const char *key = NULL;
	json_t *value = NULL;

	if (!json_is_object(root))
		complain(name, "", "it cannot be read as JSON");
	json_object_foreach(root, key, value)
	{
		const char *problem = read_option(out, key, value);

		if (problem)
			complain(name, key, problem);
	}
	json_decref(root);
}

void site_options_read(struct site_options *out, const char *tenant, const char *lines, const char *name)
{
	char *copy = lines ? mem_string(lines) : NULL;
	char *rest = copy;

	*out = (struct site_options){.tenant = tenant ? mem_string(tenant) : NULL};
	while (rest)
		read_line(out, strsep(&rest, "\n"), name);
	free(copy);
}

void site_options_fini(struct site_options *options)
{
	free((char *)(uintptr_t)options->tenant);
	free((char *)(uintptr_t)options->upstream);
	free((char *)(uintptr_t)options->hsts);
	*options = (struct site_options){0};
}
