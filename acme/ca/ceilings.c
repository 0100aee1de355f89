#include "acme/ca/ceilings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, COUNT_MAX = 1000 * 1000 * 1000 };

static const char *const names[BUDGET_CEILINGS] = {
    [BUDGET_ACCOUNTS] = "accounts",
    [BUDGET_ORDERS] = "orders",
    [BUDGET_DOMAIN] = "domain",
    [BUDGET_EXACT] = "exact",
    [BUDGET_FAILURES] = "failures",
    [BUDGET_REQUESTS] = "requests",
};

const char *ceiling_name(enum budget_ceiling ceiling)
{
	return names[ceiling];
}

static bool parse_period(const char *text, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', HOUR_S}, {'d', DAY_S}};
	char *end = NULL;
	int64_t count = strtoll(text, &end, 10);
	if (end == text || text[0] < '0' || text[0] > '9' || count < 1 || count > 366 || strlen(end) != 1)
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (units[i].unit == *end) {
			*seconds = count * units[i].seconds;
			return true;
		}
	return false;
}

enum result ceiling_parse(struct ceiling *out, const char *text, struct error *error)
{
	char *end = NULL;
	int64_t count = strtoll(text, &end, 10);
	*out = (struct ceiling){.count = 0};
	if (strcmp(text, "0") == 0)
		return R_OK;
	bool is_count = end != text && text[0] >= '0' && text[0] <= '9' && count >= 1 && count <= COUNT_MAX;
	if (!is_count || *end != '/' || !parse_period(end + 1, &out->period_s)) {
		error_set(error,
		    "`%.100s` is not a number in a time: write 300/3h or 50/7d, or 0 for no ceiling", text);
		return R_INVALID;
	}
	out->count = count;
	return R_OK;
}

void ceilings_of_directory(
    struct ceilings *out, const struct ceilings_settings *settings, const char *directory)
{
	static const struct {
		const char *host;
		struct ceilings budget;
	} known[] = {
	    {"https://acme-v02.api.letsencrypt.org/", {{[BUDGET_ACCOUNTS] = {10, 3 * HOUR_S},
							  [BUDGET_ORDERS] = {300, 3 * HOUR_S},
							  [BUDGET_DOMAIN] = {45, 7 * DAY_S},
							  [BUDGET_EXACT] = {5, 7 * DAY_S},
							  [BUDGET_FAILURES] = {5, HOUR_S},
							  [BUDGET_REQUESTS] = {200, 1}}}},
	    {"https://acme-staging-v02.api.letsencrypt.org/", {{[BUDGET_ACCOUNTS] = {50, 3 * HOUR_S},
								  [BUDGET_ORDERS] = {1500, 3 * HOUR_S},
								  [BUDGET_DOMAIN] = {30000, 7 * DAY_S},
								  [BUDGET_EXACT] = {30000, 7 * DAY_S},
								  [BUDGET_FAILURES] = {200, HOUR_S},
								  [BUDGET_REQUESTS] = {200, 1}}}},
	};
	*out = (struct ceilings){0};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strncasecmp(directory, known[i].host, strlen(known[i].host)) == 0)
			*out = known[i].budget;
	for (int at = 0; at < BUDGET_CEILINGS; at++)
		if (settings->is_set[at])
			out->rules[at] = settings->rules[at];
}
