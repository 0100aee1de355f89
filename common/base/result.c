#include "common/base/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_set(struct error *error, const char *format, ...)
{
	if (error == NULL)
		return;
	/* By way of a copy: the caller may pass error->text as an argument. */
	char text[sizeof error->text];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	memcpy(error->text, text, sizeof text);
}

static void append(struct error *error, const char *text)
{
	size_t used = strlen(error->text);
	size_t size = strnlen(text, sizeof error->text - 1 - used);
	memcpy(error->text + used, text, size);
	error->text[used + size] = '\0';
}

void error_prefix(struct error *error, const char *format, ...)
{
	if (error == NULL)
		return;
	struct error old = *error;
	va_list list;
	va_start(list, format);
	vsnprintf(error->text, sizeof error->text, format, list);
	va_end(list);
	append(error, ": ");
	append(error, old.text);
}

const char *result_name(enum result result)
{
	switch (result) {
	case R_OK: return "ok";
	case R_AGAIN: return "again";
	case R_EOF: return "eof";
	case R_NONE: return "none";
	case R_LIMIT: return "limit";
	case R_INVALID: return "invalid";
	case R_DENIED: return "denied";
	case R_TIMEOUT: return "timeout";
	case R_DOWN: return "down";
	case R_LOST: return "lost";
	case R_ERROR: return "error";
	}
	return "unknown";
}
