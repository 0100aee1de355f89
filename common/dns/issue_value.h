/*
 * The `issue-value` of RFC 8659 section 4.2: an issuer's domain name and parameters. What CAA records and
 * dns-persist-01 records are written in.
 */
#ifndef COMMON_DNS_ISSUE_VALUE_H
#define COMMON_DNS_ISSUE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"
#include "common/net/hostname.h"

/* More parameters than this are refused. */
enum { ISSUE_PARAMETERS_MAX = 16 };

struct issue_parameter {
	const char *tag;
	size_t tag_size;
	const char *value;
	size_t value_size;
};

/* The parameters point into what was parsed. */
struct issue_value {
	char issuer[HOSTNAME_MAX + 1]; /* lower case, without a final dot; "" where none is named */
	size_t count;
	struct issue_parameter parameters[ISSUE_PARAMETERS_MAX];
};

enum result issue_value_parse(struct issue_value *out, const void *bytes, size_t size);
/* The parameter of that tag (compared without case): R_NONE: there is none; R_INVALID: there are several. */
enum result issue_value_find(
    const struct issue_value *value, const char *tag, const struct issue_parameter **out);
bool issue_parameter_is(const struct issue_parameter *parameter, const char *value);

#endif
