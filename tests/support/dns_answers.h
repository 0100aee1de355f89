/*
 * Answers of DNS for tests of pure decisions, out of text. Up to ANSWER_RECORDS_MAX records each; they belong
 * to the struct and need no freeing.
 */
#ifndef TESTS_SUPPORT_DNS_ANSWERS_H
#define TESTS_SUPPORT_DNS_ANSWERS_H

#include <stdio.h>
#include <string.h>

#include "common/dns/resolver.h"

enum { ANSWER_RECORDS_MAX = 8, ANSWER_RECORD_SIZE = 700 };

struct dns_answers {
	unsigned char bytes[ANSWER_RECORDS_MAX][ANSWER_RECORD_SIZE];
	struct resolver_value values[ANSWER_RECORDS_MAX];
	struct resolver_answer answer;
};

static inline unsigned char *answers_next(struct dns_answers *out, size_t size)
{
	size_t at = out->answer.count++;
	out->values[at] = (struct resolver_value){out->bytes[at], size};
	out->answer.values = out->values;
	out->answer.outcome = RESOLVER_FOUND;
	return out->bytes[at];
}

static inline void answers_add_txt(struct dns_answers *out, const char *text)
{
	memcpy(answers_next(out, strlen(text)), text, strlen(text));
}

static inline void answers_add_caa(
    struct dns_answers *out, unsigned flags, const char *tag, const char *value)
{
	size_t tag_size = strlen(tag), value_size = strlen(value);
	unsigned char *bytes = answers_next(out, 2 + tag_size + value_size);
	bytes[0] = (unsigned char)flags;
	bytes[1] = (unsigned char)tag_size;
	memcpy(bytes + 2, tag, tag_size);
	memcpy(bytes + 2 + tag_size, value, value_size);
}

#endif
