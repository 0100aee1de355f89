#include "common/net/hostname.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <libpsl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LABEL_MAX = 63, INPUT_MAX = 1024 };

/* The newer of the distribution's list and the one inside libpsl, read once. Never freed: it lives as long as
 * the process. */
static const psl_ctx_t *suffix_list;

static void load_suffix_list(void)
{
	suffix_list = psl_latest(NULL);
	if (suffix_list == NULL)
		suffix_list = psl_builtin();
	if (suffix_list == NULL)
		abort();
}

static const psl_ctx_t *suffixes(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, load_suffix_list);
	return suffix_list;
}

/* Where an underscore may stand, where input may be Unicode, and whether it is what a wildcard stands under.
 */
struct rules {
	bool underscore;
	bool unicode;
	bool parent;
};

static bool is_a_label(const char *label, size_t size)
{
	return size >= 4 && strncasecmp(label, "xn--", 4) == 0;
}

static bool is_ascii(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* An A-label is good only when it decodes, and encodes to itself again: what does not is either no IDNA 2008
 * or another spelling of a name, and two spellings of one name must never be two sites. */
static bool is_round_trip(const char *a_label)
{
	char *unicode = NULL;
	uint8_t *again = NULL;
	bool same = idn2_to_unicode_8z8z(a_label, &unicode, 0) == IDN2_OK &&
		    idn2_lookup_u8((const uint8_t *)unicode, &again, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) ==
			IDN2_OK &&
		    strcmp((const char *)again, a_label) == 0 && strcmp(unicode, a_label) != 0;
	idn2_free(unicode);
	idn2_free(again);
	return same;
}

/* One label through libidn2; `label` is terminated and may come out as several, or none, since mapping makes
 * dots of ideographic full stops and drops soft hyphens. `room` counts the terminator. */
static enum hostname_problem convert_label(char *out, size_t room, const char *label)
{
	uint8_t *converted = NULL;
	int code = idn2_lookup_u8((const uint8_t *)label, &converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	enum hostname_problem problem = HOSTNAME_BAD_IDNA;
	if (code == IDN2_TOO_BIG_LABEL || code == IDN2_TOO_BIG_DOMAIN || code == IDN2_PUNYCODE_BIG_OUTPUT)
		problem = HOSTNAME_TOO_LONG;
	if (code == IDN2_OK && strlen((const char *)converted) >= room)
		problem = HOSTNAME_TOO_LONG;
	else if (code == IDN2_OK)
		problem = HOSTNAME_OK;
	if (problem == HOSTNAME_OK)
		strcpy(out, (const char *)converted);
	idn2_free(converted);
	return problem;
}

/* Label by label, so that an ASCII label with hyphens in its third and fourth place, which IDNA refuses, may
 * stand beside a Unicode one. */
static enum hostname_problem to_ascii(char out[INPUT_MAX], const char *name, size_t size)
{
	size_t used = 0;
	for (size_t start = 0; start <= size;) {
		const char *dot = memchr(name + start, '.', size - start);
		size_t length = dot == NULL ? size - start : (size_t)(dot - name) - start;
		char label[INPUT_MAX];
		memcpy(label, name + start, length);
		label[length] = '\0';
		if (start > 0)
			out[used++] = '.';
		if (length == 0 || used + length + 1 >= INPUT_MAX)
			return length == 0 ? HOSTNAME_BAD_LABEL : HOSTNAME_TOO_LONG;
		if (is_ascii(label, length) && !is_a_label(label, length)) {
			memcpy(out + used, label, length + 1);
		} else {
			enum hostname_problem problem =
			    convert_label(out + used, INPUT_MAX - used - 1, label);
			if (problem != HOSTNAME_OK)
				return problem;
		}
		used += strlen(out + used);
		start += length + 1;
	}
	return HOSTNAME_OK;
}

/* The URL standard's rule: a name whose last label is a number, in decimal or hex, is an IPv4 address in one
 * of the spellings that inet_aton takes, or wants to be one. */
static bool ends_in_number(const char *name)
{
	const char *dot = strrchr(name, '.');
	const char *last = dot == NULL ? name : dot + 1;
	if (last[0] == '0' && last[1] == 'x')
		return last[2 + strspn(last + 2, "0123456789abcdef")] == '\0';
	return last[0] != '\0' && last[strspn(last, "0123456789")] == '\0';
}

static bool is_ipv6(const char *name, size_t size)
{
	if (size > 1 && name[0] == '[' && name[size - 1] == ']') {
		name++;
		size -= 2;
	}
	const char *zone = memchr(name, '%', size);
	size_t length = zone == NULL ? size : (size_t)(zone - name);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	if (length >= sizeof text || memchr(name, ':', size) == NULL)
		return false;
	memcpy(text, name, length);
	text[length] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Lower-cases `name`, ASCII by now, into out->text and checks each label. */
static enum hostname_problem copy_labels(
    struct hostname *out, const char *name, size_t size, struct rules rules)
{
	enum hostname_problem problem = HOSTNAME_OK;
	size_t label = 0;
	for (size_t i = 0; i <= size; i++) {
		char c = i < size ? name[i] : '.';
		if (c >= 'A' && c <= 'Z')
			c = (char)(c + ('a' - 'A'));
		if (c == '.') {
			if (i == label || out->text[i - 1] == '-')
				return HOSTNAME_BAD_LABEL;
			if (i - label > LABEL_MAX)
				problem = HOSTNAME_TOO_LONG;
			label = i + 1;
		} else if (!is_letter_or_digit(c) && !(c == '-' && i > label) &&
			   !(c == '_' && rules.underscore)) {
			return HOSTNAME_BAD_LABEL;
		}
		out->text[i] = i < size ? c : '\0';
	}
	return problem;
}

static enum hostname_problem check_a_labels(const char *name)
{
	for (const char *label = name; *label != '\0';) {
		size_t length = strcspn(label, ".");
		if (is_a_label(label, length)) {
			char copy[LABEL_MAX + 1];
			memcpy(copy, label, length);
			copy[length] = '\0';
			if (!is_round_trip(copy))
				return HOSTNAME_BAD_IDNA;
		}
		label += length;
		label += *label == '.';
	}
	return HOSTNAME_OK;
}

/* A wildcard under a registry's suffix would cover strangers. The list's private part is where platforms
 * enter their own roots, for which they hold wildcards. */
static bool is_suffix(const char *name, bool single, bool of_registry)
{
	int type = (of_registry ? PSL_TYPE_ICANN : PSL_TYPE_ANY) | (single ? PSL_TYPE_NO_STAR_RULE : 0);

	return psl_is_public_suffix2(suffixes(), name, type);
}

/* What may be a name but never a site. */
static enum hostname_problem check_place(const char *name, struct rules rules)
{
	if (ends_in_number(name))
		return HOSTNAME_IP_LITERAL;
	bool single = strchr(name, '.') == NULL;
	if (is_suffix(name, single, rules.parent))
		return HOSTNAME_PUBLIC_SUFFIX;
	return single ? HOSTNAME_SINGLE_LABEL : HOSTNAME_OK;
}

static enum hostname_problem parse_ascii(
    struct hostname *out, const char *name, size_t size, struct rules rules)
{
	if (size > HOSTNAME_MAX)
		return HOSTNAME_TOO_LONG;
	if (memchr(name, ':', size) != NULL && is_ipv6(name, size))
		return HOSTNAME_IP_LITERAL;
	enum hostname_problem problem = copy_labels(out, name, size, rules);
	if (problem == HOSTNAME_OK && strstr(out->text, "xn--") != NULL)
		problem = check_a_labels(out->text);
	return problem == HOSTNAME_OK ? check_place(out->text, rules) : problem;
}

static enum hostname_problem parse_unicode(
    struct hostname *out, const char *name, size_t size, struct rules rules)
{
	char ascii[INPUT_MAX];
	if (size >= INPUT_MAX)
		return HOSTNAME_TOO_LONG;
	if (memchr(name, '\0', size) != NULL)
		return HOSTNAME_BAD_LABEL;
	enum hostname_problem problem = to_ascii(ascii, name, size);
	if (problem != HOSTNAME_OK)
		return problem;
	return parse_ascii(out, ascii, strlen(ascii), rules);
}

/* Bytes of the dot at the end, if there is one: also in the three other forms that UTS #46 maps to a dot. */
static size_t trailing_dot(const char *name, size_t size, struct rules rules)
{
	static const char *const others[] = {"\xe3\x80\x82", "\xef\xbc\x8e", "\xef\xbd\xa1"};
	if (size >= 1 && name[size - 1] == '.')
		return 1;
	for (size_t i = 0; i < 3; i++)
		if (rules.unicode && size >= 3 && memcmp(name + size - 3, others[i], 3) == 0)
			return 3;
	return 0;
}

static enum hostname_problem parse(struct hostname *out, const char *name, size_t size, struct rules rules)
{
	size -= trailing_dot(name, size, rules);
	enum hostname_problem problem = HOSTNAME_EMPTY;
	if (size > 0 && rules.unicode && !is_ascii(name, size))
		problem = parse_unicode(out, name, size, rules);
	else if (size > 0)
		problem = parse_ascii(out, name, size, rules);
	if (problem != HOSTNAME_OK)
		out->text[0] = '\0';
	return problem;
}

enum hostname_problem hostname_parse(struct hostname *out, const char *name, size_t size)
{
	return parse(out, name, size, (struct rules){.unicode = true});
}

enum hostname_problem hostname_parse_sni(struct hostname *out, const char *name, size_t size)
{
	return parse(out, name, size, (struct rules){.underscore = true});
}

enum hostname_problem hostname_parse_wildcard(struct hostname *out, const char *name, size_t size)
{
	struct hostname parent;
	enum hostname_problem problem = HOSTNAME_BAD_LABEL;
	out->text[0] = '\0';
	if (size >= 2 && name[0] == '*' && name[1] == '.')
		problem = parse(&parent, name + 2, size - 2, (struct rules){.unicode = true, .parent = true});
	if (problem == HOSTNAME_OK && strlen(parent.text) + 2 > HOSTNAME_MAX)
		problem = HOSTNAME_TOO_LONG;
	if (problem == HOSTNAME_OK)
		snprintf(out->text, sizeof out->text, "*.%.*s", HOSTNAME_MAX - 2, parent.text);
	return problem;
}

enum hostname_problem hostname_parse_either(struct hostname *out, const char *name, size_t size)
{
	return size > 0 && name[0] == '*' ? hostname_parse_wildcard(out, name, size)
					  : hostname_parse(out, name, size);
}

bool hostname_is_wildcard(const char *name)
{
	return name[0] == '*' && name[1] == '.';
}

const char *hostname_base(const char *name)
{
	return hostname_is_wildcard(name) ? name + 2 : name;
}

bool hostname_wildcard(struct hostname *out, const char *name)
{
	const char *dot = strchr(name, '.');
	if (name[0] == '*' || dot == NULL || dot == name || strchr(dot + 1, '.') == NULL ||
	    is_suffix(dot + 1, false, true))
		return false;
	snprintf(out->text, sizeof out->text, "*%s", dot);
	return true;
}

void hostname_unicode(char out[HOSTNAME_UNICODE_MAX], const char *name)
{
	char *unicode = NULL;
	bool is_decoded = idn2_to_unicode_8z8z(name, &unicode, 0) == IDN2_OK;
	snprintf(out, HOSTNAME_UNICODE_MAX, "%s", is_decoded ? unicode : name);
	idn2_free(unicode);
}

const char *hostname_problem_text(enum hostname_problem problem)
{
	switch (problem) {
	case HOSTNAME_OK: return "is fine";
	case HOSTNAME_EMPTY: return "is empty; write a name such as shop.example.com";
	case HOSTNAME_TOO_LONG:
		return "is too long; a name has at most 253 bytes, each part between dots at most 63";
	case HOSTNAME_BAD_LABEL:
		return "is not a host name; its parts hold letters, digits and inner hyphens, with single "
		       "dots between";
	case HOSTNAME_BAD_IDNA:
		return "is not a valid internationalised name (IDNA 2008); check its spelling";
	case HOSTNAME_IP_LITERAL:
		return "is an IP address; certificates are for names, such as shop.example.com";
	case HOSTNAME_SINGLE_LABEL: return "has no dot; write the full name, such as shop.example.com";
	case HOSTNAME_PUBLIC_SUFFIX:
		return "is a public suffix, under which others register names; write a name below it";
	}
	return "is not a host name";
}

const char *hostname_registrable(const char *name)
{
	return psl_registrable_domain(suffixes(), name);
}

bool hostname_is_apex(const char *name)
{
	/* libpsl answers with a pointer into its argument. */
	return hostname_registrable(name) == name;
}
