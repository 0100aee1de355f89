#include "edge/http/http_date.h"

#include <time.h>

#include "common/base/clock.h"

/* The process never leaves the C locale. */
const char *http_date_now(void)
{
	static _Thread_local char text[40];
	static _Thread_local time_t written;
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm parts;

	if (now == written)
		return text;
	gmtime_r(&now, &parts);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
	written = now;
	return text;
}
