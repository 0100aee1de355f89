#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/net/net.h"
#include "common/settings/settings_internal.h"

enum { URL_MAX = 2048 };

struct unit {
	const char *text;
	int64_t factor;
};

/* Largest first, so that a bound is shown in the largest unit that divides it. */
static const struct unit durations[] = {
    {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit sizes[] = {
    {"T", INT64_C(1) << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *units_of(const struct setting *setting)
{
	return setting->type == SETTING_DURATION ? durations : setting->type == SETTING_BYTES ? sizes : plain;
}

/* Digits and a unit; a minus only for plain numbers. False: not that, or beyond 64 bits. */
static bool parse_number(int64_t *out, const char *text, const struct unit *units)
{
	bool negative = units == plain && text[0] == '-';
	text += negative;
	size_t digits = strspn(text, "0123456789");
	int64_t value = 0;
	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, text[i] - '0', &value))
			return false;
	const struct unit *unit = units;
	while (unit->text != NULL && strcmp(unit->text, text + digits) != 0)
		unit++;
	/* No duration needs a unit when it is nothing. */
	int64_t factor = unit->text != NULL ? unit->factor : 0;
	bool is_zero = value == 0 && text[digits] == '\0';
	if (digits == 0 || (factor == 0 && !is_zero) || __builtin_mul_overflow(value, factor, &value))
		return false;
	*out = negative ? -value : value;
	return true;
}

static const char *format_number(char text[32], int64_t value, const struct unit *units)
{
	while (units[1].text != NULL && (value == 0 || value % units->factor != 0))
		units++;
	snprintf(text, 32, "%" PRId64 "%s", value / units->factor, value == 0 ? "" : units->text);
	return text;
}

static enum result check_number(
    const struct setting *setting, const char *text, int64_t *number, struct error *error)
{
	const struct unit *units = units_of(setting);
	if (!parse_number(number, text, units)) {
		error_set(error, "`%s` is not %s", text,
		    units == durations
			? "a duration: write a whole number and its unit, as in 250ms, 30s, 5m, 12h, 7d"
		    : units == sizes ? "a size: write bytes, or a whole number with K, M, G or T, as in 64M"
				     : "a whole number");
		return R_INVALID;
	}
	bool limited = setting->min != 0 || setting->max != 0;
	if (!limited || (*number >= setting->min && *number <= setting->max))
		return R_OK;
	char least[32], most[32];
	error_set(error, "`%s` is out of range: from %s to %s", text,
	    format_number(least, setting->min, units), format_number(most, setting->max, units));
	return R_INVALID;
}

static enum result check_switch(const char *text, int64_t *number, struct error *error)
{
	*number = strcmp(text, "on") == 0;
	if (*number || strcmp(text, "off") == 0)
		return R_OK;
	error_set(error, "`%s` is neither on nor off", text);
	return R_INVALID;
}

static enum result check_choice(const struct setting *setting, const char *text, struct error *error)
{
	size_t size = strlen(text);
	for (const char *choice = setting->choices; *choice != '\0';) {
		size_t length = strcspn(choice, "|");
		if (length == size && memcmp(choice, text, size) == 0)
			return R_OK;
		choice += length;
		choice += *choice == '|';
	}
	error_set(error, "`%s` is not one of %s", text, setting->choices);
	return R_INVALID;
}

/* host[:port] of a URL, `size` bytes. */
static bool is_good_authority(const char *authority, size_t size)
{
	char text[URL_MAX + 8];
	const char *bracket = memchr(authority, ']', size);
	const char *after = bracket == NULL ? authority : bracket;
	bool has_port = memchr(after, ':', size - (size_t)(after - authority)) != NULL;
	snprintf(text, sizeof text, "%.*s%s", (int)size, authority, has_port ? "" : ":0");
	return size > 0 && authority[0] != ':' && net_check_address(text, NULL) == R_OK;
}

static enum result check_url(const char *text, struct error *error)
{
	size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
			: strncasecmp(text, "https://", 8) == 0 ? 8
								: 0;
	if (scheme == 0) {
		error_set(error, "`%s` is not a URL: it starts with http:// or https://", text);
		return R_INVALID;
	}
	size_t size = strlen(text);
	for (const char *c = text; *c != '\0'; c++) {
		if (size > URL_MAX || !isgraph((unsigned char)*c)) {
			error_set(error, "the URL %s",
			    size > URL_MAX ? "is longer than 2,048 bytes"
					   : "holds a blank or a byte outside ASCII");
			return R_INVALID;
		}
	}
	const char *authority = text + scheme;
	size_t length = strcspn(authority, "/?#");
	if (memchr(authority, '@', length) != NULL) {
		error_set(error, "the URL holds a user name; give credentials by the setting for them");
		return R_INVALID;
	}
	if (is_good_authority(authority, length))
		return R_OK;
	error_set(error, "`%s` is not a URL: after %.*s comes a host, and perhaps a port from 0 to 65535",
	    text, (int)scheme, text);
	return R_INVALID;
}

static enum result check(
    const struct setting *setting, const char *text, int64_t *number, struct error *error)
{
	switch (setting->type) {
	case SETTING_STRING: return R_OK;
	case SETTING_SWITCH: return check_switch(text, number, error);
	case SETTING_INTEGER:
	case SETTING_BYTES:
	case SETTING_DURATION: return check_number(setting, text, number, error);
	case SETTING_CHOICE: return check_choice(setting, text, error);
	case SETTING_ADDRESS: return net_check_address(text, error);
	case SETTING_URL: return check_url(text, error);
	case SETTING_FILE: return file_check_readable(text, error);
	}
	return R_INVALID;
}

enum result settings_check_value(
    const struct setting *setting, const char *text, int64_t *number, struct error *error)
{
	*number = 0;
	enum result result = check(setting, text, number, error);
	if (result == R_OK)
		return R_OK;
	if (setting->flags & SETTING_SECRET)
		error_set(error, "the value is not good (it is secret, so it is not shown)");
	return R_INVALID;
}

const char *settings_value_word(const struct setting *setting)
{
	switch (setting->type) {
	case SETTING_STRING: return "TEXT";
	case SETTING_SWITCH: return "on|off";
	case SETTING_INTEGER: return "NUMBER";
	case SETTING_BYTES: return "BYTES";
	case SETTING_DURATION: return "DURATION";
	case SETTING_CHOICE: return setting->choices;
	case SETTING_ADDRESS: return "ADDRESS";
	case SETTING_URL: return "URL";
	case SETTING_FILE: return "FILE";
	}
	return "TEXT";
}
