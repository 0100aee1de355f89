/*
 * Secrets that are handed out once: 32 random bytes as hex, behind a prefix that tells what they are. Only
 * hashes of them are kept.
 */
#ifndef VERIFIER_ACCESS_SECRET_H
#define VERIFIER_ACCESS_SECRET_H

#include <stdbool.h>

enum { SECRET_RANDOM = 32, SECRET_HEX = 2 * SECRET_RANDOM };

/* `text` holds the prefix, SECRET_HEX digits and a NUL. */
void secret_make(const char *prefix, char *text);
/* Has it the form of one? What has not is not looked up. */
bool secret_is_shaped(const char *prefix, const char *text);

#endif
