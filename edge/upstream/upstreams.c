#include "edge/upstream/upstreams.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/loop/loop.h"
#include "edge/upstream/upstreams_internal.h"

/* How long the end waits for a look-up that does not return. */
enum { STOP_MS = 1500 };

/* ---- groups */

static struct upstream_group *group_new(size_t sources)
{
	struct upstream_group *group = mem_alloc(sizeof *group);

	group->sources = mem_alloc_array(sources, sizeof(struct upstream_source *));
	return group;
}

static void group_free(struct upstreams *upstreams, struct upstream_group *group)
{
	for (size_t i = 0; i < group->source_count; i++)
		upstreams_source_drop_locked(upstreams, group->sources[i]);
	upstream_members_unref(group->members);
	free(group->sources);
	free(group->url);
	free(group);
}

static void drop_group(struct upstreams *upstreams, struct upstream_group *group)
{
	name_table_remove(&upstreams->groups, &group->entry);
	TAILQ_REMOVE(&upstreams->by_use, group, by_use);
	group_free(upstreams, group);
}

void upstreams_sweep_locked(struct upstreams *upstreams, int64_t now_ms)
{
	struct upstream_group *group = TAILQ_FIRST(&upstreams->by_use);

	if (now_ms - upstreams->swept_ms < UPSTREAM_GROUP_UNUSED_MS / 4)
		return;
	upstreams->swept_ms = now_ms;
	while (group && now_ms - group->used_ms >= UPSTREAM_GROUP_UNUSED_MS) {
		struct upstream_group *next = TAILQ_NEXT(group, by_use);

		if (group->references == 0)
			drop_group(upstreams, group);
		group = next;
	}
}

/* The least recently used one that nobody uses goes. */
static bool make_room(struct upstreams *upstreams)
{
	struct upstream_group *group = NULL;

	if (upstreams->groups.count < UPSTREAM_GROUPS_MAX)
		return true;
	TAILQ_FOREACH(group, &upstreams->by_use, by_use)
	{
		if (group->references > 0)
			continue;
		drop_group(upstreams, group);
		return true;
	}
	return false;
}

static void refuse_group(struct upstreams *upstreams, const char *url, const char *reason)
{
	metric_add(upstreams->metrics.groups_refused, 1);
	if (log_rate_allows(&upstreams->refused_log))
		log_warn("a domain's own upstream is not taken", log_str("upstream", url),
		    log_str("error", reason));
}

static const struct upstream_probe_plan by_http = {.kind = UPSTREAM_PROBE_HTTP};

/* Takes the group into the table, with its sources. NULL: no room. */
static struct upstream_group *enter_group(struct upstreams *upstreams, const char *key,
    const struct upstream_url *urls, size_t count, const struct upstream_probe_plan *probe)
{
	if (!make_room(upstreams)) {
		refuse_group(upstreams, key, "more different upstreams are in use than there is room for");
		return NULL;
	}
	struct upstream_group *group = group_new(count);
	group->entry.name = group->url = mem_string(key);
	for (size_t i = 0; i < count; i++)
		group->sources[group->source_count++] =
		    upstreams_source_new_locked(upstreams, group, &urls[i], probe);
	name_table_add(&upstreams->groups, &group->entry);
	TAILQ_INSERT_TAIL(&upstreams->by_use, group, by_use);
	upstreams_publish_locked(group);
	pthread_cond_signal(&upstreams->wake);
	return group;
}

static struct upstream_group *add_group(struct upstreams *upstreams, const char *url)
{
	struct upstream_url parts;
	struct error error = {""};

	if (upstream_url_parse(&parts, url, &error) != R_OK) {
		refuse_group(upstreams, url, error.text);
		return NULL;
	}
	return enter_group(upstreams, url, &parts, 1, &by_http);
}

/* The table's, used just now; NULL: it has none. */
static struct upstream_group *known_group(struct upstreams *upstreams, const char *key)
{
	struct name_entry *entry = name_table_find(&upstreams->groups, key);

	if (!entry)
		return NULL;
	struct upstream_group *group = loop_owner(entry, struct upstream_group, entry);
	TAILQ_REMOVE(&upstreams->by_use, group, by_use);
	TAILQ_INSERT_TAIL(&upstreams->by_use, group, by_use);
	return group;
}

static struct upstream_group *take_group(struct upstream_group *group)
{
	if (group) {
		group->references++;
		group->used_ms = clock_monotonic_ms();
	}
	return group;
}

struct upstream_group *upstreams_group(struct upstreams *upstreams, const char *url)
{
	pthread_mutex_lock(&upstreams->lock);
	struct upstream_group *group = url ? known_group(upstreams, url) : upstreams->defaults;
	if (!group)
		group = add_group(upstreams, url);
	take_group(group);
	pthread_mutex_unlock(&upstreams->lock);
	return group;
}

