#include "common/dns/resolver_contexts.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/dns/resolver_setup.h"
#include "common/log/log.h"

/* Who checks one domain again and again within YOUNG_MS gets a fresh context each time, until EXTRA_MAX live.
 */
enum { YOUNG_MS = 500, EXTRA_MAX = 16, POLLED_MAX = 64, SUBJECTS_MAX = 1024 };

struct resolver_context {
	struct resolver_context *next;
	struct ub_ctx *ub;
	int64_t born_ms;
	size_t users;
	size_t subject_count;
	uint64_t subjects[SUBJECTS_MAX]; /* hashes */
};

struct resolver_contexts {
	struct resolver_options options;
	pthread_t thread;
	int wake_fd; /* the list changed, or it is time to stop */
	pthread_mutex_t lock;
	bool stopping;
	struct resolver_context
	    *first; /* the youngest; guarded by the lock, removed from by the thread only */
};

/* Making and ending contexts touches locks that are global in libunbound, without a lock of its own. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* Takes what nobody uses any more off the list. The youngest stays: the next look-up may still have it. */
static struct resolver_context *unlink_unused(struct resolver_contexts *contexts)
{
	struct resolver_context *unused = NULL;
	struct resolver_context **link = contexts->first ? &contexts->first->next : &contexts->first;
	while (*link) {
		struct resolver_context *at = *link;
		if (at->users) {
			link = &at->next;
			continue;
		}
		*link = at->next;
		at->next = unused;
		unused = at;
	}
	return unused;
}

static void free_list(struct resolver_context *first)
{
	while (first) {
		struct resolver_context *next = first->next;
		pthread_mutex_lock(&library);
		ub_ctx_delete(first->ub);
		pthread_mutex_unlock(&library);
		free(first);
		first = next;
	}
}

static size_t list_polled(struct resolver_contexts *contexts, struct resolver_context *polled[POLLED_MAX])
{
	size_t count = 0;
	for (struct resolver_context *at = contexts->first; at && count < POLLED_MAX; at = at->next)
		polled[count++] = at;
	return count;
}

static void poll_once(
    struct resolver_contexts *contexts, struct resolver_context *const polled[], size_t count)
{
	struct pollfd fds[POLLED_MAX + 1] = {{.fd = contexts->wake_fd, .events = POLLIN}};
	eventfd_t ignored;
	for (size_t i = 0; i < count; i++)
		fds[i + 1] = (struct pollfd){.fd = ub_fd(polled[i]->ub), .events = POLLIN};
	if (poll(fds, count + 1, -1) < 0)
		return;
	if (fds[0].revents)
		eventfd_read(contexts->wake_fd, &ignored);
	for (size_t i = 0; i < count; i++)
		if (fds[i + 1].revents)
			ub_process(polled[i]->ub);
}

/* libunbound works on threads of its own; this one takes their results and runs the callbacks. */
static void *contexts_run(void *arg)
{
	struct resolver_contexts *contexts = arg;
	struct resolver_context *polled[POLLED_MAX];
	for (;;) {
		pthread_mutex_lock(&contexts->lock);
		struct resolver_context *unused = unlink_unused(contexts);
		size_t count = list_polled(contexts, polled);
		bool stopping = contexts->stopping;
		pthread_mutex_unlock(&contexts->lock);
		free_list(unused);
		if (stopping)
			return NULL;
		poll_once(contexts, polled, count);
	}
}

static enum result add_context(struct resolver_contexts *contexts, struct error *error)
{
	struct ub_ctx *ub = NULL;
	pthread_mutex_lock(&library);
	enum result result = resolver_setup(&ub, &contexts->options, error);
	pthread_mutex_unlock(&library);
	if (result != R_OK)
		return result;
	struct resolver_context *context = mem_alloc(sizeof *context);
	context->ub = ub;
	context->born_ms = clock_monotonic_ms();
	context->next = contexts->first;
	contexts->first = context;
	return R_OK;
}

static void ignore_answer(void *arg, int failure, struct ub_result *result)
{
	(void)arg;
	(void)failure;
	ub_resolve_free(result);
}

/* The library reads root hints only when its thread starts: a name that it answers by itself starts it. */
static enum result try_first(struct resolver_contexts *contexts, struct error *error)
{
	enum { TYPE_A = 1, CLASS_IN = 1 };
	struct ub_ctx *ub = contexts->first->ub;
	int failure = ub_resolve_async(ub, "localhost", TYPE_A, CLASS_IN, NULL, ignore_answer, NULL);
	if (!failure)
		failure = ub_wait(ub);
	if (!failure)
		return R_OK;
	if (contexts->options.root_hints)
		error_set(error, "dns-root-hints: %s holds no root hints", contexts->options.root_hints);
	else
		error_set(error, "the DNS resolver does not start: %s", ub_strerror(failure));
	return R_INVALID;
}

