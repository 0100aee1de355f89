/*
 * Which addresses there are: each is one struct, whatever the number of names and groups that lead to it, so
 * that what is known of it is known once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/loop/loop.h"
#include "edge/upstream/upstreams_internal.h"

static const char *server_name_of(const struct upstreams *upstreams, const struct upstream_source *source)
{
	bool is_ours = source->group == upstreams->defaults && upstreams->config->server_name;

	return is_ours ? upstreams->config->server_name : source->url.host;
}

/* With TLS the name and the CAs belong to it: a session or a kept connection vouches for them. What is
 * checked in another way is another address: one may be up and the other down; so is what is spoken to in
 * another way. */
static char *key_of(const struct upstreams *upstreams, const struct net_address *address,
    const struct upstream_source *source)
{
	const struct upstream_probe_plan *probe = &source->probe;
	char text[NET_ADDRESS_TEXT];

	net_format_address(address, text);
	if (probe->kind != UPSTREAM_PROBE_HTTP)
		return mem_format("%s %d %" PRId64 " %d %s", text, probe->kind, probe->interval_ms,
		    probe->proxy_v2, probe->name);
	if (!source->url.tls)
		return source->url.h2c ? mem_format("%s h2c", text) : mem_string(text);
	return mem_format("%s %s %u", text, server_name_of(upstreams, source), upstreams->ca_generation);
}

/* Those of the settings always have: domains must not crowd everybody's upstream out. */
static bool has_room(const struct upstreams *upstreams, const struct upstream_source *source)
{
	return source->group == upstreams->defaults || upstreams->addresses.count < UPSTREAM_ADDRESSES_TOTAL;
}

/* NULL: there are too many. */
static struct upstream_address *add_address(struct upstreams *upstreams, const struct upstream_source *source,
    const struct net_address *address, char **key)
{
	if (!has_room(upstreams, source)) {
		if (log_rate_allows(&upstreams->refused_log))
			log_warn("more upstream addresses than there is room for",
			    log_str("upstream", source->text), log_int("most", UPSTREAM_ADDRESSES_TOTAL));
		return NULL;
	}
	struct upstream_address *made =
	    upstream_address_new(address, &source->url, server_name_of(upstreams, source));
	made->probe = source->probe;
	made->key = *key;
	*key = NULL;
	made->entry.name = made->key;
	/* One that joins others starts slowly: its caches are cold. */
	if (source->count > 0)
		atomic_init(&made->recovered_at_ms, clock_monotonic_ms());
	name_table_add(&upstreams->addresses, &made->entry);
	TAILQ_INSERT_TAIL(&upstreams->all_addresses, made, all);
	return made;
}

static struct upstream_address *intern(
    struct upstreams *upstreams, const struct upstream_source *source, const struct net_address *address)
{
	char *key = key_of(upstreams, address, source);
	struct name_entry *entry = name_table_find(&upstreams->addresses, key);
	struct upstream_address *found = entry ? loop_owner(entry, struct upstream_address, entry)
					       : add_address(upstreams, source, address, &key);

	if (found)
		found->uses++;
	free(key);
	return found;
}

static void release(struct upstreams *upstreams, struct upstream_address *address)
{
	if (--address->uses > 0)
		return;
	atomic_store_explicit(&address->gone, true, memory_order_relaxed);
	name_table_remove(&upstreams->addresses, &address->entry);
	TAILQ_REMOVE(&upstreams->all_addresses, address, all);
	upstream_address_unref(address);
}

static bool holds(
    struct upstream_address *const *addresses, size_t count, const struct upstream_address *address)
{
	for (size_t i = 0; i < count; i++)
		if (addresses[i] == address)
			return true;
	return false;
}

bool upstreams_set_addresses_locked(struct upstreams *upstreams, struct upstream_source *source,
    const struct net_address *found, size_t count)
{
	struct upstream_address *before[UPSTREAM_ADDRESSES_MAX];
	struct upstream_address *now[UPSTREAM_ADDRESSES_MAX];
	size_t count_before = source->count;
	size_t count_now = 0;
	bool changed = false;

	memcpy(before, source->addresses, sizeof before);
	for (size_t i = 0; i < count && count_now < UPSTREAM_ADDRESSES_MAX; i++) {
		struct upstream_address *one = intern(upstreams, source, &found[i]);

		if (!one)
			continue;
		if (holds(now, count_now, one)) {
			one->uses--;
			continue;
		}
		changed = changed || !holds(before, count_before, one);
		now[count_now++] = one;
	}
	memcpy(source->addresses, now, count_now * sizeof *now);
	source->count = count_now;
	for (size_t i = 0; i < count_before; i++)
		release(upstreams, before[i]);
	return changed || count_now != count_before;
}

void upstreams_rename_addresses_locked(struct upstreams *upstreams, struct upstream_source *source)
{
	struct net_address same[UPSTREAM_ADDRESSES_MAX];

	for (size_t i = 0; i < source->count; i++)
		same[i] = source->addresses[i]->address;
	upstreams_set_addresses_locked(upstreams, source, same, source->count);
}

struct upstream_source *upstreams_source_new_locked(struct upstreams *upstreams, struct upstream_group *group,
    const struct upstream_url *url, const struct upstream_probe_plan *probe)
{
	struct upstream_source *source = mem_alloc(sizeof *source);
	struct net_address literal;

	source->group = group;
	source->url = *url;
	source->probe = *probe;
	snprintf(source->text, sizeof source->text, "%s://%s",
	    probe->kind != UPSTREAM_PROBE_HTTP ? "tcp" : upstream_url_scheme(url), url->authority);
	TAILQ_INSERT_TAIL(&upstreams->sources, source, all);
	if (group == upstreams->defaults)
		source->gauges = upstream_gauges_of(source->text);
	if (!upstream_url_address(url, &literal))
		return source;
	source->is_literal = source->is_answered = true;
	source->next_ms = INT64_MAX;
	upstreams_set_addresses_locked(upstreams, source, &literal, 1);
	return source;
}

void upstreams_source_drop_locked(struct upstreams *upstreams, struct upstream_source *source)
{
	upstreams_set_addresses_locked(upstreams, source, NULL, 0);
	TAILQ_REMOVE(&upstreams->sources, source, all);
	source->group = NULL;
	if (source->gauges.up) {
		metric_set(source->gauges.up, 0);
		metric_set(source->gauges.addresses, 0);
	}
	if (!source->is_busy)
		free(source);
}

static void add_members(struct upstream_members *members, const struct upstream_source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		if (holds(members->addresses, members->count, source->addresses[i]))
			continue;
		if (members->count == UPSTREAM_ADDRESSES_MAX) {
			log_warn("an upstream has more addresses than are used",
			    log_str("upstream", source->text), log_int("used", UPSTREAM_ADDRESSES_MAX));
			return;
		}
		members->addresses[members->count++] = upstream_address_ref(source->addresses[i]);
	}
}

void upstreams_publish_locked(struct upstream_group *group)
{
	struct upstream_members *members = mem_alloc(sizeof *members);
	bool awaits = false;

	atomic_init(&members->references, 1);
	for (size_t i = 0; i < group->source_count; i++) {
		add_members(members, group->sources[i]);
		awaits = awaits || !group->sources[i]->is_answered;
	}
	upstream_members_unref(group->members);
	group->members = members;
	atomic_store(&group->is_pending, awaits && members->count == 0);
	atomic_fetch_add(&group->version, 1);
}
