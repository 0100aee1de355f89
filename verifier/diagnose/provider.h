/*
 * The DNS provider of a zone, recognised by its name servers, and what it calls the fields of a record: what
 * to type into them differs from one to the next, and is what goes wrong.
 */
#ifndef VERIFIER_DIAGNOSE_PROVIDER_H
#define VERIFIER_DIAGNOSE_PROVIDER_H

#include <stddef.h>

/* What the field for the name takes. */
enum provider_names {
	PROVIDER_RELATIVE,          /* without the zone; @ for the zone itself */
	PROVIDER_RELATIVE_OR_EMPTY, /* the same, but nothing for the zone itself */
	PROVIDER_FULL,              /* the whole name */
};

struct provider {
	const char *id, *title;
	const char *name_field, *value_field;
	enum provider_names names;
	const char *hint; /* a sentence, or NULL */
};

/* By the end of a server's name; one that ends in * is the beginning of one of its labels. */
struct provider_entry {
	const char *servers;
	struct provider provider;
};
extern const struct provider_entry provider_table[];
extern const size_t provider_table_size;

/* `servers`: names, one after the other, `stride` bytes each. NULL: none that is known, or servers of
 * several. */
const struct provider *provider_find(const char *servers, size_t stride, size_t count);
/* What to type into the field for the name; cut where `size` ends. */
void provider_type_name(
    const struct provider *provider, const char *name, const char *zone, char *text, size_t size);

#endif
