#include "verifier/web/brand.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clean_text.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "verifier/web/brand_color.h"

/* WCAG 2.1: text by 4.5 (1.4.3), what is to be clicked by 3 (1.4.11). The grounds are those of the style
 * sheet that are hardest to read on. */
static const struct brand_color light = {0xee, 0xf1, 0xf5}, dark = {0x22, 0x2c, 0x37};
static const double text_contrast = 4.5, shape_contrast = 3;

static enum result load_name(struct brand *brand, const struct settings *settings, struct error *error)
{
	char clean[BRAND_NAME_MAX + 2];
	brand->name = settings_string(settings, "brand-name");
	if (brand->name) {
		clean_text(clean, sizeof clean, brand->name);
		if (strcmp(clean, brand->name) == 0 && strlen(clean) <= BRAND_NAME_MAX)
			return R_OK;
	}
	error_set(
	    error, "brand-name: must be 1 to %d bytes of UTF-8 without control characters", BRAND_NAME_MAX);
	return R_INVALID;
}

static void add_shades(struct buf *css, struct brand_color color, struct brand_color ground)
{
	struct brand_color fill = brand_color_readable(color, ground, shape_contrast);
	struct brand_color on_fill = brand_color_text(fill);
	struct brand_color text = brand_color_readable(color, ground, text_contrast);
	buf_append_format(css,
	    ":root {\n\t--brand: #%02x%02x%02x;\n\t--on-brand: #%02x%02x%02x;\n\t--accent: "
	    "#%02x%02x%02x;\n}\n",
	    fill.red, fill.green, fill.blue, on_fill.red, on_fill.green, on_fill.blue, text.red, text.green,
	    text.blue);
}

static enum result load_color(struct brand *brand, const struct settings *settings, struct error *error)
{
	struct brand_color color;
	const char *text = settings_string(settings, "brand-color");
	if (!text || !brand_color_parse(&color, text)) {
		error_set(error, "brand-color: \"%s\" must be # and six hex digits, as in #0f766e",
		    text ? text : "");
		return R_INVALID;
	}
	add_shades(&brand->css, color, light);
	buf_append_string(&brand->css, "@media (prefers-color-scheme: dark) {\n");
	add_shades(&brand->css, color, dark);
	buf_append_string(&brand->css, "}\n");
	return R_OK;
}

static bool is_png(const struct buf *file)
{
	static const char begin[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
	return buf_size(file) > sizeof begin && memcmp(buf_bytes(file), begin, sizeof begin - 1) == 0;
}

/* ` onload=` and its like. */
static bool is_handler(const char *at)
{
	size_t letters = 0;
	if (!strchr(" \t\r\n\"'/", at[0]) || at[1] != 'o' || at[2] != 'n')
		return false;
	while (isalpha((unsigned char)at[3 + letters]))
		letters++;
	at += 3 + letters;
	return letters && at[strspn(at, " \t\r\n")] == '=';
}

/* As an image it runs no scripts anyway, and its own address is served in a sandbox. One that has some is a
 * mistake, better told. `text` is in lower case. */
static const char *find_active(const char *text)
{
	static const char *const words[] = {
	    "<script", "<foreignobject", "<iframe", "<!entity", "<?xml-stylesheet", "javascript:"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strstr(text, words[i]))
			return words[i];
	for (const char *at = text; *at; at++)
		if (is_handler(at))
			return "an on…= attribute";
	return NULL;
}

static enum result check_svg(const struct buf *file, struct error *error)
{
	char *text = mem_copy(buf_bytes(file), buf_size(file));
	size_t size = strlen(text);
	for (size_t i = 0; i < size; i++)
		text[i] = (char)tolower((unsigned char)text[i]);
	const char *start = text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
	bool is_svg =
	    size == buf_size(file) && start[strspn(start, " \t\r\n")] == '<' && strstr(text, "<svg");
	const char *active = is_svg ? find_active(text) : NULL;
	if (!is_svg)
		error_set(error, "brand-logo-file: is neither SVG nor PNG: convert it");
	else if (active)
		error_set(error, "brand-logo-file: the SVG holds %s: save it as a plain picture", active);
	free(text);
	return is_svg && !active ? R_OK : R_INVALID;
}

static enum result load_logo(struct brand *brand, const struct settings *settings, struct error *error)
{
	const char *path = settings_string(settings, "brand-logo-file");
	if (!path)
		return R_OK;
	if (file_read(path, &brand->logo, error) != R_OK) {
		error_prefix(error, "brand-logo-file");
		return R_INVALID;
	}
	brand->logo_type = is_png(&brand->logo) ? "image/png" : "image/svg+xml";
	return is_png(&brand->logo) ? R_OK : check_svg(&brand->logo, error);
}

enum result brand_load(struct brand *out, const struct settings *settings, struct error *error)
{
	buf_init(&out->logo, BRAND_LOGO_MAX);
	buf_init(&out->css, BRAND_CSS_MAX);
	enum result result = load_name(out, settings, error);
	if (result == R_OK)
		result = load_color(out, settings, error);
	return result == R_OK ? load_logo(out, settings, error) : result;
}

void brand_fini(struct brand *brand)
{
	buf_fini(&brand->css);
	buf_fini(&brand->logo);
}
