#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/provider.h>

#include "common/daemon/metrics.h"
#include "edge/tls/hot_site.h"
#include "tests/support/tls_fixture.h"

enum { MAX = 3 };

struct world {
	struct fixture_ca ca;
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	struct site_cache *cache;
	struct hot_sites *hot;
	int64_t now;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	fixture_ca_init(&world->ca);
	world->libctx = OSSL_LIB_CTX_new();
	world->provider = OSSL_PROVIDER_load(world->libctx, "default");
	world->cache = site_cache_new(1 << 20, 100);
	world->hot = hot_sites_new(world->libctx, world->cache, MAX);
	world->now = time(NULL);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	hot_sites_free(world->hot);
	site_cache_free(world->cache);
	OSSL_PROVIDER_unload(world->provider);
	OSSL_LIB_CTX_free(world->libctx);
	fixture_ca_fini(&world->ca);
	free(world);
	return 0;
}

static void put(struct world *world, const char *name, int64_t version)
{
	struct site *site = fixture_site(&world->ca, name, version, world->now + 3600);

	assert_int_equal(site_cache_put(world->cache, site), R_OK);
	site_unref(site);
}

static int64_t decoded(void)
{
	return metric_get(metrics_gauge("postern_edge_hot_certificates", NULL, NULL));
}

static int64_t evicted(void)
{
	return metric_get(metrics_counter("postern_edge_hot_certificate_evictions_total", NULL, NULL));
}

static struct hot_site *find(struct world *world, const char *name)
{
	struct hot_site *site = NULL;
	struct error error = {""};
	enum result result = hot_sites_find(world->hot, name, world->now, &site, &error);

	assert_true(result == R_OK || result == R_NONE);
	return result == R_OK ? site : NULL;
}

static void unknown_name_is_none(void **state)
{
	assert_null(find(*state, "nobody.example"));
}

static void cached_site_is_decoded_once(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	struct hot_site *site = find(world, "a.example");
	assert_non_null(site);
	assert_ptr_equal(find(world, "a.example"), site);
	assert_int_equal(decoded(), 1);
}

static void chain_and_key_are_installed(void **state)
{
	struct world *world = *state;
	SSL_CTX *ctx = SSL_CTX_new_ex(world->libctx, NULL, TLS_server_method());
	SSL *ssl = SSL_new(ctx);
	STACK_OF(X509) *chain = NULL;

	put(world, "a.example", 1);
	assert_int_equal(hot_site_install(find(world, "a.example"), ssl), R_OK);
	assert_int_equal(X509_check_host(SSL_get_certificate(ssl), "a.example", 0, 0, NULL), 1);
	assert_int_equal(SSL_check_private_key(ssl), 1);
	SSL_get0_chain_certs(ssl, &chain);
	assert_int_equal(sk_X509_num(chain), 1);
	assert_int_equal(X509_cmp(sk_X509_value(chain, 0), world->ca.x509), 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

static void replaced_site_is_seen_at_once(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	assert_int_equal(hot_site_cold(find(world, "a.example"))->stamp.version, 1);
	put(world, "a.example", 2);
	assert_int_equal(hot_site_cold(find(world, "a.example"))->stamp.version, 2);
}

static void removed_site_is_gone_at_once(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	assert_non_null(find(world, "a.example"));
	site_cache_remove(world->cache, "a.example");
	assert_null(find(world, "a.example"));
	assert_int_equal(decoded(), 0);
}

static void change_of_another_name_keeps_what_is_decoded(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	struct hot_site *site = find(world, "a.example");
	put(world, "b.example", 1);
	assert_ptr_equal(find(world, "a.example"), site);
}

static void expired_certificate_is_never_served(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	world->now += 3599;
	assert_non_null(find(world, "a.example"));
	world->now += 1;
	assert_null(find(world, "a.example"));
	/* Its renewal is served from the next look-up on. */
	put(world, "a.example", 2);
	assert_int_equal(hot_site_cold(find(world, "a.example"))->stamp.version, 2);
}

static void least_recently_used_goes(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	put(world, "b.example", 1);
	put(world, "c.example", 1);
	put(world, "d.example", 1);
	struct hot_site *a = find(world, "a.example");
	find(world, "b.example");
	find(world, "c.example");
	find(world, "a.example");
	int64_t before = evicted();
	find(world, "d.example");
	assert_int_equal(decoded(), MAX);
	assert_int_equal(evicted(), before + 1);
	assert_ptr_equal(find(world, "a.example"), a);
	/* b went; it is decoded again out of the cache beneath. */
	assert_non_null(find(world, "b.example"));
	assert_int_equal(decoded(), MAX);
}

static void intermediates_are_shared_and_go_with_the_last(void **state)
{
	struct world *world = *state;

	put(world, "a.example", 1);
	put(world, "b.example", 1);
	find(world, "a.example");
	find(world, "b.example");
	assert_int_equal(hot_sites_intermediates(world->hot), 1);
	site_cache_remove(world->cache, "a.example");
	find(world, "a.example");
	assert_int_equal(hot_sites_intermediates(world->hot), 1);
	site_cache_remove(world->cache, "b.example");
	find(world, "b.example");
	assert_int_equal(hot_sites_intermediates(world->hot), 0);
}

/* What the broker should never let in: it must end in an error, not in a crash or a handshake. */
static void undecodable_site_is_an_error(void **state)
{
	struct world *world = *state;
	struct hostname name = {"bad.example"};
	struct certificate certificate = {
	    .chain_count = 1, .chain_size = {4}, .not_after = world->now + 3600};
	unsigned char key[32] = {1};
	struct hot_site *found = NULL;
	struct error error = {""};

	certificate.chain[0] = calloc(1, 4);
	struct site *site = site_new(&name, (struct site_stamp){1, 0}, &certificate, key, sizeof key, NULL,
	    &(struct domain_options){0});
	assert_int_equal(site_cache_put(world->cache, site), R_OK);
	site_unref(site);
	assert_int_equal(hot_sites_find(world->hot, "bad.example", world->now, &found, &error), R_ERROR);
	assert_non_null(strstr(error.text, "bad.example"));
	assert_int_equal(decoded(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(unknown_name_is_none),
	    TEST(cached_site_is_decoded_once),
	    TEST(chain_and_key_are_installed),
	    TEST(replaced_site_is_seen_at_once),
	    TEST(removed_site_is_gone_at_once),
	    TEST(change_of_another_name_keeps_what_is_decoded),
	    TEST(expired_certificate_is_never_served),
	    TEST(least_recently_used_goes),
	    TEST(intermediates_are_shared_and_go_with_the_last),
	    TEST(undecodable_site_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
