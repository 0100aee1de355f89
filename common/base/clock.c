#include "common/base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_clock(clockid_t id, int64_t units_per_second)
{
	struct timespec now;
	clock_gettime(id, &now);
	return now.tv_sec * units_per_second + now.tv_nsec / (1000000000 / units_per_second);
}

static int64_t real_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC, 1000000);
}

static int64_t real_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME, 1000);
}

static int64_t (*monotonic_source)(void) = real_monotonic_us;
static int64_t (*wall_source)(void) = real_wall_ms;

int64_t clock_monotonic_us(void)
{
	return monotonic_source();
}

int64_t clock_monotonic_ms(void)
{
	return monotonic_source() / 1000;
}

int64_t clock_wall_ms(void)
{
	return wall_source();
}

void clock_replace(int64_t (*monotonic_us)(void), int64_t (*wall_ms)(void))
{
	monotonic_source = monotonic_us != NULL ? monotonic_us : real_monotonic_us;
	wall_source = wall_ms != NULL ? wall_ms : real_wall_ms;
}
