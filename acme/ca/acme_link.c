#include "acme/ca/acme_link.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The end of a parameter's value: a token, or a quoted string in which ; and , stand for themselves. */
static const char *skip_value(const char *at)
{
	if (*at != '"')
		return at + strcspn(at, ";,");
	for (at++; *at != '\0' && *at != '"'; at++)
		if (*at == '\\' && at[1] != '\0')
			at++;
	return *at == '"' ? at + 1 : NULL;
}

/* `rel` may hold several types, separated by spaces. */
static bool has_word(const char *value, const char *end, const char *word)
{
	size_t size = strlen(word);
	while (value < end) {
		value += strspn(value, "\" \t");
		size_t length = strcspn(value, "\" \t;,");
		if (length == 0)
			return false;
		if (length == size && value + length <= end && strncasecmp(value, word, size) == 0)
			return true;
		value += length;
	}
	return false;
}

/* At `;` or at the end of a link. Returns what follows the link's parameters, NULL where they are broken. */
static const char *read_parameters(const char *at, bool *is_alternate)
{
	*is_alternate = false;
	for (at += strspn(at, " \t"); *at == ';'; at += strspn(at, " \t")) {
		at += 1 + strspn(at + 1, " \t");
		size_t name = strcspn(at, "=;, \t");
		bool is_rel = name == 3 && strncasecmp(at, "rel", 3) == 0;
		at += name + strspn(at + name, " \t");
		if (*at != '=')
			continue;
		at += 1 + strspn(at + 1, " \t");
		const char *end = skip_value(at);
		if (!end)
			return NULL;
		*is_alternate = *is_alternate || (is_rel && has_word(at, end, "alternate"));
		at = end;
	}
	return at;
}

static void add(char (*list)[ACME_URL_SIZE], size_t *count, size_t max, const char *target, const char *base)
{
	char *url = NULL;
	CURLU *handle = curl_url();
	if (!handle || *count == max || curl_url_set(handle, CURLUPART_URL, base, 0) != CURLUE_OK ||
	    curl_url_set(handle, CURLUPART_URL, target, 0) != CURLUE_OK ||
	    curl_url_get(handle, CURLUPART_URL, &url, 0) != CURLUE_OK || !acme_url_is_safe(url))
		goto out;
	for (size_t i = 0; i < *count; i++)
		if (strcmp(list[i], url) == 0)
			goto out;
	snprintf(list[(*count)++], ACME_URL_SIZE, "%s", url);
out:
	curl_free(url);
	curl_url_cleanup(handle);
}

void acme_link_read_alternates(
    char (*list)[ACME_URL_SIZE], size_t *count, size_t max, const char *header, const char *base)
{
	const char *at = header + strspn(header, " \t,");
	while (*at == '<') {
		char target[ACME_URL_SIZE];
		bool is_alternate = false;
		size_t size = strcspn(at + 1, ">");
		if (at[1 + size] != '>' || size >= sizeof target)
			return;
		memcpy(target, at + 1, size);
		target[size] = '\0';
		at = read_parameters(at + size + 2, &is_alternate);
		if (!at)
			return;
		if (is_alternate)
			add(list, count, max, target, base);
		at += strspn(at, " \t,");
	}
}
