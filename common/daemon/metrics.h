/*
 * Metrics in Prometheus' text format. A metric is registered once, at start or at first use, lives until the
 * end, and is added to without a lock and without contention between threads; names start with `postern_`,
 * base units, `_total` on counters.
 */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct metric;
struct histogram;

/* Same name and labels: the same metric. `labels` as written between the braces (`cause="dns"`), or NULL;
 * label values come from this program, never from a peer. At most 1,024 series, asserted. */
struct metric *metrics_counter(const char *name, const char *labels, const char *help);
struct metric *metrics_gauge(const char *name, const char *labels, const char *help);
/* A counter that is added to in microseconds and shown in seconds. */
struct metric *metrics_seconds_counter(const char *name, const char *labels, const char *help);
/* Adding is cheap; reading sums over the threads. One that is set is set by one thread at a time. */
void metric_add(struct metric *metric, int64_t value);
void metric_set(struct metric *metric, int64_t value);
int64_t metric_get(const struct metric *metric);

/* Buckets 0.1, 0.25, 0.5, 1 … ms up to 60 s. */
struct histogram *metrics_histogram(const char *name, const char *labels, const char *help);
void histogram_observe_us(struct histogram *histogram, int64_t microseconds);

/* Writes name="value", the value escaped (cut where it does not fit), as `labels` wants it; returns `text`.
 */
const char *metrics_label(char *text, size_t size, const char *name, const char *value);

/* Appends everything, series of one name together, each name with # HELP and # TYPE once. */
void metrics_render(struct buf *out);
/* Called before each rendering, to set gauges that are read rather than counted. At most 16. `update` may
 * register metrics. */
void metrics_before_render(void (*update)(void *arg), void *arg);
/* Memory, descriptors, processor time, start time, lost log lines and postern_build_info of this process. */
void metrics_add_process(void);

#endif
