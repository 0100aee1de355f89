/*
 * What a domain's row asks the edge to do for its name, out of the lines that the database gives. A key that
 * is unknown or a value that is wrong is left out and logged (at most one line a second); it never keeps a
 * site from being served, except for a list of who may visit: while that cannot be read, nobody may.
 */
#ifndef EDGE_SITE_OPTIONS_H
#define EDGE_SITE_OPTIONS_H

#include "common/domain/domain_options.h"

/* `lines` may be NULL: there is no row, or it asks for nothing. Each line is a JSON object of one option, so
 * that none can spoil the others. `redirect_leads`: the host it redirects to is the same tenant's, and does
 * not redirect itself. `name` is for the log. domain_options_fini ends `out`. */
void site_options_read(struct domain_options *out, const char *lines, bool redirect_leads, const char *name);

#endif
