#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/front/shared_host.h"
#include "tests/support/tls_fixture.h"

#define A "a.example"
#define B "b.example"

struct world {
	struct site_cache *sites;
	EVP_PKEY *key;
	X509 *leaf;
	SSL_CTX *ctx;
	SSL *ssl; /* with a certificate for `san` */
};

static void put_site_with(
    struct world *world, const char *name, const char *tenant, int minimum_tls, X509 *leaf)
{
	struct hostname hostname;
	unsigned char *der = NULL;
	int size = leaf ? i2d_X509(leaf, &der) : 8;
	struct certificate certificate = {.chain = {leaf ? der : calloc(1, 8)},
	    .chain_size = {(size_t)size},
	    .chain_count = 1,
	    .not_after = time(NULL) + 3600};
	const struct domain_options options = {.minimum_tls = minimum_tls};

	snprintf(hostname.text, sizeof hostname.text, "%s", name);
	struct site *site =
	    site_new(&hostname, (struct site_stamp){1, 0}, &certificate, "key", 3, tenant, &options);
	assert_int_equal(site_cache_put(world->sites, site), R_OK);
	site_unref(site);
}

static void put_site(struct world *world, const char *name, const char *tenant, int minimum_tls)
{
	put_site_with(world, name, tenant, minimum_tls, NULL);
}

static void connect_with(struct world *world, const char *san)
{
	SSL_free(world->ssl);
	X509_free(world->leaf);
	world->leaf = fixture_certificate("test", san, world->key, NULL, time(NULL) + 3600);
	world->ssl = SSL_new(world->ctx);
	assert_int_equal(SSL_use_cert_and_key(world->ssl, world->leaf, world->key, NULL, 1), 1);
}

static void shake_hands_in_1_2(struct world *world)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(ctx);
	BIO *ends[2];
	int done = 0;

	SSL_set_max_proto_version(client, TLS1_2_VERSION);
	assert_int_equal(BIO_new_bio_pair(&ends[0], 0, &ends[1], 0), 1);
	SSL_set_bio(client, ends[0], ends[0]);
	SSL_set_bio(world->ssl, ends[1], ends[1]);
	for (int i = 0; i < 10 && done != 3; i++) {
		done |= SSL_connect(client) == 1 ? 1 : 0;
		done |= SSL_accept(world->ssl) == 1 ? 2 : 0;
	}
	assert_int_equal(done, 3);
	SSL_free(client);
	SSL_CTX_free(ctx);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	world->sites = site_cache_new(1 << 20, 10);
	world->key = EVP_EC_gen("P-256");
	world->ctx = SSL_CTX_new(TLS_server_method());
	connect_with(world, "DNS:" A ",DNS:" B);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	SSL_free(world->ssl);
	SSL_CTX_free(world->ctx);
	X509_free(world->leaf);
	EVP_PKEY_free(world->key);
	site_cache_free(world->sites);
	free(world);
	return 0;
}

static bool is_shared(struct world *world, const char *sni, const char *host)
{
	struct site *site = shared_host_find(world->sites, sni, host, world->ssl);

	if (site)
		assert_string_equal(site->name.text, host);
	site_unref(site);
	return site;
}

static void names_of_one_tenant_and_certificate_share(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	put_site(world, B, "one", TLS1_2_VERSION);
	assert_true(is_shared(world, A, B));
	assert_true(is_shared(world, B, A));
}

static void tenants_never_share(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	put_site(world, B, "One", 0);
	assert_false(is_shared(world, A, B));
}

static void names_without_a_tenant_share_with_nobody(void **state)
{
	struct world *world = *state;

	put_site(world, A, NULL, 0);
	put_site(world, B, NULL, 0);
	assert_false(is_shared(world, A, B));
	put_site(world, "c.example", "one", 0);
	connect_with(world, "DNS:" A ",DNS:" B ",DNS:c.example");
	assert_false(is_shared(world, A, "c.example"));
	assert_false(is_shared(world, "c.example", A));
}

static void what_the_certificate_does_not_cover_is_not_shared(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	put_site(world, B, "one", 0);
	connect_with(world, "DNS:" A);
	assert_false(is_shared(world, A, B));
	connect_with(world, "DNS:*.b.example,DNS:" A);
	assert_false(is_shared(world, A, B));
	connect_with(world, "DNS:*.example");
	assert_true(is_shared(world, A, B));
}

static void names_that_are_not_in_memory_are_not_shared(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	assert_false(is_shared(world, A, B));
	assert_false(is_shared(world, B, A));
	put_site(world, B, "one", 0);
	site_cache_remove(world->sites, A);
	assert_false(is_shared(world, A, B));
}

static void a_name_that_wants_a_newer_tls_is_not_shared_with_an_older_one(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	put_site(world, B, "one", TLS1_3_VERSION);
	assert_true(is_shared(world, A, B));
	shake_hands_in_1_2(world);
	assert_false(is_shared(world, A, B));
	assert_true(is_shared(world, B, A));
}

/* Its handshake was without one: that of its name stands for it. */
static void a_resumed_connection_is_shared_like_any_other(void **state)
{
	struct world *world = *state;

	put_site_with(world, A, "one", 0, world->leaf);
	put_site(world, B, "one", 0);
	put_site(world, "c.example", "one", 0);
	SSL_free(world->ssl);
	world->ssl = SSL_new(world->ctx);
	assert_null(SSL_get_certificate(world->ssl));
	assert_true(is_shared(world, A, B));
	assert_false(is_shared(world, A, "c.example"));
	assert_false(is_shared(world, B, A)); /* what is stored for B cannot be read */
}

static void without_tls_nothing_is_shared(void **state)
{
	struct world *world = *state;

	put_site(world, A, "one", 0);
	put_site(world, B, "one", 0);
	assert_null(shared_host_find(world->sites, A, B, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(names_of_one_tenant_and_certificate_share),
	    TEST(tenants_never_share),
	    TEST(names_without_a_tenant_share_with_nobody),
	    TEST(what_the_certificate_does_not_cover_is_not_shared),
	    TEST(names_that_are_not_in_memory_are_not_shared),
	    TEST(a_name_that_wants_a_newer_tls_is_not_shared_with_an_older_one),
	    TEST(a_resumed_connection_is_shared_like_any_other),
	    TEST(without_tls_nothing_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
