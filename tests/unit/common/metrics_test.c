/* Metrics: what is counted is what is shown, in the form that Prometheus reads. */
#include "common/daemon/metrics.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf page;

static const char *rendered(void)
{
	buf_fini(&page);
	buf_init(&page, 1 << 20);
	metrics_render(&page);
	return buf_string(&page);
}

static int free_page(void **state)
{
	(void)state;
	buf_fini(&page);
	return 0;
}

/* `line` stands in the page as a whole line. */
static void assert_line(const char *text, const char *line)
{
	const char *found = text;
	size_t size = strlen(line);
	while ((found = strstr(found, line)) != NULL) {
		if ((found == text || found[-1] == '\n') && found[size] == '\n')
			return;
		found++;
	}
	fail_msg("`%s` is not a line of:\n%s", line, text);
}

static void a_counter_is_shown_with_help_and_type(void **state)
{
	(void)state;
	struct metric *asks = metrics_counter("postern_asks_total", NULL, "Asks\\ that\nwent out.");
	metric_add(asks, 2);
	metric_add(asks, 3);
	assert_int_equal(metric_get(asks), 5);
	const char *text = rendered();
	assert_non_null(strstr(text, "# HELP postern_asks_total Asks\\\\ that\\nwent out.\n"
				     "# TYPE postern_asks_total counter\npostern_asks_total 5\n"));
}

static void series_of_one_name_stand_together(void **state)
{
	(void)state;
	metric_set(metrics_gauge("postern_jobs", "state=\"waiting\"", "Jobs."), 7);
	metrics_gauge("postern_between", NULL, "Another.");
	metric_set(metrics_gauge("postern_jobs", "state=\"running\"", "Jobs."), -1);
	assert_non_null(
	    strstr(rendered(), "# HELP postern_jobs Jobs.\n# TYPE postern_jobs gauge\n"
			       "postern_jobs{state=\"waiting\"} 7\npostern_jobs{state=\"running\"} -1\n"));
}

static void the_same_name_and_labels_are_the_same_metric(void **state)
{
	(void)state;
	struct metric *one = metrics_counter("postern_same_total", "a=\"1\"", "Same.");
	assert_ptr_equal(one, metrics_counter("postern_same_total", "a=\"1\"", "Same."));
	assert_ptr_not_equal(one, metrics_counter("postern_same_total", "a=\"2\"", "Same."));
	assert_ptr_not_equal(one, metrics_counter("postern_same_total", NULL, "Same."));
}

static void histograms_are_cumulative_and_in_seconds(void **state)
{
	(void)state;
	struct histogram *wait = metrics_histogram("postern_wait_seconds", "phase=\"ask\"", "Waits.");
	static const int64_t us[] = {0, 1000, 1001, 40000, 59999999, 60000000, 60000001, 3600000000};
	for (size_t i = 0; i < sizeof us / sizeof *us; i++)
		histogram_observe_us(wait, us[i]);
	const char *text = rendered();
	assert_line(text, "# TYPE postern_wait_seconds histogram");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"0.001\"} 2");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"0.0025\"} 3");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"0.025\"} 3");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"0.05\"} 4");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"30\"} 4");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"60\"} 6");
	assert_line(text, "postern_wait_seconds_bucket{phase=\"ask\",le=\"+Inf\"} 8");
	assert_line(text, "postern_wait_seconds_sum{phase=\"ask\"} 3780.042001");
	assert_line(text, "postern_wait_seconds_count{phase=\"ask\"} 8");
}

static void a_histogram_without_labels_has_only_le(void **state)
{
	(void)state;
	metrics_histogram("postern_plain_seconds", NULL, "Plain.");
	const char *text = rendered();
	assert_line(text, "postern_plain_seconds_bucket{le=\"+Inf\"} 0");
	assert_line(text, "postern_plain_seconds_sum 0.000000");
	assert_line(text, "postern_plain_seconds_count 0");
}

