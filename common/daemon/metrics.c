#include "common/daemon/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/tally.h"

enum { SERIES_MAX = 1024, UPDATES_MAX = 16, BUCKETS = 18 };

enum kind { COUNTER, GAUGE, SECONDS, HISTOGRAM };

/* Upper bounds in microseconds, and how they are written. */
static const struct {
	int64_t us;
	const char *text;
} bounds[BUCKETS] = {
    {100, "0.0001"},
    {250, "0.00025"},
    {500, "0.0005"},
    {1000, "0.001"},
    {2500, "0.0025"},
    {5000, "0.005"},
    {10000, "0.01"},
    {25000, "0.025"},
    {50000, "0.05"},
    {100000, "0.1"},
    {250000, "0.25"},
    {500000, "0.5"},
    {1000000, "1"},
    {2500000, "2.5"},
    {5000000, "5"},
    {10000000, "10"},
    {30000000, "30"},
    {60000000, "60"},
};

/* What was set last, and in the cell what was added before and after. */
struct metric {
	unsigned cell;
	_Atomic int64_t base;
};

/* A cell for each bucket, the last for what is beyond 60 s, then one for the sum in microseconds. Each
 * observation adds to one bucket only; rendering sums them up. */
struct histogram {
	unsigned cells;
};
enum { HISTOGRAM_SUM = BUCKETS + 1, HISTOGRAM_CELLS };

struct series {
	enum kind kind;
	const char *name;
	const char *labels; /* "" for none */
	const char *help;
	union {
		struct metric metric;
		struct histogram histogram;
	};
};

