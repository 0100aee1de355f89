/* Where lines go: whole lines, and a reader that stops reading stops nobody who logs. */
#include "common/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 8, LINES = 500 };

/* A test that blocks is a test that failed: SIGALRM ends it. */
static int set_deadline(void **state)
{
	(void)state;
	alarm(60);
	return 0;
}

static int restore(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, STDERR_FILENO);
	alarm(0);
	return 0;
}

static ssize_t read_some(int fd, char *text, size_t size)
{
	ssize_t got = read(fd, text, size - 1);
	text[got > 0 ? got : 0] = '\0';
	return got;
}

static void only_enabled_levels_are_written(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	log_init("test", LOG_LEVEL_WARN, LOG_FORMAT_TEXT, ends[1]);
	log_debug("one");
	log_info("two", log_int("n", 2));
	log_warn("three", log_int("n", 3), log_str("s", NULL));
	log_error("four");
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_true(log_enabled(LOG_LEVEL_WARN));
	log_flush();
	char text[1000];
	read_some(ends[0], text, sizeof text);
	assert_null(strstr(text, "two"));
	assert_non_null(strstr(text, " warn test three n=3 s=-\n"));
	assert_non_null(strstr(text, " error test four\n"));
	close(ends[0]), close(ends[1]);
}

static void fields_are_not_evaluated_when_nothing_is_logged(void **state)
{
	(void)state;
	int evaluated = 0;
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, STDERR_FILENO);
	log_debug("never", log_int("n", ++evaluated));
	assert_int_equal(evaluated, 0);
}

static void errno_survives(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, -1);
	errno = 7;
	log_info("to nowhere");
	assert_int_equal(errno, 7);
}

/* Nobody reads: who logs comes back each time, and every line is in the end either whole there or counted. */
static void flood(int writer, int reader)
{
	uint64_t lost = log_lost_lines();
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, writer);
	for (int i = 0; i < 50000; i++)
		log_info("a line that nobody reads", log_int("n", i));
	lost = log_lost_lines() - lost;
	assert_in_range(lost, 1, 49999);
	size_t lines = 0;
	char text[65536];
	while (lines + lost < 50000 && read_some(reader, text, sizeof text) > 0)
		for (const char *c = text; *c != '\0'; c++)
			lines += *c == '\n';
	assert_int_equal(lines + lost, 50000);
	assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
}

static void a_full_pipe_loses_lines_but_never_blocks(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	flood(ends[1], ends[0]);
	uint64_t lost = log_lost_lines();
	log_info("room again");
	log_flush();
	assert_int_equal(log_lost_lines(), lost);
	close(ends[0]), close(ends[1]);
}

static void a_full_socket_loses_lines_but_never_blocks(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	flood(ends[1], ends[0]);
	close(ends[0]), close(ends[1]);
}

/* Another program fills the pipe, which is not ours to make non-blocking: who logs must not notice. */
static void a_pipe_that_others_fill_holds_up_nobody(void **state)
{
	(void)state;
	int ends[2];
	char much[65536];
	memset(much, 'x', sizeof much);
	assert_int_equal(pipe(ends), 0);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, ends[1]);
	assert_int_equal(write(ends[1], much, sizeof much), sizeof much);
	for (int i = 0; i < 100; i++)
		log_info("waits in the buffer", log_int("n", i));
	size_t lines = 0;
	char text[65536];
	while (lines < 100 && read_some(ends[0], text, sizeof text) > 0)
		for (const char *c = text; *c != '\0'; c++)
			lines += *c == '\n';
	assert_int_equal(lines, 100);
	close(ends[0]), close(ends[1]);
}

static void level_and_format_change_while_it_runs(void **state)
{
	(void)state;
	int ends[2];
	char text[1000];
	assert_int_equal(pipe(ends), 0);
	log_init("test", LOG_LEVEL_WARN, LOG_FORMAT_TEXT, ends[1]);
	log_info("too low");
	log_set(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("now");
	log_flush();
	read_some(ends[0], text, sizeof text);
	assert_memory_equal(text, "{\"time\":", 8);
	assert_null(strstr(text, "too low"));
	close(ends[0]), close(ends[1]);
}

/* A disk that was full in the middle of a line: what comes later does not stick to the piece. */
static void a_torn_line_does_not_spoil_the_next(void **state)
{
	(void)state;
	char path[] = "/tmp/log_test.XXXXXX", text[1000];
	int file = mkstemp(path);
	unlink(path);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, file);
	struct rlimit before, limit = {.rlim_cur = 10};
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit.rlim_max = before.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
	uint64_t lost = log_lost_lines();
	log_info("cut");
	log_flush();
	log_info("lost as a whole");
	log_flush();
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(log_lost_lines(), lost + 2);
	log_info("whole");
	log_flush();
	text[pread(file, text, sizeof text - 1, 0)] = '\0';
	assert_int_equal(text[10], '\n');
	assert_non_null(strstr(text + 11, " info test whole\n"));
	assert_null(strstr(text, "lost"));
	close(file);
}

static void a_full_disk_is_counted(void **state)
{
	(void)state;
	int full = open("/dev/full", O_WRONLY);
	if (full < 0)
		skip();
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, full);
	uint64_t lost = log_lost_lines();
	log_info("no room");
	log_flush();
	assert_int_equal(log_lost_lines(), lost + 1);
	close(full);
}

static void a_reader_that_left_is_counted(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, ends[1]);
	close(ends[0]);
	uint64_t lost = log_lost_lines();
	log_info("to nobody");
	log_flush();
	assert_int_equal(log_lost_lines(), lost + 1);
	close(ends[1]);
}

static void a_regular_file_grows_line_by_line(void **state)
{
	(void)state;
	char path[] = "/tmp/log_test.XXXXXX", text[1000];
	int file = mkstemp(path);
	unlink(path);
	assert_int_equal(write(file, "before\n", 7), 7);
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_JSON, file);
	log_info("after");
	log_flush();
	assert_true(pread(file, text, sizeof text, 0) > 20);
	assert_memory_equal(text, "before\n{\"time\":\"", 16);
	close(file);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		log_info("line", log_str("from", "thread"), log_int("n", i));
	return arg;
}

static void lines_of_threads_do_not_mix(void **state)
{
	(void)state;
	FILE *file = tmpfile();
	log_init("test", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, fileno(file));
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_lines, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_flush();
	rewind(file);
	char text[1000];
	int lines = 0, n = 0;
	while (fgets(text, sizeof text, file) != NULL) {
		assert_int_equal(sscanf(text, "%*s info test line from=thread n=%d", &n), 1);
		lines++;
	}
	assert_int_equal(lines, THREADS * LINES);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(only_enabled_levels_are_written, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(
		fields_are_not_evaluated_when_nothing_is_logged, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(errno_survives, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_full_pipe_loses_lines_but_never_blocks, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(
		a_full_socket_loses_lines_but_never_blocks, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_pipe_that_others_fill_holds_up_nobody, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(level_and_format_change_while_it_runs, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_torn_line_does_not_spoil_the_next, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_full_disk_is_counted, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_reader_that_left_is_counted, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(a_regular_file_grows_line_by_line, set_deadline, restore),
	    cmocka_unit_test_setup_teardown(lines_of_threads_do_not_mix, set_deadline, restore),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
