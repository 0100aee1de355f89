/* The DNS provider by its name servers, what to type into its form; CDNs by name and address. */
#include "verifier/diagnose/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "verifier/diagnose/cdn.h"

enum { STRIDE = 64 };

static const char *find(const char *first, const char *second)
{
	char names[2][STRIDE] = {""};
	strcpy(names[0], first);
	strcpy(names[1], second ? second : "");
	const struct provider *provider = provider_find(names[0], STRIDE, second ? 2 : 1);
	return provider ? provider->id : "none";
}

static void providers_are_known_by_their_servers(void **state)
{
	(void)state;
	assert_string_equal(find("ada.ns.cloudflare.com", "BOB.ns.cloudflare.com"), "cloudflare");
	assert_string_equal(find("ns-1536.awsdns-00.co.uk", "ns-0.awsdns-00.com"), "route53");
	assert_string_equal(find("ns1.hetzner.example", NULL), "none");
	assert_string_equal(find("hydrogen.ns.hetzner.com", "helium.ns.hetzner.de"), "hetzner");
	assert_string_equal(find("ns1-06.azure-dns.com", "ns2-06.azure-dns.net"), "azure");
	assert_string_equal(find("docks20.rzone.de", "shades12.rzone.de"), "strato");
	assert_string_equal(find("ns01.domaincontrol.com", NULL), "godaddy");
}

static void several_providers_or_strangers_are_none(void **state)
{
	(void)state;
	assert_string_equal(find("ada.ns.cloudflare.com", "ns01.domaincontrol.com"), "none");
	assert_string_equal(find("ada.ns.cloudflare.com", "ns1.brand.test"), "none");
	assert_string_equal(find("evilns.cloudflare.com", NULL), "none");
	assert_string_equal(find("ns.cloudflare.com", NULL), "none");
	assert_string_equal(find("xovh.net", NULL), "none");
	assert_null(provider_find("", STRIDE, 0));
}

static void what_to_type_depends_on_the_provider(void **state)
{
	(void)state;
	const struct provider relative = {.names = PROVIDER_RELATIVE},
			      or_empty = {.names = PROVIDER_RELATIVE_OR_EMPTY},
			      full = {.names = PROVIDER_FULL};
	char text[100];
	provider_type_name(&relative, "acme_verify.shop.brand.test", "brand.test", text, sizeof text);
	assert_string_equal(text, "acme_verify.shop");
	provider_type_name(&relative, "brand.test", "brand.test", text, sizeof text);
	assert_string_equal(text, "@");
	provider_type_name(&or_empty, "brand.test", "brand.test", text, sizeof text);
	assert_string_equal(text, "");
	provider_type_name(&full, "shop.brand.test", "brand.test", text, sizeof text);
	assert_string_equal(text, "shop.brand.test");
	provider_type_name(&relative, "shop.mybrand.test", "brand.test", text, sizeof text);
	assert_string_equal(text, "shop.mybrand.test");
	provider_type_name(&relative, "acme_verify.shop.brand.test", "shop.brand.test", text, sizeof text);
	assert_string_equal(text, "acme_verify");
}

static void every_entry_is_complete(void **state)
{
	(void)state;
	assert_true(provider_table_size >= 30);
	for (size_t i = 0; i < provider_table_size; i++) {
		const struct provider *provider = &provider_table[i].provider;
		assert_true(provider_table[i].servers[0] && provider->id[0] && provider->title[0]);
		assert_true(provider->name_field[0] && provider->value_field[0]);
		assert_true(
		    strspn(provider->id, "abcdefghijklmnopqrstuvwxyz0123456789.") == strlen(provider->id));
	}
}

static const char *cdn_at(const char *text)
{
	unsigned char bytes[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, text, bytes), 1);
	const char *title = cdn_of_address(bytes, family == AF_INET6 ? 16 : 4);
	return title ? title : "none";
}

static void cdns_are_known_where_that_is_certain(void **state)
{
	(void)state;
	assert_string_equal(cdn_at("104.16.0.0"), "Cloudflare");
	assert_string_equal(cdn_at("104.27.255.255"), "Cloudflare");
	assert_string_equal(cdn_at("104.28.0.0"), "none");
	assert_string_equal(cdn_at("172.71.255.255"), "Cloudflare");
	assert_string_equal(cdn_at("2606:4700::1"), "Cloudflare");
	assert_string_equal(cdn_at("2a06:98c7::1"), "Cloudflare");
	assert_string_equal(cdn_at("2a06:98c8::1"), "none");
	assert_string_equal(cdn_at("151.101.1.195"), "Fastly");
	assert_string_equal(cdn_at("192.0.2.1"), "none");
	assert_string_equal(cdn_of_name("d1.cloudfront.net"), "Amazon CloudFront");
	assert_string_equal(cdn_of_name("x.brand.test.cdn.cloudflare.net"), "Cloudflare");
	assert_null(cdn_of_name("cloudfront.net"));
	assert_null(cdn_of_name("mycloudfront.net"));
	assert_null(cdn_of_name(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(providers_are_known_by_their_servers),
	    cmocka_unit_test(several_providers_or_strangers_are_none),
	    cmocka_unit_test(what_to_type_depends_on_the_provider),
	    cmocka_unit_test(every_entry_is_complete),
	    cmocka_unit_test(cdns_are_known_where_that_is_certain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
