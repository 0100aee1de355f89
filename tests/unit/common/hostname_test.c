/* Host names: every spelling in which one name arrives, and every one that must not get in. */
#include "common/net/hostname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

struct expectation {
	const char *name;
	enum hostname_problem problem;
	const char *text; /* when there is no problem */
};

typedef enum hostname_problem (*parser)(struct hostname *out, const char *name, size_t size);

/* From memory that ends right behind the name, so that the sanitizer sees a read beyond it. */
static enum hostname_problem parse_exactly(parser parse, struct hostname *out, const char *name)
{
	size_t size = strlen(name);
	char *exact = malloc(size ? size : 1);
	assert_non_null(exact);
	memcpy(exact, name, size);
	memset(out, 'x', sizeof *out);
	enum hostname_problem problem = parse(out, exact, size);
	free(exact);
	return problem;
}

static void check(parser parse, const struct expectation *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct hostname found;
		enum hostname_problem problem = parse_exactly(parse, &found, expected[i].name);
		const char *text = expected[i].problem == HOSTNAME_OK ? expected[i].text : "";
		if (problem != expected[i].problem || strcmp(found.text, text) != 0)
			fail_msg("`%s`: problem %d, `%s`; expected %d, `%s`", expected[i].name, problem,
			    found.text, expected[i].problem, text);
	}
}
#define check_all(parse, table) check((parse), (table), sizeof(table) / sizeof *(table))

static void names_are_normalised(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"shop.client-brand.com", HOSTNAME_OK, "shop.client-brand.com"},
	    {"SHOP.Client-Brand.COM", HOSTNAME_OK, "shop.client-brand.com"},
	    {"shop.brand.test.", HOSTNAME_OK, "shop.brand.test"},
	    {"brand.test", HOSTNAME_OK, "brand.test"},
	    {"a.b.c.d.e.example.co.uk", HOSTNAME_OK, "a.b.c.d.e.example.co.uk"},
	    {"1.2.3.4.example.com", HOSTNAME_OK, "1.2.3.4.example.com"},
	    {"0x7f.example", HOSTNAME_OK, "0x7f.example"},
	    {"3com.com", HOSTNAME_OK, "3com.com"},
	    {"r3---sn-abc.example.com", HOSTNAME_OK, "r3---sn-abc.example.com"},
	};
	check_all(hostname_parse, table);
	check_all(hostname_parse_sni, table);
}

static void unicode_becomes_a_labels(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"bücher.example", HOSTNAME_OK, "xn--bcher-kva.example"},
	    {"BÜCHER.example", HOSTNAME_OK, "xn--bcher-kva.example"},
	    {"bu\xcc\x88"
	     "cher.example",
		HOSTNAME_OK, "xn--bcher-kva.example"},
	    {"faß.de", HOSTNAME_OK, "xn--fa-hia.de"},
	    {"例え.テスト.example", HOSTNAME_OK, "xn--r8jz45g.xn--zckzah.example"},
	    {"例え。example", HOSTNAME_OK, "xn--r8jz45g.example"},
	    {"shop.bücher.example。", HOSTNAME_OK, "shop.xn--bcher-kva.example"},
	    {"ｓｈｏｐ.example", HOSTNAME_OK, "shop.example"},
	    {"r3---sn-abc.bücher.example", HOSTNAME_OK, "r3---sn-abc.xn--bcher-kva.example"},
	    {"XN--BCHER-KVA.example", HOSTNAME_OK, "xn--bcher-kva.example"},
	};
	check_all(hostname_parse, table);
}