struct upstream_group *upstreams_servers(struct upstreams *upstreams, const struct upstream_servers *servers)
{
	pthread_mutex_lock(&upstreams->lock);
	struct upstream_group *group = known_group(upstreams, servers->key);
	if (!group)
		group = enter_group(upstreams, servers->key, servers->urls, servers->count, &servers->probe);
	take_group(group);
	pthread_mutex_unlock(&upstreams->lock);
	return group;
}

unsigned upstream_group_turn(struct upstream_group *group)
{
	return atomic_fetch_add_explicit(&group->turn, 1, memory_order_relaxed);
}

void upstreams_group_unref(struct upstreams *upstreams, struct upstream_group *group)
{
	pthread_mutex_lock(&upstreams->lock);
	group->references--;
	group->used_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&upstreams->lock);
}

unsigned upstream_group_version(const struct upstream_group *group)
{
	return atomic_load_explicit(&group->version, memory_order_acquire);
}

bool upstream_group_is_pending(const struct upstream_group *group)
{
	return atomic_load_explicit(&group->is_pending, memory_order_relaxed);
}

struct upstream_members *upstreams_members(
    struct upstreams *upstreams, struct upstream_group *group, unsigned *version)
{
	pthread_mutex_lock(&upstreams->lock);
	struct upstream_members *members = upstream_members_ref(group->members);
	*version = upstream_group_version(group);
	pthread_mutex_unlock(&upstreams->lock);
	return members;
}

/* ---- settings */

static struct upstream_source *take_source(struct upstream_group *group, const struct upstream_url *url)
{
	for (size_t i = 0; i < group->source_count; i++) {
		struct upstream_source *source = group->sources[i];

		if (source && source->url.tls == url->tls && source->url.h2c == url->h2c &&
		    strcmp(source->url.authority, url->authority) == 0) {
			group->sources[i] = NULL;
			return source;
		}
	}
	return NULL;
}

/* The settings' group keeps what it has of the URLs that stay. */
static void set_urls(struct upstreams *upstreams, const struct upstream_config *config)
{
	struct upstream_group *group = upstreams->defaults;
	struct upstream_source **sources = mem_alloc_array(config->url_count, sizeof *sources);

	for (size_t i = 0; i < config->url_count; i++) {
		struct upstream_source *kept = take_source(group, &config->urls[i]);

		sources[i] =
		    kept ? kept : upstreams_source_new_locked(upstreams, group, &config->urls[i], &by_http);
	}
	for (size_t i = 0; i < group->source_count; i++)
		if (group->sources[i])
			upstreams_source_drop_locked(upstreams, group->sources[i]);
	free(group->sources);
	group->sources = sources;
	group->source_count = config->url_count;
}

static bool same_ca(const struct upstream_config *one, const struct upstream_config *other)
{
	return one->ca_size == other->ca_size &&
	       (one->ca_size == 0 || memcmp(one->ca, other->ca, one->ca_size) == 0);
}

static void publish_all(struct upstreams *upstreams)
{
	struct upstream_group *group = NULL;

	upstreams_publish_locked(upstreams->defaults);
	TAILQ_FOREACH(group, &upstreams->by_use, by_use)
	upstreams_publish_locked(group);
}

void upstreams_configure(struct upstreams *upstreams, struct upstream_config *config)
{
	struct upstream_source *source = NULL;

	pthread_mutex_lock(&upstreams->lock);
	if (!same_ca(upstreams->config, config))
		upstreams->ca_generation++;
	upstream_config_unref(upstreams->config);
	upstreams->config = upstream_config_ref(config);
	TAILQ_FOREACH(source, &upstreams->sources, all)
	{
		upstreams_rename_addresses_locked(upstreams, source);
		if (!source->is_literal)
			source->next_ms = 0;
	}
	set_urls(upstreams, config);
	publish_all(upstreams);
	atomic_fetch_add(&upstreams->config_version, 1);
	pthread_cond_broadcast(&upstreams->wake);
	pthread_mutex_unlock(&upstreams->lock);
}

struct upstream_config *upstreams_config(struct upstreams *upstreams)
{
	pthread_mutex_lock(&upstreams->lock);
	struct upstream_config *config = upstream_config_ref(upstreams->config);
	pthread_mutex_unlock(&upstreams->lock);
	return config;
}

unsigned upstreams_config_version(const struct upstreams *upstreams)
{
	return atomic_load_explicit(&upstreams->config_version, memory_order_acquire);
}

/* ---- checks */

/* Who is handed out goes to the end: with more that hang than are checked at once, each has its turn. */
static bool is_due(const struct upstream_address *address, int64_t now_ms, bool with_http)
{
	if (address->is_checked || address->next_check_ms > now_ms)
		return false;
	return address->probe.kind == UPSTREAM_PROBE_HTTP ? with_http
							  : address->probe.kind != UPSTREAM_PROBE_NONE;
}

size_t upstreams_due_checks(
    struct upstreams *upstreams, int64_t now_ms, bool with_http, struct upstream_address **out, size_t max)
{
	struct upstream_address *address = NULL;
	size_t count = 0;

