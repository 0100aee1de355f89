/* The settings' checks, and the records that follow from them. */
#include "verifier/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "verifier/claim/records.h"

static char token_file[64];

static int make_token_file(void **state)
{
	(void)state;
	snprintf(token_file, sizeof token_file, "/tmp/verifier-config-test.XXXXXX");
	int fd = mkstemp(token_file);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a-token-of-some-length\n", 23), 23);
	close(fd);
	return 0;
}

static int remove_token_file(void **state)
{
	(void)state;
	return unlink(token_file);
}

/* With the settings that are required, and up to two more. */
static enum result load(struct config **config, const char *first, const char *second, struct error *error)
{
	char token[100];
	snprintf(token, sizeof token, "--admin-token-file=%s", token_file);
	const char *argv[] = {"postern-verifier", "--database=dbname=x", "--saas-root=acme-saas.test", token,
	    first, second, NULL};
	int argc = 4 + (first != NULL) + (second != NULL);
	*config = NULL;
	return config_load(config, argc, (char **)argv, error);
}

static void refused(const char *setting, const char *word)
{
	struct config *config;
	struct error error = {""};
	assert_int_equal(load(&config, setting, NULL, &error), R_INVALID);
	if (!strstr(error.text, word))
		fail_msg("\"%s\" does not say \"%s\"", error.text, word);
}

static struct config *loaded(const char *first, const char *second)
{
	struct config *config;
	struct error error = {""};
	if (load(&config, first, second, &error) != R_OK)
		fail_msg("%s", error.text);
	return config;
}

static void bad_settings_are_refused_with_their_name(void **state)
{
	(void)state;
	refused("--saas-root=localhost", "saas-root");
	refused("--saas-root=10.0.0.1", "saas-root");
	refused("--txt-label=with.dot", "txt-label");
	refused("--txt-label=UPPER", "txt-label");
	refused("--txt-label=", "txt-label");
	refused("--listen=", "listen");
	refused("--ask-listen=", "ask-listen");
	refused("--cname-target=not a name", "cname-target");
	refused("--cname-target={tenant}{tenant}.acme-saas.test", "cname-target");
	refused("--apex-addresses=192.0.2.1,192.0.2.999", "apex-addresses");
	refused("--apex-addresses=nlb.acme-saas.test", "apex-addresses");
	refused("--public-url=ftp://x", "public-url");
	refused("--ask-key-file=/dev/null", "ask-cert-file");
	refused("--ask-client-ca=/dev/null", "set ask-cert-file and ask-key-file, too");
	refused("--ask-client-ca=/nonexistent/ca", "ask-client-ca");
	refused("--pre-issue=maybe", "pre-issue");
	refused("--seal-public-file=/etc/passwd", "seal-public-file");
	refused("--no-such-setting=1", "no-such-setting");
}

static void token_must_be_one_long_line(void **state)
{
	(void)state;
	const char *const argv[] = {
	    "postern-verifier", "--database=dbname=x", "--saas-root=acme-saas.test", NULL, NULL};
	const char *const bad[] = {"--admin-token=short", "--admin-token=with a space in it",
	    "--admin-token=two-lines-here\nyes", NULL};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *copy[5];
		struct config *config = NULL;
		struct error error = {""};
		memcpy(copy, argv, sizeof argv);
		copy[3] = bad[i];
		assert_int_equal(config_load(&config, bad[i] ? 4 : 3, (char **)copy, &error), R_INVALID);
		assert_non_null(strstr(error.text, "admin-token"));
		assert_non_null(strstr(error.text, "openssl rand"));
	}
}

static void customer_gets_txt_and_cname(void **state)
{
	(void)state;
	struct config *config = loaded(NULL, NULL);
	struct record records[RECORDS_MAX];
	assert_int_equal(
	    records_of(config, config->txt_label, "shop.brand.test", "default", "cafe", records), 2);
	assert_string_equal(records[0].type, "TXT");
	assert_string_equal(records[0].name, "acme_verify.shop.brand.test");
	assert_string_equal(records[0].value, "cafe.verify.acme-saas.test");
	assert_string_equal(records[1].type, "CNAME");
	assert_string_equal(records[1].name, "shop.brand.test");
	assert_string_equal(records[1].value, "nlb.acme-saas.test");
	assert_null(records[1].note);
	config_free(config);
}

