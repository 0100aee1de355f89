#include "edge/upstream/upstream_waiter.h"

#include <stdlib.h>

#include "common/base/mem.h"

struct upstream_waiter {
	struct upstream_call call;
	struct loop *loop;
	struct upstream_wait_list *list; /* NULL: it has failed, and is not yet closed */
	TAILQ_ENTRY(upstream_waiter) entry;
	const struct upstream_user *user;
	void *arg;
	struct buf request; /* at rest */
	struct upstream_request about;
	bool wants_room;
	struct loop_task free_task;
};

static struct upstream_waiter *waiter_of(struct upstream_call *call)
{
	return (struct upstream_waiter *)(void *)call;
}

static void on_free(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_waiter, free_task));
}

static void leave_list(struct upstream_waiter *waiter)
{
	TAILQ_REMOVE(&waiter->list->waiters, waiter, entry);
	waiter->list->count--;
	waiter->list = NULL;
}

static void dispose(struct upstream_waiter *waiter)
{
	buf_fini(&waiter->request);
	loop_defer(waiter->loop, &waiter->free_task);
}

static void attach(struct upstream_call *call, const struct upstream_user *user, void *arg)
{
	waiter_of(call)->user = user;
	waiter_of(call)->arg = arg;
}

static void start(struct upstream_call *call, struct buf *request, const struct upstream_request *about)
{
	struct upstream_waiter *waiter = waiter_of(call);

	waiter->request = *request;
	buf_init(request, UPSTREAM_OUT_MAX);
	waiter->about = *about;
	waiter->wants_room = about->was_elsewhere && !about->is_whole;
}

/* As much as a connection would take before it writes. */
static size_t send_some(struct upstream_call *call, const char *bytes, size_t size)
{
	struct upstream_waiter *waiter = waiter_of(call);
	size_t overhead = waiter->about.body == HTTP_BODY_CHUNKED ? H1_CHUNK_OVERHEAD : 0;
	size_t held = buf_size(&waiter->request);
	size_t room = held + overhead < UPSTREAM_SEND_BUFFER ? UPSTREAM_SEND_BUFFER - held - overhead : 0;
	size_t some = size < room ? size : room;

	waiter->about.expects_continue = false;
	if (some > 0 && overhead > 0)
		h1_write_chunk(&waiter->request, bytes, some);
	else
		buf_append(&waiter->request, bytes, some);
	waiter->wants_room = some < size;
	return some;
}

static void send_end(struct upstream_call *call, const struct http_head *trailers)
{
	struct upstream_waiter *waiter = waiter_of(call);

	if (waiter->about.body == HTTP_BODY_CHUNKED)
		h1_write_last_chunk(&waiter->request, trailers);
	waiter->about.is_whole = true;
}

static void do_nothing(struct upstream_call *call)
{
	(void)call;
}

static enum result recover(struct upstream_call *call, struct buf *out)
{
	struct upstream_waiter *waiter = waiter_of(call);

	buf_fini(out);
	*out = waiter->request;
	buf_init(&waiter->request, UPSTREAM_OUT_MAX);
	return R_OK;
}

static void close_waiter(struct upstream_call *call)
{
	struct upstream_waiter *waiter = waiter_of(call);
	struct upstream_wait_list *list = waiter->list;

	if (list)
		leave_list(waiter);
	dispose(waiter);
	if (list && list->count == 0)
		list->on_empty(list);
}

static bool has_sent_all(const struct upstream_call *call)
{
	(void)call;
	return false;
}

static bool was_used(const struct upstream_call *call)
{
	(void)call;
	return false;
}

static int64_t connect_us(const struct upstream_call *call)
{
	(void)call;
	return -1;
}

static uint32_t reset_code(const struct upstream_call *call)
{
	(void)call;
	return 0;
}

static const struct upstream_call_kind waiter_kind = {
    .attach = attach,
    .start = start,
    .send = send_some,
    .send_end = send_end,
    .flush = do_nothing,
    .has_sent_all = has_sent_all,
    .resume = do_nothing,
    .recover = recover,
    .close = close_waiter,
    .was_used = was_used,
    .connect_us = connect_us,
    .reset_code = reset_code,
};

void upstream_wait_list_init(
    struct upstream_wait_list *list, void (*on_empty)(struct upstream_wait_list *list))
{
	TAILQ_INIT(&list->waiters);
	list->count = 0;
	list->on_empty = on_empty;
}

struct upstream_call *upstream_waiter_new(struct loop *loop, struct upstream_wait_list *list)
{
	struct upstream_waiter *waiter = mem_alloc(sizeof *waiter);

	waiter->call.kind = &waiter_kind;
	waiter->loop = loop;
	waiter->list = list;
	waiter->free_task.run = on_free;
	buf_init(&waiter->request, UPSTREAM_OUT_MAX);
	TAILQ_INSERT_TAIL(&list->waiters, waiter, entry);
	list->count++;
	return &waiter->call;
}

void upstream_waiters_move_first(struct upstream_wait_list *list, struct upstream_call *call)
{
	struct upstream_waiter *waiter = TAILQ_FIRST(&list->waiters);

	leave_list(waiter);
	waiter->about.was_elsewhere = waiter->wants_room;
	upstream_call_attach(call, waiter->user, waiter->arg);
	upstream_call_start(call, &waiter->request, &waiter->about);
	waiter->user->on_moved(waiter->arg, call);
	dispose(waiter);
}

void upstream_waiters_join_first(struct upstream_wait_list *to, struct upstream_wait_list *from)
{
	struct upstream_waiter *waiter = TAILQ_FIRST(&from->waiters);

	leave_list(waiter);
	waiter->list = to;
	TAILQ_INSERT_TAIL(&to->waiters, waiter, entry);
	to->count++;
}

void upstream_waiters_fail(struct upstream_wait_list *list, enum upstream_failure failure)
{
	struct upstream_waiter *waiter = NULL;

	while ((waiter = TAILQ_FIRST(&list->waiters))) {
		leave_list(waiter);
		waiter->user->on_failed(waiter->arg, failure);
	}
}
