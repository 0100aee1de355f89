#include "verifier/claim/name_search.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static bool read_part(char part[HOSTNAME_MAX + 1], const char *text)
{
	struct hostname name;
	text += strspn(text, " \t");
	size_t size = strlen(text);
	while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
		size--;
	if (!is_ascii(text)) {
		if (hostname_parse(&name, text, size) != HOSTNAME_OK)
			return false;
		text = name.text;
		size = strlen(text);
	}
	if (size > HOSTNAME_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		part[i] = (char)tolower((unsigned char)text[i]);
	part[size] = '\0';
	return !part[strspn(part, "abcdefghijklmnopqrstuvwxyz0123456789-._*")];
}

/* The lengths that domain_words (sql/0010_portal.sql) knows. 0: too short to be worth an entry. */
static size_t known_size(size_t size)
{
	static const size_t sizes[] = {12, 7, 4, 2};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (size >= sizes[i])
			return sizes[i];
	return 0;
}

static void list_words(struct name_search *search)
{
	size_t used = (size_t)snprintf(search->words, sizeof search->words, "{");
	for (const char *at = search->part; *at;) {
		size_t size = strcspn(at, ".-"), known = known_size(size);
		if (known)
			used += (size_t)snprintf(search->words + used, sizeof search->words - used,
			    "%s\"%.*s\"", used > 1 ? "," : "", (int)known, at);
		at += size + (at[size] != '\0');
	}
	snprintf(search->words + used, sizeof search->words - used, "}");
}

bool name_search_read(struct name_search *out, const char *text)
{
	if (!read_part(out->part, text) || !out->part[strspn(out->part, ".-")])
		return false;
	list_words(out);
	return true;
}