static const char *const *copy_list(const char *const *list, size_t count)
{
	const char **copy = mem_alloc_array(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = mem_string(list[i]);
	return copy;
}

static void free_strings(const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		free((char *)list[i]);
	free((void *)list);
}

enum result resolver_contexts_new(
    struct resolver_contexts **out, const struct resolver_options *options, struct error *error)
{
	struct resolver_contexts *contexts = mem_alloc(sizeof *contexts);
	contexts->options = *options;
	contexts->options.servers = copy_list(options->servers, options->server_count);
	contexts->options.stubs = copy_list(options->stubs, options->stub_count);
	contexts->options.root_hints = mem_string(options->root_hints);
	contexts->options.trust_anchor = mem_string(options->trust_anchor);
	pthread_mutex_init(&contexts->lock, NULL);
	contexts->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* The first one shows whether the options are right. */
	enum result result = add_context(contexts, error);
	if (result == R_OK)
		result = try_first(contexts, error);
	if (result == R_OK &&
	    (contexts->wake_fd < 0 || pthread_create(&contexts->thread, NULL, contexts_run, contexts) != 0)) {
		error_set(error, "cannot start the DNS resolver's thread: %s", strerror(errno));
		result = R_ERROR;
	}
	if (result != R_OK) {
		contexts->thread = 0;
		resolver_contexts_free(contexts);
		return result;
	}
	*out = contexts;
	return R_OK;
}

void resolver_contexts_free(struct resolver_contexts *contexts)
{
	if (!contexts)
		return;
	if (contexts->thread) {
		pthread_mutex_lock(&contexts->lock);
		contexts->stopping = true;
		pthread_mutex_unlock(&contexts->lock);
		eventfd_write(contexts->wake_fd, 1);
		pthread_join(contexts->thread, NULL);
	}
	free_list(contexts->first);
	if (contexts->wake_fd >= 0)
		close(contexts->wake_fd);
	pthread_mutex_destroy(&contexts->lock);
	free_strings(contexts->options.servers);
	free_strings(contexts->options.stubs);
	free((char *)contexts->options.root_hints);
	free((char *)contexts->options.trust_anchor);
	free(contexts);
}

/* FNV-1a: two subjects of one hash cost a context more, nothing else. */
static uint64_t hash_of(const char *subject)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *subject; subject++)
		hash = (hash ^ (unsigned char)*subject) * UINT64_C(1099511628211);
	return hash;
}

static bool has_served(const struct resolver_context *context, uint64_t subject)
{
	for (size_t i = 0; i < context->subject_count; i++)
		if (context->subjects[i] == subject)
			return true;
	return context->subject_count == SUBJECTS_MAX;
}

static bool is_usable(const struct resolver_contexts *contexts, uint64_t subject)
{
	const struct resolver_context *first = contexts->first;
	if (!first || clock_monotonic_ms() - first->born_ms >= YOUNG_MS)
		return false;
	size_t live = 0;
	for (const struct resolver_context *at = first; at; at = at->next)
		live++;
	return live >= EXTRA_MAX || !has_served(first, subject);
}

struct resolver_context *resolver_contexts_take(
    struct resolver_contexts *contexts, const char *subject, size_t users)
{
	struct error error = {""};
	uint64_t hash = hash_of(subject);
	pthread_mutex_lock(&contexts->lock);
	bool usable = is_usable(contexts, hash);
	bool ready = usable || add_context(contexts, &error) == R_OK;
	struct resolver_context *context = ready ? contexts->first : NULL;
	if (context) {
		context->users += users;
		if (!has_served(context, hash))
			context->subjects[context->subject_count++] = hash;
	}
	pthread_mutex_unlock(&contexts->lock);
	if (!context)
		log_warn("DNS cannot be asked", log_str("error", error.text));
	else if (!usable)
		eventfd_write(contexts->wake_fd, 1);
	return context;
}

void resolver_contexts_give(struct resolver_contexts *contexts, struct resolver_context *context)
{
	if (!context)
		return;
	pthread_mutex_lock(&contexts->lock);
	bool last = --context->users == 0 && context != contexts->first;
	pthread_mutex_unlock(&contexts->lock);
	if (last)
		eventfd_write(contexts->wake_fd, 1);
}

struct ub_ctx *resolver_context_ub(const struct resolver_context *context)
{
	return context->ub;
}
