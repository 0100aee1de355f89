/*
 * Names, from the wire (SNI, Host) and from people: what is accepted is normal, stays what it is when read
 * again, and does not depend on the case of its letters.
 */
#include "common/net/hostname.h"
#include "tests/fuzz/fuzz.h"

typedef enum hostname_problem parser(struct hostname *out, const char *name, size_t size);

static void check_normal(const char *text, bool from_wire)
{
	size_t size = strlen(text);

	fuzz_check(size > 0 && size <= HOSTNAME_MAX && text[0] != '.' && text[size - 1] != '.');
	for (size_t i = 0; i < size; i++) {
		bool is_plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
				text[i] == '-' || text[i] == '.' || (text[i] == '_' && from_wire);

		fuzz_check(is_plain);
	}
	const char *registrable = hostname_registrable(text);
	fuzz_check(!registrable || (registrable >= text && registrable < text + size));
	fuzz_check(hostname_is_apex(text) == (registrable == text));
}

static void check_parser(parser *parse, const uint8_t *data, size_t size, bool from_wire)
{
	struct hostname name, again, upper;
	char *copy = fuzz_copy(data, size);
	enum hostname_problem problem = parse(&name, copy, size);

	fuzz_check(hostname_problem_text(problem) || problem == HOSTNAME_OK);
	if (problem == HOSTNAME_OK) {
		check_normal(name.text, from_wire);
		fuzz_check(parse(&again, name.text, strlen(name.text)) == HOSTNAME_OK);
		fuzz_check(strcmp(again.text, name.text) == 0);
	}
	for (size_t i = 0; i < size; i++)
		if (copy[i] >= 'a' && copy[i] <= 'z')
			copy[i] = (char)(copy[i] - 32);
	enum hostname_problem in_capitals = parse(&upper, copy, size);
	fuzz_check((in_capitals == HOSTNAME_OK) == (problem == HOSTNAME_OK));
	fuzz_check(problem != HOSTNAME_OK || strcmp(upper.text, name.text) == 0);
	free(copy);
}

/* A person's name that is plain already is the same from the wire. */
static void check_agreement(const uint8_t *data, size_t size)
{
	struct hostname typed, wire;

	if (hostname_parse(&typed, (const char *)data, size) != HOSTNAME_OK)
		return;
	fuzz_check(hostname_parse_sni(&wire, typed.text, strlen(typed.text)) == HOSTNAME_OK);
	fuzz_check(strcmp(typed.text, wire.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_parser(hostname_parse_sni, data, size, true);
	check_parser(hostname_parse, data, size, false);
	check_agreement(data, size);
	return 0;
}
