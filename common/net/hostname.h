/*
 * Host names, normalised in one place: lower case, no trailing dot, Unicode to A-labels (IDNA 2008, UTS #46
 * non-transitional, libidn2). Everything that enters the system (SNI, Host, API, ask, imports) goes through
 * here, and everything stored or compared is the result.
 */
#ifndef COMMON_HOSTNAME_H
#define COMMON_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

/* A name in Unicode has up to four bytes for each of its characters. */
enum { HOSTNAME_MAX = 253, HOSTNAME_UNICODE_MAX = 4 * HOSTNAME_MAX + 1 };

struct hostname {
	char text[HOSTNAME_MAX + 1];
};

enum hostname_problem {
	HOSTNAME_OK = 0,
	HOSTNAME_EMPTY,
	HOSTNAME_TOO_LONG,      /* over 253 bytes, or a label over 63 */
	HOSTNAME_BAD_LABEL,     /* empty label, a byte outside a-z 0-9 -, a hyphen first or last */
	HOSTNAME_BAD_IDNA,      /* not valid IDNA 2008: also an `xn--` label that does not decode to itself */
	HOSTNAME_IP_LITERAL,    /* IPv4 in any spelling a resolver takes, IPv6 with or without brackets */
	HOSTNAME_SINGLE_LABEL,  /* `localhost` */
	HOSTNAME_PUBLIC_SUFFIX, /* `co.uk`, `com` */
};

/* What a certificate may be for. `name` need not be terminated. */
enum hostname_problem hostname_parse(struct hostname *out, const char *name, size_t size);
/* The same from the wire, where only ASCII may come (RFC 6066 section 3): a cheap path without libidn2 for
 * names without `xn--`. Underscores are let through (platform names; RFC 5280 certificates never have them).
 */
enum hostname_problem hostname_parse_sni(struct hostname *out, const char *name, size_t size);

/* `*.` and what hostname_parse takes; not under a registry's suffix (`*.co.uk`), where strangers have names.
 */
enum hostname_problem hostname_parse_wildcard(struct hostname *out, const char *name, size_t size);
/* Whichever of the two it is by its first byte: what a certificate may be for. */
enum hostname_problem hostname_parse_either(struct hostname *out, const char *name, size_t size);
bool hostname_is_wildcard(const char *name);
/* What is proven for a normalised name, and judged by its DNS: itself, or the name that a wildcard stands
 * under. A pointer into it. */
const char *hostname_base(const char *name);
/* The wildcard whose certificate would cover the normalised name: `*.example.com` for `a.example.com`. False
 * where none may, and for a wildcard itself. */
bool hostname_wildcard(struct hostname *out, const char *name);

/* The normalised name as people write it: A-labels decoded, UTF-8. */
void hostname_unicode(char out[HOSTNAME_UNICODE_MAX], const char *name);

/* A sentence for the person who typed it, without the name: "is an IP address; ...". */
const char *hostname_problem_text(enum hostname_problem problem);

/* The registrable domain (public suffix plus one label), a pointer into `name`; NULL where there is none. */
const char *hostname_registrable(const char *name);
/* True where the name is its own registrable domain, so that no CNAME may stand there. */
bool hostname_is_apex(const char *name);

#endif