	pthread_mutex_lock(&upstreams->lock);
	TAILQ_FOREACH(address, &upstreams->all_addresses, all)
	{
		if (count == max)
			break;
		if (!is_due(address, now_ms, with_http))
			continue;
		address->is_checked = true;
		out[count++] = upstream_address_ref(address);
	}
	for (size_t i = 0; i < count; i++) {
		TAILQ_REMOVE(&upstreams->all_addresses, out[i], all);
		TAILQ_INSERT_TAIL(&upstreams->all_addresses, out[i], all);
	}
	pthread_mutex_unlock(&upstreams->lock);
	return count;
}

void upstreams_forget_health(struct upstreams *upstreams)
{
	struct upstream_address *address = NULL;

	pthread_mutex_lock(&upstreams->lock);
	TAILQ_FOREACH(address, &upstreams->all_addresses, all)
	{
		if (address->probe.kind != UPSTREAM_PROBE_HTTP)
			continue;
		address->checks_in_a_row = 0;
		upstream_address_set_health(address, UPSTREAM_UNKNOWN, clock_monotonic_ms());
	}
	pthread_mutex_unlock(&upstreams->lock);
}

/* ---- start and end */

const struct upstream_metrics *upstreams_metrics(const struct upstreams *upstreams)
{
	return &upstreams->metrics;
}

static void show_source(const struct upstream_source *source, int64_t now)
{
	int64_t up = 0;

	for (size_t i = 0; i < source->count; i++)
		up += !upstream_address_is_down(source->addresses[i]) &&
		      !upstream_address_is_ejected(source->addresses[i], now);
	metric_set(source->gauges.up, up);
	metric_set(source->gauges.addresses, (int64_t)source->count);
}

static void show(void *arg)
{
	struct upstreams *upstreams = arg;
	struct upstream_address *address = NULL;
	int64_t now = clock_monotonic_ms();
	int64_t outstanding = 0;

	pthread_mutex_lock(&upstreams->lock);
	TAILQ_FOREACH(address, &upstreams->all_addresses, all)
	outstanding += atomic_load_explicit(&address->outstanding, memory_order_relaxed);
	metric_set(upstreams->metrics.outstanding, outstanding);
	metric_set(upstreams->metrics.groups, (int64_t)upstreams->groups.count + 1);
	metric_set(upstreams->metrics.addresses, (int64_t)upstreams->addresses.count);
	for (size_t i = 0; i < upstreams->defaults->source_count; i++)
		if (upstreams->defaults->sources[i]->gauges.up)
			show_source(upstreams->defaults->sources[i], now);
	pthread_mutex_unlock(&upstreams->lock);
}

struct upstreams *upstreams_new(struct upstream_config *config)
{
	struct upstreams *upstreams = mem_alloc(sizeof *upstreams);

	pthread_mutex_init(&upstreams->lock, NULL);
	condition_init(&upstreams->wake);
	condition_init(&upstreams->ended);
	TAILQ_INIT(&upstreams->by_use);
	TAILQ_INIT(&upstreams->sources);
	TAILQ_INIT(&upstreams->all_addresses);
	upstream_metrics_init(&upstreams->metrics);
	upstreams->config = upstream_config_ref(config);
	upstreams->defaults = group_new(0);
	pthread_mutex_lock(&upstreams->lock);
	set_urls(upstreams, config);
	upstreams_publish_locked(upstreams->defaults);
	pthread_mutex_unlock(&upstreams->lock);
	return upstreams;
}

enum result upstreams_start(struct upstreams *upstreams, struct error *error)
{
	metrics_before_render(show, upstreams);
	return upstreams_start_lookups(upstreams, error);
}

static bool stop_threads(struct upstreams *upstreams)
{
	int64_t until = clock_monotonic_ms() + STOP_MS;

	pthread_mutex_lock(&upstreams->lock);
	upstreams->is_stopping = true;
	pthread_cond_broadcast(&upstreams->wake);
	while (upstreams->running > 0 && condition_wait_until(&upstreams->ended, &upstreams->lock, until))
		;
	bool ended = upstreams->running == 0;
	pthread_mutex_unlock(&upstreams->lock);
	return ended;
}

void upstreams_free(struct upstreams *upstreams)
{
	struct upstream_group *group = NULL;

	if (!upstreams || !stop_threads(upstreams))
		return;
	while ((group = TAILQ_FIRST(&upstreams->by_use)))
		drop_group(upstreams, group);
	group_free(upstreams, upstreams->defaults);
	name_table_fini(&upstreams->groups);
	name_table_fini(&upstreams->addresses);
	upstream_config_unref(upstreams->config);
	pthread_cond_destroy(&upstreams->ended);
	pthread_cond_destroy(&upstreams->wake);
	pthread_mutex_destroy(&upstreams->lock);
	free(upstreams);
}
