/*
 * The operator's own pages for answers that the edge gives itself: HTML out of files that the settings name.
 * At most ERROR_PAGE_MAX bytes each. Made once from the settings, read-only afterwards.
 */
#ifndef EDGE_ERROR_PAGES_H
#define EDGE_ERROR_PAGES_H

#include "common/settings/settings.h"
#include "edge/http/http_msg.h"

enum { ERROR_PAGE_MAX = 64 * 1024, ERROR_PAGE_KINDS = 5 };
/* In the place of a status: for who came by the default certificate and is not served. */
enum { ERROR_PAGE_SORRY = 0 };

struct error_pages {
	struct {
		char *html; /* NULL: none */
		size_t size;
	} pages[ERROR_PAGE_KINDS];
};

/* The error names the setting and the mend. */
enum result error_pages_load(struct error_pages *out, const struct settings *settings, struct error *error);
void error_pages_fini(struct error_pages *pages);
/* Empty: there is none for this status. */
struct http_slice error_pages_find(const struct error_pages *pages, int status);

/* Entries of the edge's table of settings. */
/* clang-format off */
#define ERROR_PAGES_SETTINGS \
	{"error-page-421", SETTING_FILE, SETTING_RELOAD, NULL, \
	    "HTML file (at most 64 KiB) shown with 421, when a connection is used for a name that it is " \
	    "not " \
	    "for.", \
	    NULL, 0, 0}, \
	    {"error-page-502", SETTING_FILE, SETTING_RELOAD, NULL, \
		"HTML file (at most 64 KiB) shown with 502, when an upstream's answer is broken. A " \
		"domain's " \
		"option error_pages may hold another.", \
		NULL, 0, 0}, \
	    {"error-page-503", SETTING_FILE, SETTING_RELOAD, NULL, \
		"The same with 503, when no upstream takes a request. Default: a line of text.", NULL, 0, \
		0}, \
	{"error-page-504", SETTING_FILE, SETTING_RELOAD, NULL, \
	    "The same with 504, when an upstream takes too long.", NULL, 0, 0}, \
	{"sorry-page", SETTING_FILE, SETTING_RELOAD, NULL, \
	    "HTML file (at most 64 KiB) shown with 421 over the default certificate, to who asks for no " \
	    "name that is served there. Default: error-page-421.", NULL, 0, 0}, \
	{"sorry-upstream", SETTING_URL, SETTING_RELOAD, NULL, \
	    "Origin that such requests are passed to instead, http://host:port or https://host:port.", \
	    NULL, 0, 0}
/* clang-format on */

#endif
