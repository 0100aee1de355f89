#include "verifier/web/brand_color.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { STEPS = 40 };

static const struct brand_color black = {0, 0, 0}, white = {255, 255, 255};

bool brand_color_parse(struct brand_color *out, const char *text)
{
	unsigned value = 0;
	bool is_hex = text[0] == '#' && strlen(text) == 7;
	for (size_t i = 1; is_hex && i < 7; i++)
		is_hex = isxdigit((unsigned char)text[i]);
	if (!is_hex || sscanf(text + 1, "%x", &value) != 1)
		return false;
	*out = (struct brand_color){(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
	return true;
}

static double linear(uint8_t channel)
{
	double value = channel / 255.0;
	return value <= 0.04045 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4);
}

static double luminance(struct brand_color color)
{
	return 0.2126 * linear(color.red) + 0.7152 * linear(color.green) + 0.0722 * linear(color.blue);
}

double brand_color_contrast(struct brand_color a, struct brand_color b)
{
	double one = luminance(a) + 0.05, other = luminance(b) + 0.05;
	return one > other ? one / other : other / one;
}

static uint8_t between(uint8_t from, uint8_t to, int step)
{
	return (uint8_t)(from + (to - from) * step / STEPS);
}

struct brand_color brand_color_readable(struct brand_color color, struct brand_color ground, double least)
{
	struct brand_color end = brand_color_text(ground), shade = color;
	for (int step = 1; step <= STEPS && brand_color_contrast(shade, ground) < least; step++)
		shade = (struct brand_color){between(color.red, end.red, step),
		    between(color.green, end.green, step), between(color.blue, end.blue, step)};
	return shade;
}

struct brand_color brand_color_text(struct brand_color ground)
{
	bool dark = brand_color_contrast(ground, white) >= brand_color_contrast(ground, black);
	return dark ? white : black;
}
