#include "edge/front/h2_limits.h"

enum {
	THOUSAND = 1000,
	/* What a response pays for comes when its reader gets to it, with megabytes on the way to him. */
	SAVED_MOST = 8192,
};

/* Browsers drop all of a page's streams when their reader moves on. Apps on gRPC send a PING a second or so,
 * and one for each burst of data; some libraries a WINDOW_UPDATE, or two, for each DATA frame. */
static const struct {
	enum h2_end end;
	int64_t most;
	int64_t per_s;
} purses[H2_LIMITS] = {
    [H2_LIMIT_RESETS] = {H2_END_CLIENT_RESETS, 512, 32},
    [H2_LIMIT_OWN_RESETS] = {H2_END_STREAM_ERRORS, 128, 8},
    [H2_LIMIT_IDLE_FRAMES] = {H2_END_IDLE_FRAMES, 1024, 64},
};

static int64_t lessened(int64_t thousandths, int64_t elapsed_ms, int64_t per_s)
{
	int64_t left = thousandths - elapsed_ms * per_s;

	if (thousandths <= 0)
		return thousandths;
	return left > 0 ? left : 0;
}

bool h2_limits_spend(struct h2_limits *limits, enum h2_limit limit, int64_t now_ms)
{
	int64_t *spent = &limits->spent[limit];

	*spent = lessened(*spent, now_ms - limits->at_ms[limit], purses[limit].per_s) + THOUSAND;
	limits->at_ms[limit] = now_ms;
	return *spent <= purses[limit].most * THOUSAND;
}

void h2_limits_earn(struct h2_limits *limits, int frames)
{
	int64_t *spent = &limits->spent[H2_LIMIT_IDLE_FRAMES];

	*spent -= (int64_t)frames * THOUSAND;
	if (*spent < -(int64_t)SAVED_MOST * THOUSAND)
		*spent = -(int64_t)SAVED_MOST * THOUSAND;
}

enum h2_end h2_limit_end(enum h2_limit limit)
{
	return purses[limit].end;
}

int64_t h2_limits_held_slots(struct h2_limits *limits, int64_t now_ms)
{
	limits->slots = lessened(limits->slots, now_ms - limits->slots_at_ms, H2_SLOTS_FREED_PER_S);
	limits->slots_at_ms = now_ms;
	return (limits->slots + THOUSAND - 1) / THOUSAND;
}

void h2_limits_hold_slot(struct h2_limits *limits, int64_t now_ms)
{
	h2_limits_held_slots(limits, now_ms);
	limits->slots += THOUSAND;
}
