#include "common/dns/issue_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct input {
	const char *at;
	const char *end;
};

static void skip_blanks(struct input *input)
{
	while (input->at < input->end && (*input->at == ' ' || *input->at == '\t'))
		input->at++;
}

static bool take_char(struct input *input, char wanted)
{
	if (input->at == input->end || *input->at != wanted)
		return false;
	input->at++;
	return true;
}

static bool is_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

static bool take_issuer(struct issue_value *out, struct input *input)
{
	const char *start = input->at;
	while (input->at < input->end && is_of_name(*input->at))
		input->at++;
	size_t size = (size_t)(input->at - start);
	if (size > 0 && start[size - 1] == '.')
		size--;
	if (size > HOSTNAME_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		out->issuer[i] = (char)tolower((unsigned char)start[i]);
	out->issuer[size] = '\0';
	return true;
}

static bool is_of_value(char c)
{
	return c >= 0x21 && c <= 0x7e && c != ';';
}

static bool take_parameter(struct issue_value *out, struct input *input)
{
	if (out->count == ISSUE_PARAMETERS_MAX)
		return false;
	struct issue_parameter *parameter = &out->parameters[out->count++];
	parameter->tag = input->at;
	while (input->at < input->end && (isalnum((unsigned char)*input->at) || *input->at == '-'))
		input->at++;
	parameter->tag_size = (size_t)(input->at - parameter->tag);
	skip_blanks(input);
	if (parameter->tag_size == 0 || !take_char(input, '='))
		return false;
	skip_blanks(input);
	parameter->value = input->at;
	while (input->at < input->end && is_of_value(*input->at))
		input->at++;
	parameter->value_size = (size_t)(input->at - parameter->value);
	skip_blanks(input);
	return true;
}

enum result issue_value_parse(struct issue_value *out, const void *bytes, size_t size)
{
	struct input input = {.at = bytes, .end = (const char *)bytes + size};
	out->issuer[0] = '\0';
	out->count = 0;
	skip_blanks(&input);
	bool is_good = take_issuer(out, &input);
	skip_blanks(&input);
	/* A semicolon at the very end is within the grammar only where no parameter stands before it, but
	 * CAs forgive it, and so do we. */
	while (is_good && input.at < input.end) {
		is_good = take_char(&input, ';');
		skip_blanks(&input);
		if (is_good && input.at < input.end)
			is_good = take_parameter(out, &input);
	}
	return is_good ? R_OK : R_INVALID;
}

enum result issue_value_find(
    const struct issue_value *value, const char *tag, const struct issue_parameter **out)
{
	*out = NULL;
	size_t size = strlen(tag);
	for (size_t i = 0; i < value->count; i++) {
		const struct issue_parameter *parameter = &value->parameters[i];
		if (parameter->tag_size != size || strncasecmp(parameter->tag, tag, size) != 0)
			continue;
		if (*out)
			return R_INVALID;
		*out = parameter;
	}
	return *out ? R_OK : R_NONE;
}

bool issue_parameter_is(const struct issue_parameter *parameter, const char *value)
{
	return parameter->value_size == strlen(value) &&
	       memcmp(parameter->value, value, parameter->value_size) == 0;
}
