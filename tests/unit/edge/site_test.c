/* One site in memory: what is its own, and what it shares with sites that say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/site/site.h"
#include "edge/site/site_options.h"

static struct site *make_site(const char *host, const char *tenant, const char *lines)
{
	unsigned char *chain = calloc(2, 8);
	struct certificate certificate = {
	    .chain = {chain, chain + 8}, .chain_size = {8, 8}, .chain_count = 2, .not_after = INT64_MAX};
	struct domain_options options;
	struct hostname name;

	snprintf(name.text, sizeof name.text, "%s", host);
	site_options_read(&options, lines, true, host);
	struct site *site =
	    site_new(&name, (struct site_stamp){1, 0}, &certificate, "key", 3, tenant, &options);
	domain_options_fini(&options);
	return site;
}

static const char everything[] =
    "{\"upstream\":\"http://app\"}\n{\"hsts\":5}\n{\"redirect\":\"example.com\"}\n{\"max_body\":77}\n"
    "{\"error_pages\":{\"503\":\"<p>a page of some length, kept once\"}}\n{\"deny\":[\"192.0.2.0/24\"]}\n"
    "{\"response_headers\":{\"add\":{\"X-A\":\"b\"}}}";

static void options_outlive_what_they_were_read_from(void **state)
{
	struct site *site = make_site("www.example.com", "tenant", everything);
	struct domain_part page = domain_options_part(&site->options, DOMAIN_PAGE_503);

	(void)state;
	assert_string_equal(site->tenant, "tenant");
	assert_string_equal(site->options.upstream, "http://app");
	assert_string_equal(site->options.hsts, "max-age=5");
	assert_string_equal(site->options.redirect, "example.com");
	assert_int_equal(site->options.max_body, 77);
	assert_memory_equal(page.bytes, "<p>a page", 9);
	assert_false(domain_options_admit(&site->options, "192.0.2.9"));
	assert_true(domain_options_admit(&site->options, "192.0.3.9"));
	assert_memory_equal(site->key, "key", 3);
	site_unref(site);
}

static void equal_parts_are_kept_once(void **state)
{
	struct site *one = make_site("a.example.com", "tenant", everything);
	struct site *two = make_site("b.example.com", "tenant", everything);
	const void *page = domain_options_part(&one->options, DOMAIN_PAGE_503).bytes;

	(void)state;
	assert_ptr_equal(domain_options_part(&two->options, DOMAIN_PAGE_503).bytes, page);
	assert_in_range(one->bytes - two->bytes, 40, 200);
	site_unref(one);
	assert_memory_equal(page, "<p>a page", 9);
	site_unref(two);
}

static void site_without_options_has_no_room_for_them(void **state)
{
	struct site *none = make_site("a.example.com", NULL, NULL);
	struct site *some = make_site("b.example.com", NULL, "{\"error_pages\":{\"502\":\"x\"}}");

	(void)state;
	assert_null(none->options.parts);
	assert_null(none->tenant);
	assert_in_range(none->bytes, sizeof(struct site) + 8 + 3, sizeof(struct site) + 8 + 3 + 8);
	/* The chain counted for the first. */
	assert_in_range(some->bytes + 8 - none->bytes, DOMAIN_PARTS * sizeof(struct domain_part), 256);
	site_unref(none);
	site_unref(some);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_outlive_what_they_were_read_from),
	    cmocka_unit_test(equal_parts_are_kept_once),
	    cmocka_unit_test(site_without_options_has_no_room_for_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
