/*
 * The operator's colour, made readable: WCAG 2's contrast, and shades of a colour that have enough of it.
 * Pure.
 */
#ifndef VERIFIER_WEB_BRAND_COLOR_H
#define VERIFIER_WEB_BRAND_COLOR_H

#include <stdbool.h>
#include <stdint.h>

struct brand_color {
	uint8_t red, green, blue;
};

/* #rrggbb */
bool brand_color_parse(struct brand_color *out, const char *text);
/* 1 (the same) to 21 (black and white). */
double brand_color_contrast(struct brand_color a, struct brand_color b);
/* The colour itself, or as little as need be of black or white in it (whichever is further from `ground`)
 * until it stands out from `ground` by `least`, at most 7. */
struct brand_color brand_color_readable(struct brand_color color, struct brand_color ground, double least);
/* Black or white, whichever is better read on it: by 4.5 at least. */
struct brand_color brand_color_text(struct brand_color ground);

#endif
