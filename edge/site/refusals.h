/*
 * Names that were refused a moment ago, so that the same question is not asked again at once. Bounded by
 * count, the oldest goes; has no lock of its own (the site cache's covers it).
 */
#ifndef EDGE_REFUSALS_H
#define EDGE_REFUSALS_H

#include <stddef.h>
#include <stdint.h>

#include "edge/site/site_cache.h"

struct refusals;

struct refusals *refusals_new(size_t max);
void refusals_free(struct refusals *refusals);
/* `until_ms`, `now_ms`: monotonic. The name's earlier refusal is replaced. */
void refusals_add(
    struct refusals *refusals, const char *name, enum refusal refusal, const char *cause, int64_t until_ms);
enum refusal refusals_find(struct refusals *refusals, const char *name, int64_t now_ms);
/* Of a refusal that is there: the static word that it was added with. NULL: there is none. */
const char *refusals_cause(struct refusals *refusals, const char *name);
void refusals_remove(struct refusals *refusals, const char *name);
/* Of all names that have one label more than `*.parent`. Looks at each there is. */
void refusals_remove_under(struct refusals *refusals, const char *wildcard);
size_t refusals_count(const struct refusals *refusals);

#endif