static void seconds_are_counted_in_microseconds(void **state)
{
	(void)state;
	metric_add(metrics_seconds_counter("postern_busy_seconds_total", NULL, "Busy."), 1500000);
	assert_line(rendered(), "postern_busy_seconds_total 1.500000");
}

static void label_values_are_escaped_and_cut(void **state)
{
	(void)state;
	char text[64];
	assert_string_equal(
	    metrics_label(text, sizeof text, "cause", "a\"b\\c\nd"), "cause=\"a\\\"b\\\\c\\nd\"");
	assert_string_equal(metrics_label(text, sizeof text, "cause", ""), "cause=\"\"");
	char small[16];
	const char *cut = metrics_label(small, sizeof small, "cause", "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
	assert_in_range(strlen(cut), 9, 15);
	assert_memory_equal(cut, "cause=\"\\\"", 9);
	assert_int_equal(cut[strlen(cut) - 1], '"');
}

static void set_to_nine(void *arg)
{
	metric_set(arg, 9);
	metrics_gauge("postern_registered_late", NULL, "Registered while rendering.");
}

static void gauges_are_read_right_before_rendering(void **state)
{
	(void)state;
	struct metric *queue = metrics_gauge("postern_queue_length", NULL, "Queue.");
	metrics_before_render(set_to_nine, queue);
	const char *text = rendered();
	assert_line(text, "postern_queue_length 9");
	assert_line(text, "postern_registered_late 0");
}

static void the_process_is_measured(void **state)
{
	(void)state;
	metrics_add_process();
	metrics_add_process();
	const char *text = rendered();
	long value = 0;
	const char *memory = strstr(text, "\npostern_process_resident_memory_bytes ");
	assert_non_null(memory);
	assert_int_equal(sscanf(memory, " postern_process_resident_memory_bytes %ld", &value), 1);
	assert_in_range(value, 100000, INT64_C(100) << 30);
	const char *fds = strstr(text, "\npostern_process_open_fds ");
	assert_non_null(fds);
	assert_int_equal(sscanf(fds, " postern_process_open_fds %ld", &value), 1);
	assert_in_range(value, 1, 1000);
	assert_non_null(strstr(text, "\npostern_process_cpu_seconds_total "));
	assert_non_null(strstr(text, "\npostern_process_start_time_seconds "));
	assert_non_null(strstr(text, "\npostern_log_lost_lines_total "));
	assert_non_null(strstr(text, "\npostern_build_info{version=\""));
}

static void *count_and_register(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		metric_add(arg, 1);
		if (i % 1000 == 0) {
			char label[32];
			snprintf(label, sizeof label, "n=\"%d\"", i / 1000);
			metric_add(metrics_counter("postern_raced_total", label, "Raced."), 1);
		}
	}
	return NULL;
}

static void threads_lose_no_count(void **state)
{
	(void)state;
	struct metric *metric = metrics_counter("postern_threads_total", NULL, "Threads.");
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_and_register, metric), 0);
	rendered();
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metric_get(metric), 80000);
	for (int i = 0; i < 20; i++) {
		char line[64];
		snprintf(line, sizeof line, "postern_raced_total{n=\"%d\"} 4", i);
		assert_line(rendered(), line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_counter_is_shown_with_help_and_type),
	    cmocka_unit_test(series_of_one_name_stand_together),
	    cmocka_unit_test(the_same_name_and_labels_are_the_same_metric),
	    cmocka_unit_test(histograms_are_cumulative_and_in_seconds),
	    cmocka_unit_test(a_histogram_without_labels_has_only_le),
	    cmocka_unit_test(seconds_are_counted_in_microseconds),
	    cmocka_unit_test(label_values_are_escaped_and_cut),
	    cmocka_unit_test(gauges_are_read_right_before_rendering),
	    cmocka_unit_test(the_process_is_measured),
	    cmocka_unit_test(threads_lose_no_count),
	};
	return cmocka_run_group_tests(tests, NULL, free_page);
}