/* A series never moves and is never freed, so that its counter is reached without the lock. */
static struct {
	pthread_mutex_t lock;
	struct series *series[SERIES_MAX];
	size_t count;
	struct {
		void (*update)(void *arg);
		void *arg;
	} updates[UPDATES_MAX];
	size_t update_count;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct series *find_locked(const char *name, const char *labels)
{
	for (size_t i = 0; i < registry.count; i++) {
		struct series *series = registry.series[i];
		if (strcmp(series->name, name) == 0 && strcmp(series->labels, labels) == 0)
			return series;
	}
	return NULL;
}

static struct series *add_locked(enum kind kind, const char *name, const char *labels, const char *help)
{
	assert(registry.count < SERIES_MAX);
	struct series *series = mem_alloc(sizeof *series);
	series->kind = kind;
	series->name = mem_string(name);
	series->labels = mem_string(labels);
	series->help = mem_string(help);
	if (kind == HISTOGRAM)
		series->histogram.cells = tally_new(HISTOGRAM_CELLS);
	else
		series->metric.cell = tally_new(1);
	registry.series[registry.count++] = series;
	return series;
}

static struct series *find_or_add(enum kind kind, const char *name, const char *labels, const char *help)
{
	assert(strncmp(name, "postern_", 8) == 0);
	labels = labels == NULL ? "" : labels;
	pthread_mutex_lock(&registry.lock);
	struct series *series = find_locked(name, labels);
	if (series == NULL)
		series = add_locked(kind, name, labels, help);
	pthread_mutex_unlock(&registry.lock);
	assert(series->kind == kind);
	return series;
}

struct metric *metrics_counter(const char *name, const char *labels, const char *help)
{
	return &find_or_add(COUNTER, name, labels, help)->metric;
}

struct metric *metrics_gauge(const char *name, const char *labels, const char *help)
{
	return &find_or_add(GAUGE, name, labels, help)->metric;
}

struct metric *metrics_seconds_counter(const char *name, const char *labels, const char *help)
{
	return &find_or_add(SECONDS, name, labels, help)->metric;
}

struct histogram *metrics_histogram(const char *name, const char *labels, const char *help)
{
	return &find_or_add(HISTOGRAM, name, labels, help)->histogram;
}

void metric_add(struct metric *metric, int64_t value)
{
	tally_add(metric->cell, value);
}

void metric_set(struct metric *metric, int64_t value)
{
	atomic_store_explicit(&metric->base, value - tally_sum(metric->cell), memory_order_relaxed);
}

int64_t metric_get(const struct metric *metric)
{
	return atomic_load_explicit(&metric->base, memory_order_relaxed) + tally_sum(metric->cell);
}

void histogram_observe_us(struct histogram *histogram, int64_t microseconds)
{
	size_t i = 0;
	while (i < BUCKETS && microseconds > bounds[i].us)
		i++;
	tally_add(histogram->cells + (unsigned)i, 1);
	tally_add(histogram->cells + HISTOGRAM_SUM, microseconds);
}

const char *metrics_label(char *text, size_t size, const char *name, const char *value)
{
	size_t used = (size_t)snprintf(text, size, "%s=\"", name);
	for (; *value != '\0' && used + 4 < size; value++) {
		char c = *value;
		if (c == '"' || c == '\\' || c == '\n')
			text[used++] = '\\';
		text[used++] = c == '\n' ? 'n' : c;
	}
	assert(used + 2 <= size);
	text[used++] = '"';
	text[used] = '\0';
	return text;
}

void metrics_before_render(void (*update)(void *arg), void *arg)
{
	pthread_mutex_lock(&registry.lock);
	assert(registry.update_count < UPDATES_MAX);
	registry.updates[registry.update_count].update = update;
	registry.updates[registry.update_count].arg = arg;
	registry.update_count++;
	pthread_mutex_unlock(&registry.lock);
}

static void render_seconds(struct buf *out, int64_t us)
{
	const char *sign = us < 0 ? "-" : "";
	uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
	buf_append_format(
	    out, " %s%" PRIu64 ".%06" PRIu64 "\n", sign, magnitude / 1000000, magnitude % 1000000);
}

/* name{labels}, with `suffix` behind the name and `more` as one more label. */
static void render_name(struct buf *out, const struct series *series, const char *suffix, const char *more)
{
	bool both = series->labels[0] != '\0' && more[0] != '\0';
	buf_append_string(out, series->name);
	buf_append_string(out, suffix);
	if (series->labels[0] == '\0' && more[0] == '\0')
		return;
	buf_append_string(out, "{");
	buf_append_string(out, series->labels);
	buf_append_string(out, both ? "," : "");
	buf_append_string(out, more);
	buf_append_string(out, "}");
}

static void render_histogram(struct buf *out, const struct series *series)
{
	int64_t count = 0;
	for (size_t i = 0; i <= BUCKETS; i++) {
		char le[24];
		snprintf(le, sizeof le, "le=\"%s\"", i < BUCKETS ? bounds[i].text : "+Inf");
		count += tally_sum(series->histogram.cells + (unsigned)i);
		render_name(out, series, "_bucket", le);
		buf_append_format(out, " %" PRId64 "\n", count);
	}
	render_name(out, series, "_sum", "");
	render_seconds(out, tally_sum(series->histogram.cells + HISTOGRAM_SUM));
	render_name(out, series, "_count", "");
	buf_append_format(out, " %" PRId64 "\n", count);
}

static void render_series(struct buf *out, const struct series *series)
{
	if (series->kind == HISTOGRAM) {
		render_histogram(out, series);
		return;
	}
	render_name(out, series, "", "");
	if (series->kind == SECONDS)
		render_seconds(out, metric_get(&series->metric));
	else
		buf_append_format(out, " %" PRId64 "\n", metric_get(&series->metric));
}

static void render_head(struct buf *out, const struct series *series)
{
	static const char *const types[] = {"counter", "gauge", "counter", "histogram"};
	buf_append_format(out, "# HELP %s ", series->name);
	for (const char *c = series->help; *c != '\0'; c++) {
		if (*c == '\\' || *c == '\n')
			buf_append_string(out, *c == '\n' ? "\\n" : "\\\\");
		else
			buf_append(out, c, 1);
	}
	buf_append_format(out, "\n# TYPE %s %s\n", series->name, types[series->kind]);
}

static bool is_first_of_name_locked(size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(registry.series[i]->name, registry.series[index]->name) == 0)
			return false;
	return true;
}

/* Outside the lock, since an update may register. The table only grows. */
static void run_updates(void)
{
	pthread_mutex_lock(&registry.lock);
	size_t count = registry.update_count;
	pthread_mutex_unlock(&registry.lock);
	for (size_t i = 0; i < count; i++)
		registry.updates[i].update(registry.updates[i].arg);
}

void metrics_render(struct buf *out)
{
	run_updates();
	pthread_mutex_lock(&registry.lock);
	for (size_t i = 0; i < registry.count; i++) {
		if (!is_first_of_name_locked(i))
			continue;
		render_head(out, registry.series[i]);
		for (size_t j = i; j < registry.count; j++)
			if (strcmp(registry.series[j]->name, registry.series[i]->name) == 0)
				render_series(out, registry.series[j]);
	}
	pthread_mutex_unlock(&registry.lock);
}