static void bad_idna_is_refused(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"xn--.example", HOSTNAME_BAD_LABEL, NULL},
	    {"xn--a.example", HOSTNAME_BAD_IDNA, NULL},
	    {"xn--shop-.example", HOSTNAME_BAD_LABEL, NULL},
	    {"xn--99999999.example", HOSTNAME_BAD_IDNA, NULL},
	    /* Punycode of BÜCHER: decodes, but encodes to another label. */
	    {"xn--BCHER-8OA.example", HOSTNAME_BAD_IDNA, NULL},
	    {"xn--abc.example", HOSTNAME_BAD_IDNA, NULL},
	    /* An emoji: outside IDNA 2008. */
	    {"xn--ls8h.example", HOSTNAME_BAD_IDNA, NULL},
	};
	check_all(hostname_parse, table);
	check_all(hostname_parse_sni, table);
	static const struct expectation unicode[] = {
	    {"\xf0\x9f\x92\xa9.example", HOSTNAME_BAD_IDNA, NULL},
	    {"\xff\xfe.example", HOSTNAME_BAD_IDNA, NULL},
	    {"b\xc3.example", HOSTNAME_BAD_IDNA, NULL},
	    {"a\xe2\x80\x8b.b\xc3\xbc"
	     "cher.\xe2\x80\xae"
	     "example",
		HOSTNAME_BAD_IDNA, NULL},
	};
	check_all(hostname_parse, unicode);
}

static void addresses_are_no_names(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"127.0.0.1", HOSTNAME_IP_LITERAL, NULL},
	    {"127.0.0.1.", HOSTNAME_IP_LITERAL, NULL},
	    {"127.1", HOSTNAME_IP_LITERAL, NULL},
	    {"0x7f.1", HOSTNAME_IP_LITERAL, NULL},
	    {"0X7F.0X1", HOSTNAME_IP_LITERAL, NULL},
	    {"0177.0.0.01", HOSTNAME_IP_LITERAL, NULL},
	    {"2130706433", HOSTNAME_IP_LITERAL, NULL},
	    {"0x7f000001", HOSTNAME_IP_LITERAL, NULL},
	    {"999.999.999.999", HOSTNAME_IP_LITERAL, NULL},
	    {"shop.example.123", HOSTNAME_IP_LITERAL, NULL},
	    {"::1", HOSTNAME_IP_LITERAL, NULL},
	    {"[::1]", HOSTNAME_IP_LITERAL, NULL},
	    {"[2001:db8::1]", HOSTNAME_IP_LITERAL, NULL},
	    {"2001:DB8::1", HOSTNAME_IP_LITERAL, NULL},
	    {"::ffff:192.0.2.1", HOSTNAME_IP_LITERAL, NULL},
	    {"fe80::1%eth0", HOSTNAME_IP_LITERAL, NULL},
	    {"[::1", HOSTNAME_BAD_LABEL, NULL},
	    {"[]", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.com:443", HOSTNAME_BAD_LABEL, NULL},
	};
	check_all(hostname_parse, table);
	check_all(hostname_parse_sni, table);
	static const struct expectation unicode[] = {
	    {"１２７.０.０.１", HOSTNAME_IP_LITERAL, NULL},
	    {"127。0。0。1", HOSTNAME_IP_LITERAL, NULL},
	};
	check_all(hostname_parse, unicode);
}

