/*
 * What the `postern certificate ...` commands share: the name that a stored certificate may have.
 */
#ifndef COMMON_CLI_CERTIFICATE_COMMAND_H
#define COMMON_CLI_CERTIFICATE_COMMAND_H

#include "common/hostname.h"
#include "common/result.h"

/* A host name or a wildcard, as a person types it. */
enum result certificate_name_parse(struct hostname *out, const char *text, struct error *error);

#endif
