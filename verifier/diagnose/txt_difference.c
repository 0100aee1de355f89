#include "verifier/diagnose/txt_difference.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A value that is longer is nobody's mistake. CUT_LEAST: fewer characters might be anything's beginning. */
enum { VALUE_MAX = 1024, CUT_LEAST = 12, TOKEN_LEAST = 16, TOKEN_MAX = 120 };

struct text {
	const char *at;
	size_t size;
};

static bool ends_with(struct text text, const char *end)
{
	size_t size = strlen(end);
	return size && text.size > size && strncasecmp(text.at + text.size - size, end, size) == 0;
}

static bool starts_with(struct text text, const char *start)
{
	size_t size = strlen(start);
	return text.size > size && memcmp(text.at, start, size) == 0;
}

/* As ASCII, escaped, and as word processors write them. */
static bool strip_quotes(struct text *text)
{
	static const char *const quotes[] = {"\\\"", "\"", "'", "\xe2\x80\x9c", "\xe2\x80\x9d",
	    "\xe2\x80\x9e", "\xe2\x80\x98", "\xe2\x80\x99"};
	bool any = false;
	for (size_t i = 0; i < sizeof quotes / sizeof *quotes; i++) {
		size_t size = strlen(quotes[i]);
		if (starts_with(*text, quotes[i])) {
			text->at += size;
			text->size -= size;
			any = true;
		}
		if (ends_with(*text, quotes[i])) {
			text->size -= size;
			any = true;
		}
	}
	return any;
}

static bool strip_blanks(struct text *text)
{
	static const char *const blanks[] = {
	    " ", "\t", "\r", "\n", "\xc2\xa0", "\xe2\x80\x8b", "\xef\xbb\xbf"};
	bool any = false;
	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
		size_t size = strlen(blanks[i]);
		for (; starts_with(*text, blanks[i]); any = true) {
			text->at += size;
			text->size -= size;
		}
		for (; ends_with(*text, blanks[i]); any = true)
			text->size -= size;
	}
	return any;
}

static bool strip_dot(struct text *text)
{
	bool has_dot = ends_with(*text, ".");
	text->size -= has_dot;
	return has_dot;
}

/* Only behind a value that ends in the platform's own name: the zone may be part of nothing else. */
static bool strip_zone(struct text *text, const char *zone)
{
	struct text rest = *text;
	if (!ends_with(rest, zone))
		return false;
	rest.size -= strlen(zone);
	if (!strip_dot(&rest))
		return false;
	*text = rest;
	return true;
}

/* What stands around the value, from the outside in; the first that was found. */
static enum txt_difference strip_all(struct text *text, const char *wanted, const char *zone)
{
	enum txt_difference first = TXT_IS_THE_SAME, found = TXT_IS_FOREIGN;
	size_t size = strlen(wanted);
	while (text->size != size || strncasecmp(text->at, wanted, size) != 0) {
		if (strip_blanks(text))
			found = TXT_HAS_BLANKS;
		else if (strip_quotes(text))
			found = TXT_HAS_QUOTES;
		else if (strip_zone(text, zone))
			found = TXT_HAS_ZONE;
		else if (strip_dot(text))
			found = TXT_HAS_DOT;
		else
			return TXT_IS_FOREIGN;
		if (first == TXT_IS_THE_SAME)
			first = found;
	}
	if (first == TXT_IS_THE_SAME && memcmp(text->at, wanted, size) != 0)
		return TXT_HAS_CASE;
	return first;
}

static bool is_ours(struct text text, const char *saas_root)
{
	char end[HOSTNAME_MAX + 16];
	snprintf(end, sizeof end, ".verify.%s", saas_root);
	if (!ends_with(text, end))
		return false;
	size_t token = text.size - strlen(end);
	return token >= TOKEN_LEAST && token <= TOKEN_MAX && !memchr(text.at, ' ', token);
}

static bool is_cut(struct text text, const char *wanted)
{
	return text.size >= CUT_LEAST && text.size < strlen(wanted) &&
	       strncasecmp(text.at, wanted, text.size) == 0;
}

enum txt_difference txt_difference(
    const struct resolver_value *found, const char *wanted, const char *zone, const char *saas_root)
{
	const struct text whole = {(const char *)found->bytes, found->size};
	struct text inner = whole;
	if (whole.size > VALUE_MAX)
		return TXT_IS_FOREIGN;
	enum txt_difference difference = strip_all(&inner, wanted, zone);
	if (difference != TXT_IS_FOREIGN)
		return difference;
	if (memmem(whole.at, whole.size, wanted, strlen(wanted)))
		return TXT_HAS_MORE;
	if (is_cut(whole, wanted) || is_cut(inner, wanted))
		return TXT_IS_CUT;
	return is_ours(whole, saas_root) || is_ours(inner, saas_root) ? TXT_IS_OLD : TXT_IS_FOREIGN;
}