static void apex_gets_every_address(void **state)
{
	(void)state;
	struct config *config =
	    loaded("--apex-addresses=192.0.2.1, 192.0.2.2", "--apex-addresses=2001:DB8::1");
	struct record records[RECORDS_MAX];
	assert_int_equal(records_of(config, config->txt_label, "brand.test", "default", "cafe", records), 4);
	assert_string_equal(records[1].type, "A");
	assert_string_equal(records[1].value, "192.0.2.1");
	assert_string_equal(records[3].type, "AAAA");
	assert_string_equal(records[3].value, "2001:db8::1");
	assert_int_equal(
	    records_of(config, config->txt_label, "shop.brand.test", "default", "cafe", records), 2);
	config_free(config);
}

static void apex_without_addresses_is_told_about_alias(void **state)
{
	(void)state;
	struct config *config = loaded(NULL, NULL);
	struct record records[RECORDS_MAX];
	assert_int_equal(records_of(config, config->txt_label, "brand.test", "default", "cafe", records), 2);
	assert_non_null(records[1].note);
	assert_non_null(strstr(records[1].note, "ALIAS"));
	config_free(config);
}

static void cname_target_may_hold_the_tenant(void **state)
{
	(void)state;
	struct config *config = loaded("--cname-target={tenant}.edge.acme-saas.test", NULL);
	char target[HOSTNAME_MAX + 1];
	our_place_target(&config->place, "brand-7", target);
	assert_string_equal(target, "brand-7.edge.acme-saas.test");
	config_free(config);
}

static void name_without_room_for_the_label_does_not_fit(void **state)
{
	(void)state;
	struct config *config = loaded(NULL, NULL);
	char name[HOSTNAME_MAX + 1];
	memset(name, 'a', sizeof name);
	name[HOSTNAME_MAX - strlen("acme_verify.")] = '\0';
	assert_true(records_fit(config->txt_label, name));
	strcat(name, "a");
	assert_false(records_fit(config->txt_label, name));
	config_free(config);
}

static void tenants_are_short_slugs(void **state)
{
	(void)state;
	char longest[TENANT_MAX + 2];
	memset(longest, 'a', sizeof longest);
	longest[TENANT_MAX] = '\0';
	assert_true(config_is_tenant("default"));
	assert_true(config_is_tenant("0_a-b"));
	assert_true(config_is_tenant(longest));
	const char *const bad[] = {"", "-a", "_a", "A", "a b", "a/b", "../x", "a'", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(config_is_tenant(bad[i]));
	char over[TENANT_MAX + 2];
	memset(over, 'a', sizeof over);
	over[TENANT_MAX + 1] = '\0';
	assert_false(config_is_tenant(over));
}

static void public_url_gives_the_origin(void **state)
{
	(void)state;
	struct config *config = loaded("--public-url=HTTPS://Panel.acme-saas.test:8443/path", NULL);
	assert_string_equal(config->origin, "https://panel.acme-saas.test:8443");
	assert_true(config->secure_cookie);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bad_settings_are_refused_with_their_name),
	    cmocka_unit_test(token_must_be_one_long_line),
	    cmocka_unit_test(customer_gets_txt_and_cname),
	    cmocka_unit_test(apex_gets_every_address),
	    cmocka_unit_test(apex_without_addresses_is_told_about_alias),
	    cmocka_unit_test(cname_target_may_hold_the_tenant),
	    cmocka_unit_test(name_without_room_for_the_label_does_not_fit),
	    cmocka_unit_test(tenants_are_short_slugs),
	    cmocka_unit_test(public_url_gives_the_origin),
	};
	return cmocka_run_group_tests_name("config", tests, make_token_file, remove_token_file);
}
