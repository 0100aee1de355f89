/* What an operator may give as name, logo and colour of the dashboard, and who may frame it. */
#include "verifier/web/brand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "verifier/web/framing.h"

static const struct setting table[] = {
    {"config", SETTING_FILE, 0, NULL, "File.", NULL, 0, 0}, SETTING_OF_FRAMING, SETTINGS_OF_THE_BRAND};
static const struct settings_program program = {
    .name = "brand-test", .summary = "test", .table = table, .count = sizeof table / sizeof *table};

static struct settings *settings;
static struct brand brand;
static struct error error;

static enum result load(const char *argument)
{
	const char *argv[] = {"brand-test", argument, NULL};
	error = (struct error){""};
	if (settings_load(&settings, &program, argument ? 2 : 1, (char **)argv, &error) != R_OK)
		fail_msg("%s", error.text);
	return brand_load(&brand, settings, &error);
}

static void unload(void)
{
	brand_fini(&brand);
	settings_free(settings);
}

static void refused(const char *argument, const char *word)
{
	assert_int_equal(load(argument), R_INVALID);
	if (!strstr(error.text, word))
		fail_msg("\"%s\" does not say \"%s\"", error.text, word);
	unload();
}

static void names_are_short_and_printable(void **state)
{
	(void)state;
	assert_int_equal(load("--brand-name=Caf\xc3\xa9 & <Sons>"), R_OK);
	assert_string_equal(brand.name, "Caf\xc3\xa9 & <Sons>");
	unload();
	refused("--brand-name=two\nlines", "brand-name");
	refused("--brand-name=\xff", "UTF-8");
	refused("--brand-name=", "brand-name");
	refused("--brand-name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "60 bytes");
}

static void color_is_shaded_for_light_and_dark(void **state)
{
	(void)state;
	assert_int_equal(load("--brand-color=#ffd400"), R_OK);
	const char *css = buf_string(&brand.css);
	assert_non_null(strstr(css, "@media (prefers-color-scheme: dark)"));
	assert_non_null(strstr(css, "--brand: #ffd400")); /* on dark it is read as it is */
	assert_non_null(strstr(css, "--on-brand: #000000"));
	assert_null(strstr(css, "--accent: #ffd400;\n}\n@media")); /* on light it is not */
	unload();
	refused("--brand-color=teal", "#0f766e");
	refused("--brand-color=#12345;}*{display:none", "brand-color");
}

static enum result load_logo(const char *bytes, size_t size)
{
	char path[] = "/tmp/brand-test.XXXXXX", argument[64];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	snprintf(argument, sizeof argument, "--brand-logo-file=%s", path);
	enum result result = load(argument);
	unlink(path);
	return result;
}

static void logo_refused(const char *text, const char *word)
{
	if (load_logo(text, strlen(text)) != R_INVALID || !strstr(error.text, word))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, error.text, word);
	unload();
}

static void logos_are_svg_or_png(void **state)
{
	(void)state;
	static const char svg[] =
	    "<?xml version=\"1.0\"?>\n<!-- on a=b --><SVG xmlns='http://www.w3.org/2000/svg' "
	    "onion-ring='1'><g/></SVG>";
	static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR and so on";
	assert_int_equal(load_logo(svg, sizeof svg - 1), R_OK);
	assert_string_equal(brand.logo_type, "image/svg+xml");
	unload();
	assert_int_equal(load_logo(png, sizeof png - 1), R_OK);
	assert_string_equal(brand.logo_type, "image/png");
	unload();
	assert_int_equal(load_logo("<svg>\0<script>", 14), R_INVALID);
	unload();
	logo_refused("GIF89a", "neither SVG nor PNG");
	logo_refused("<html></html>", "neither SVG nor PNG");
	logo_refused("", "neither SVG nor PNG");
	refused("--brand-logo-file=/dev/null", "neither");
}

static void logos_with_scripts_are_refused(void **state)
{
	(void)state;
	logo_refused("<svg><ScRipt>alert(1)</script></svg>", "<script");
	logo_refused("<svg ONLOAD = 'alert(1)'/>", "attribute");
	logo_refused("<svg><rect fill='red'onclick=\"alert(1)\"/></svg>", "attribute");
	logo_refused("<svg><a href=' JavaScript:alert(1)'/></svg>", "javascript:");
	logo_refused("<svg><foreignObject/></svg>", "foreignobject");
	logo_refused("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", "<!entity");
}

static void logo_of_any_size_is_refused_or_held(void **state)
{
	(void)state;
	char *big = malloc(BRAND_LOGO_MAX + 1);
	memset(big, ' ', BRAND_LOGO_MAX + 1);
	memcpy(big, "<svg>", 5);
	assert_int_equal(load_logo(big, BRAND_LOGO_MAX), R_OK);
	unload();
	assert_int_equal(load_logo(big, BRAND_LOGO_MAX + 1), R_INVALID);
	unload();
	free(big);
}

static void framing(const char *argument, const char *wanted)
{
	char *out = NULL;
	assert_int_equal(load(argument), R_OK);
	enum result result = framing_load(&out, settings, &error);
	if (wanted && (result != R_OK || !out || strcmp(out, wanted) != 0))
		fail_msg("%s: \"%s\" %s", argument, out ? out : "", error.text);
	if (!wanted && (result != R_INVALID || !strstr(error.text, "portal-frame-ancestors")))
		fail_msg("%s is taken", argument);
	free(out);
	unload();
}

static void framers_are_origins(void **state)
{
	(void)state;
	char *out = (char *)"";
	assert_int_equal(load(NULL), R_OK);
	assert_int_equal(framing_load(&out, settings, &error), R_OK);
	assert_null(out);
	unload();
	framing("--portal-frame-ancestors=https://app.acme-saas.test,http://127.0.0.1:8080",
	    "https://app.acme-saas.test http://127.0.0.1:8080");
	static const char *const wrong[] = {"*", "https://*.acme-saas.test", "app.acme-saas.test", "https://",
	    "https:", "https://app.test/path", "https://app.test; script-src *", "https://app.test 'self'",
	    "data:", "https://App.test", "https://:80"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char argument[100];
		snprintf(argument, sizeof argument, "--portal-frame-ancestors=%s", wrong[i]);
		framing(argument, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_short_and_printable),
	    cmocka_unit_test(color_is_shaded_for_light_and_dark),
	    cmocka_unit_test(logos_are_svg_or_png),
	    cmocka_unit_test(logos_with_scripts_are_refused),
	    cmocka_unit_test(logo_of_any_size_is_refused_or_held),
	    cmocka_unit_test(framers_are_origins),
	};
	return cmocka_run_group_tests_name("brand", tests, NULL, NULL);
}
