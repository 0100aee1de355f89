/*
 * The dashboard's files as they are in this folder, which the program carries inside itself.
 */
#ifndef VERIFIER_WEB_WEB_FILES_H
#define VERIFIER_WEB_WEB_FILES_H

#include <stddef.h>

struct web_file {
	const char *path; /* of the address */
	const char *type;
	const char *bytes;
	size_t size;
};

enum { WEB_FILES_MAX = 64 };

/* In the first place the page itself, at "/". */
size_t web_files(struct web_file files[WEB_FILES_MAX]);

#endif
