/*
 * Words of a peer (a CA, a client of the API) made fit for a log, a database column or a JSON document: UTF-8
 * without control bytes, of a bounded size.
 */
#ifndef COMMON_CLEAN_TEXT_H
#define COMMON_CLEAN_TEXT_H

#include <stddef.h>

/* Copies at most size - 1 bytes, ending at a character; control bytes become spaces, what is not UTF-8 `?`.
 */
void clean_text(char *out, size_t size, const char *text);

#endif
