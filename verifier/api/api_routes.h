/*
 * The API's addresses: one table, which the server routes by, and with which a test compares the description
 * that it serves (openapi.json).
 */
#ifndef VERIFIER_API_API_ROUTES_H
#define VERIFIER_API_API_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "verifier/api/api_call.h"

enum api_access {
	API_OPEN,     /* the handler looks for itself */
	API_TENANT,   /* any token; what it sees is the scope's */
	API_OPERATOR, /* an operator's token */
};

/* SECRET: the answer's `token` is shown once, and not kept for a repetition; with SECRET_URL its `url` too.
 * STREAMED: the body is read line by line, as it comes. NO_PORTAL: for programs, not for whoever came by a
 * portal's link. */
enum { API_SECRET = 1, API_STREAMED = 2, API_NO_PORTAL = 4, API_SECRET_URL = 8 };

struct api_route {
	const char *method;
	const char *path; /* {…} stands for a segment */
	enum api_access access;
	unsigned flags;
	const char *const *query;              /* parameters that it knows */
	const char *const *fields;             /* of a JSON body; NULL: there is none */
	void (*handle)(struct api_call *call); /* NULL where it is streamed */
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* The route, with the address's values; NULL: none. `allowed` then has the methods that the address takes,
 * "" where there is no such address. */
enum { API_METHODS_MAX = 64 };
const struct api_route *api_routes_find(const char *method, const char *path,
    char values[API_VALUES][API_VALUE_MAX], char allowed[API_METHODS_MAX]);

#endif
