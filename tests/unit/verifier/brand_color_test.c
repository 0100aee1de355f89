/* Any colour that an operator may have is read on light and dark grounds. */
#include "verifier/web/brand_color.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct brand_color black = {0, 0, 0}, white = {255, 255, 255};

static void contrast_is_that_of_wcag(void **state)
{
	(void)state;
	const struct brand_color grey = {0x76, 0x76, 0x76}, red = {255, 0, 0};
	assert_float_equal(brand_color_contrast(black, white), 21, 0.01);
	assert_float_equal(brand_color_contrast(white, white), 1, 0.01);
	assert_float_equal(brand_color_contrast(grey, white), 4.54, 0.01);
	assert_float_equal(brand_color_contrast(white, red), 4.00, 0.01);
}

static void colors_are_six_hex_digits(void **state)
{
	(void)state;
	struct brand_color color;
	assert_true(brand_color_parse(&color, "#0f766E"));
	assert_int_equal(color.red, 0x0f);
	assert_int_equal(color.green, 0x76);
	assert_int_equal(color.blue, 0x6e);
	static const char *const wrong[] = {
	    "", "#", "0f766e", "#0f766", "#0f766e0", "#0f766g", "#+f766e", "# f766e", "teal", "#0f766e;"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_false(brand_color_parse(&color, wrong[i]));
}

static void each_color_becomes_readable(void **state)
{
	(void)state;
	static const struct brand_color grounds[] = {{0xee, 0xf1, 0xf5}, {0x22, 0x2c, 0x37}};
	for (int value = 0; value < 1 << 24; value += 4099) {
		struct brand_color color = {
		    (uint8_t)(value >> 16), (uint8_t)(value >> 8 & 255), (uint8_t)(value & 255)};
		assert_true(brand_color_contrast(brand_color_text(color), color) >= 4.5);
		for (size_t i = 0; i < 2; i++) {
			struct brand_color shade = brand_color_readable(color, grounds[i], 4.5);
			assert_true(brand_color_contrast(shade, grounds[i]) >= 4.5);
		}
	}
}

static void readable_color_stays(void **state)
{
	(void)state;
	const struct brand_color teal = {0x0f, 0x76, 0x6e};
	struct brand_color shade = brand_color_readable(teal, white, 4.5);
	assert_memory_equal(&shade, &teal, sizeof teal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(contrast_is_that_of_wcag),
	    cmocka_unit_test(colors_are_six_hex_digits),
	    cmocka_unit_test(each_color_becomes_readable),
	    cmocka_unit_test(readable_color_stays),
	};
	return cmocka_run_group_tests_name("brand_color", tests, NULL, NULL);
}
