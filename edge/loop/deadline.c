#include "edge/loop/deadline.h"

static void on_expire(struct loop_timer *timer)
{
	struct deadline *deadline = loop_owner(timer, struct deadline, timer);
	int64_t now = loop_now(deadline->loop);

	if (deadline->at_ms == 0)
		return;
	if (now < deadline->at_ms) {
		loop_timer_set(deadline->loop, timer, deadline->at_ms - now);
		return;
	}
	deadline->at_ms = 0;
	deadline->on_pass(deadline);
}

void deadline_init(struct deadline *deadline, struct loop *loop, void (*on_pass)(struct deadline *deadline))
{
	*deadline = (struct deadline){.loop = loop, .timer.on_expire = on_expire, .on_pass = on_pass};
}

void deadline_fini(struct deadline *deadline)
{
	loop_timer_clear(deadline->loop, &deadline->timer);
	deadline->at_ms = 0;
}

void deadline_set(struct deadline *deadline, int64_t delay_ms)
{
	deadline->at_ms = loop_now(deadline->loop) + delay_ms;
	if (!loop_timer_is_set(&deadline->timer) || deadline->timer.deadline_ms > deadline->at_ms)
		loop_timer_set(deadline->loop, &deadline->timer, delay_ms);
}
