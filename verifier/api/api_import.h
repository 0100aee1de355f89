/*
 * Many domains in one request: lines of JSON in, lines of JSON out. What has been read is worked off in
 * batches while more comes in, and the results wait in the database until the last line has come, so that
 * memory holds one batch, however long the import is.
 *
 * Limits: IMPORT_LINES lines of IMPORT_LINE_MAX bytes, IMPORT_RUNNING imports at once in this process, one of
 * a tenant and one fewer of all tenants: however slow theirs are, the operator's goes on.
 */
#ifndef VERIFIER_API_API_IMPORT_H
#define VERIFIER_API_API_IMPORT_H

#include "verifier/api/api_call.h"

enum { IMPORT_LINES = 100000, IMPORT_LINE_MAX = 20 * 1024, IMPORT_BATCH = 200, IMPORT_RUNNING = 4 };

/* The request's head was accepted. False after a problem was replied. */
bool api_import_open(struct api_call *call, struct mhd_stream **out);

#endif