static void malformed_names_are_refused(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"", HOSTNAME_EMPTY, NULL},
	    {".", HOSTNAME_EMPTY, NULL},
	    {"..", HOSTNAME_BAD_LABEL, NULL},
	    {".example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop..example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"example.com..", HOSTNAME_BAD_LABEL, NULL},
	    {"-shop.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop-.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.com-", HOSTNAME_BAD_LABEL, NULL},
	    {"sh op.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {" shop.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.com\n", HOSTNAME_BAD_LABEL, NULL},
	    {"*.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.com/path", HOSTNAME_BAD_LABEL, NULL},
	    {"user@example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"<script>.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop%2eexample.com", HOSTNAME_BAD_LABEL, NULL},
	};
	check_all(hostname_parse, table);
	check_all(hostname_parse_sni, table);
	static const struct expectation only_parse[] = {
	    {"my_shop.example.com", HOSTNAME_BAD_LABEL, NULL},
	    /* A soft hyphen maps to nothing, which leaves an empty label: never a shorter name. */
	    {"\xc2\xad.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.\xc2\xad.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.\xc2\xad", HOSTNAME_BAD_LABEL, NULL},
	    {"b\xc3\xbc"
	     "cher..example",
		HOSTNAME_BAD_LABEL, NULL},
	    {"b\xc3\xbc"
	     "cher.example..",
		HOSTNAME_BAD_LABEL, NULL},
	    {"b\xc3\xbc"
	     "cher.example\xe3\x80\x82.",
		HOSTNAME_BAD_LABEL, NULL},
	    /* U+2100 maps to a/c. */
	    {"\xe2\x84\x80.example.com", HOSTNAME_BAD_LABEL, NULL},
	};
	check_all(hostname_parse, only_parse);
}

static void nul_bytes_are_refused(void **state)
{
	(void)state;
	static const char ascii[] = "shop.example.com\0.evil.test", unicode[] = "b\xc3\xbc\0.example.com";
	struct hostname found;
	assert_int_equal(hostname_parse(&found, ascii, sizeof ascii - 1), HOSTNAME_BAD_LABEL);
	assert_int_equal(hostname_parse_sni(&found, ascii, sizeof ascii - 1), HOSTNAME_BAD_LABEL);
	assert_int_equal(hostname_parse(&found, unicode, sizeof unicode - 1), HOSTNAME_BAD_LABEL);
	assert_int_equal(hostname_parse_sni(&found, "\0", 1), HOSTNAME_BAD_LABEL);
	assert_string_equal(found.text, "");
}

/* `size` bytes of labels of at most 63, ending in .test. */
static char *name_of_size(size_t size)
{
	char *name = mem_alloc(size + 1);
	memset(name, 'a', size);
	for (size_t i = 63; i + 6 < size; i += 64)
		name[i] = '.';
	memcpy(name + size - 5, ".test", 5);
	return name;
}

static void names_have_at_most_253_bytes(void **state)
{
	(void)state;
	static const parser parsers[] = {hostname_parse, hostname_parse_sni};
	struct hostname found;
	for (size_t i = 0; i < 2; i++) {
		char *longest = name_of_size(253), *longer = name_of_size(254), *max = name_of_size(255);
		assert_int_equal(parse_exactly(parsers[i], &found, longest), HOSTNAME_OK);
		assert_string_equal(found.text, longest);
		assert_int_equal(parse_exactly(parsers[i], &found, longer), HOSTNAME_TOO_LONG);
		assert_int_equal(parse_exactly(parsers[i], &found, max), HOSTNAME_TOO_LONG);
		char *dotted = mem_format("%s.", longest);
		assert_int_equal(parse_exactly(parsers[i], &found, dotted), HOSTNAME_OK);
		assert_string_equal(found.text, longest);
		free(longest), free(longer), free(max), free(dotted);
	}
	char *huge = mem_alloc(70001);
	memset(huge, 'a', 70000);
	assert_int_equal(parse_exactly(hostname_parse, &found, huge), HOSTNAME_TOO_LONG);
	memcpy(huge, "\xc3\xbc", 2);
	assert_int_equal(parse_exactly(hostname_parse, &found, huge), HOSTNAME_TOO_LONG);
	free(huge);
}

static void labels_have_at_most_63_bytes(void **state)
{
	(void)state;
	struct hostname found;
	char *longest = mem_format("%063d.example.com", 0), *longer = mem_format("%064d.example.com", 0);
	assert_int_equal(parse_exactly(hostname_parse, &found, longest), HOSTNAME_OK);
	assert_int_equal(parse_exactly(hostname_parse, &found, longer), HOSTNAME_TOO_LONG);
	assert_int_equal(parse_exactly(hostname_parse_sni, &found, longer), HOSTNAME_TOO_LONG);
	char *unicode = mem_format("\xc3\xbc%060d.example.com", 0);
	assert_int_equal(parse_exactly(hostname_parse, &found, unicode), HOSTNAME_TOO_LONG);
	free(longest), free(longer), free(unicode);
}

static void unicode_names_that_grow_are_bounded(void **state)
{
	(void)state;
	char *name = mem_alloc(3 * 400 + 16);
	for (int i = 0; i < 250; i++)
		strcat(name, "\xc3\xbc.");
	strcat(name, "test");
	struct hostname found;
	assert_int_equal(parse_exactly(hostname_parse, &found, name), HOSTNAME_TOO_LONG);
	free(name);
}

static void single_labels_and_public_suffixes_are_refused(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"localhost", HOSTNAME_SINGLE_LABEL, NULL},
	    {"test", HOSTNAME_SINGLE_LABEL, NULL},
	    {"com", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"COM.", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"co.uk", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"github.io", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"someone.github.io", HOSTNAME_OK, "someone.github.io"},
	    {"something.ck", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"www.ck", HOSTNAME_OK, "www.ck"},
	    {"xn--fiqs8s", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"xn--55qx5d.cn", HOSTNAME_PUBLIC_SUFFIX, NULL},
	};
	check_all(hostname_parse, table);
	check_all(hostname_parse_sni, table);
	static const struct expectation unicode[] = {{"公司.cn", HOSTNAME_PUBLIC_SUFFIX, NULL}};
	check_all(hostname_parse, unicode);
}

static void sni_takes_ascii_with_underscores_only(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"my_shop.platform.example.com", HOSTNAME_OK, "my_shop.platform.example.com"},
	    {"_shop.example.com", HOSTNAME_OK, "_shop.example.com"},
	    {"bücher.example", HOSTNAME_BAD_LABEL, NULL},
	    {"xn--bcher-kva.example", HOSTNAME_OK, "xn--bcher-kva.example"},
	};
	check_all(hostname_parse_sni, table);
}

static void wildcards_stand_under_names(void **state)
{
	(void)state;
	static const struct expectation table[] = {
	    {"*.Sandbox.example.com", HOSTNAME_OK, "*.sandbox.example.com"},
	    {"*.example.com.", HOSTNAME_OK, "*.example.com"},
	    {"*.bücher.example", HOSTNAME_OK, "*.xn--bcher-kva.example"},
	    {"*.github.io", HOSTNAME_OK, "*.github.io"}, /* the list's private part: a platform's own root */
	    {"*.co.uk", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"*.com", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"*.localhost", HOSTNAME_SINGLE_LABEL, NULL},
	    {"*.something.ck", HOSTNAME_PUBLIC_SUFFIX, NULL},
	    {"*.10.0.0.1", HOSTNAME_IP_LITERAL, NULL},
	    {"*.", HOSTNAME_EMPTY, NULL},
	    {"*", HOSTNAME_BAD_LABEL, NULL},
	    {"", HOSTNAME_BAD_LABEL, NULL},
	    {"*.*.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"a*.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"*a.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"a.*.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"*.a_b.example.com", HOSTNAME_BAD_LABEL, NULL},
	    {"shop.example.com", HOSTNAME_BAD_LABEL, NULL},
	};
	check_all(hostname_parse_wildcard, table);
	check_all(hostname_parse, ((struct expectation[]){{"*.example.com", HOSTNAME_BAD_LABEL, NULL}}));
	check_all(hostname_parse_sni, ((struct expectation[]){{"*.example.com", HOSTNAME_BAD_LABEL, NULL}}));
}

static void either_kind_is_told_by_its_first_byte(void **state)
{
	struct hostname name;
	(void)state;
	assert_int_equal(hostname_parse_either(&name, "*.Shop.Example.com", 18), HOSTNAME_OK);
	assert_string_equal(name.text, "*.shop.example.com");
	assert_true(hostname_is_wildcard(name.text));
	assert_string_equal(hostname_base(name.text), "shop.example.com");
	assert_int_equal(hostname_parse_either(&name, "Shop.Example.com", 16), HOSTNAME_OK);
	assert_false(hostname_is_wildcard(name.text));
	assert_ptr_equal(hostname_base(name.text), name.text);
	assert_int_equal(hostname_parse_either(&name, "*.co.uk", 7), HOSTNAME_PUBLIC_SUFFIX);
	assert_int_equal(hostname_parse_either(&name, "*", 1), HOSTNAME_BAD_LABEL);
	assert_int_equal(hostname_parse_either(&name, "", 0), HOSTNAME_EMPTY);
}

static void wildcard_above_a_name_replaces_one_label(void **state)
{
	(void)state;
	struct hostname found;
	assert_true(hostname_wildcard(&found, "shop_1.sandbox.example.com"));
	assert_string_equal(found.text, "*.sandbox.example.com");
	assert_true(hostname_wildcard(&found, "someone.github.io"));
	assert_string_equal(found.text, "*.github.io");
	static const char *const none[] = {
	    "example.com", "shop.co.uk", "*.example.com", "localhost", "", "www.something.ck"};
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (hostname_wildcard(&found, none[i]))
			fail_msg("%s: %s", none[i], found.text);
}

/* Whatever is accepted comes out as itself when it goes in again. */
static void results_are_stable(void **state)
{
	(void)state;
	static const char *const names[] = {
	    "BÜCHER.example", "faß.de", "例え。テスト.example", "Shop.Brand.TEST."};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct hostname once, twice;
		assert_int_equal(hostname_parse(&once, names[i], strlen(names[i])), HOSTNAME_OK);
		assert_int_equal(hostname_parse(&twice, once.text, strlen(once.text)), HOSTNAME_OK);
		assert_string_equal(once.text, twice.text);
		assert_int_equal(hostname_parse_sni(&twice, once.text, strlen(once.text)), HOSTNAME_OK);
		assert_string_equal(once.text, twice.text);
	}
}

static void registrable_domain_is_suffix_plus_one(void **state)
{
	(void)state;
	assert_string_equal(hostname_registrable("shop.brand.co.uk"), "brand.co.uk");
	assert_string_equal(hostname_registrable("a.b.brand.test"), "brand.test");
	assert_string_equal(hostname_registrable("a.someone.github.io"), "someone.github.io");
	assert_string_equal(
	    hostname_registrable("shop.xn--bcher-kva.xn--55qx5d.cn"), "xn--bcher-kva.xn--55qx5d.cn");
	assert_null(hostname_registrable("co.uk"));
	assert_null(hostname_registrable("test"));
}

static void apex_is_its_own_registrable_domain(void **state)
{
	(void)state;
	assert_true(hostname_is_apex("brand.test"));
	assert_true(hostname_is_apex("brand.co.uk"));
	assert_false(hostname_is_apex("shop.brand.test"));
	assert_false(hostname_is_apex("co.uk"));
}

static void every_problem_has_its_own_sentence(void **state)
{
	(void)state;
	for (int i = HOSTNAME_OK; i <= HOSTNAME_PUBLIC_SUFFIX; i++)
		for (int j = HOSTNAME_OK; j < i; j++)
			assert_string_not_equal(hostname_problem_text(i), hostname_problem_text(j));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_normalised),
	    cmocka_unit_test(unicode_becomes_a_labels),
	    cmocka_unit_test(bad_idna_is_refused),
	    cmocka_unit_test(addresses_are_no_names),
	    cmocka_unit_test(malformed_names_are_refused),
	    cmocka_unit_test(nul_bytes_are_refused),
	    cmocka_unit_test(names_have_at_most_253_bytes),
	    cmocka_unit_test(labels_have_at_most_63_bytes),
	    cmocka_unit_test(unicode_names_that_grow_are_bounded),
	    cmocka_unit_test(single_labels_and_public_suffixes_are_refused),
	    cmocka_unit_test(sni_takes_ascii_with_underscores_only),
	    cmocka_unit_test(wildcards_stand_under_names),
	    cmocka_unit_test(either_kind_is_told_by_its_first_byte),
	    cmocka_unit_test(wildcard_above_a_name_replaces_one_label),
	    cmocka_unit_test(results_are_stable),
	    cmocka_unit_test(registrable_domain_is_suffix_plus_one),
	    cmocka_unit_test(apex_is_its_own_registrable_domain),
	    cmocka_unit_test(every_problem_has_its_own_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
