/* Small files as a whole: the maximum holds, and every failure names the file. */
#include "common/base/file.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/file_test.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/file_test.XXXXXX");
	bool made = mkdtemp(folder) != NULL;
	snprintf(path, sizeof path, "%s/file", folder);
	return made ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_letters(size_t size)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < size; i++)
		fputc('a' + (int)(i % 26), file);
	fclose(file);
}

static enum result read_with_maximum(size_t max, size_t *size, struct error *error)
{
	struct buf buf;
	buf_init(&buf, max);
	enum result result = file_read(path, &buf, error);
	*size = buf_size(&buf);
	for (size_t i = 0; i < *size; i++)
		assert_int_equal(buf_bytes(&buf)[i], 'a' + (int)(i % 26));
	buf_fini(&buf);
	return result;
}

static void the_whole_file_is_read(void **state)
{
	(void)state;
	size_t size = 0;
	write_letters(100000);
	assert_int_equal(read_with_maximum(100000, &size, NULL), R_OK);
	assert_int_equal(size, 100000);
	write_letters(0);
	assert_int_equal(read_with_maximum(100, &size, NULL), R_OK);
	assert_int_equal(size, 0);
}

static void a_byte_too_much_is_refused(void **state)
{
	(void)state;
	size_t size = 0;
	struct error error;
	write_letters(1001);
	assert_int_equal(read_with_maximum(1000, &size, &error), R_LIMIT);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "1000 bytes"));
}

static void what_cannot_be_read_is_named(void **state)
{
	(void)state;
	size_t size = 0;
	struct error error;
	assert_int_equal(read_with_maximum(1000, &size, &error), R_INVALID);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "No such file"));
	assert_int_equal(file_check_readable(path, &error), R_INVALID);
	assert_int_equal(file_check_readable(folder, &error), R_INVALID);
	assert_non_null(strstr(error.text, "directory"));
	write_letters(1);
	assert_int_equal(file_check_readable(path, &error), R_OK);
}

static void a_fifo_without_a_writer_does_not_hang_the_check(void **state)
{
	(void)state;
	alarm(30);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_check_readable(path, NULL), R_OK);
	alarm(0);
}

static void a_fifo_without_a_writer_is_refused_at_once(void **state)
{
	(void)state;
	size_t size = 0;
	struct error error;
	alarm(30);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(read_with_maximum(1000, &size, &error), R_INVALID);
	assert_non_null(strstr(error.text, path));
	assert_non_null(strstr(error.text, "nobody writes"));
	alarm(0);
}

static void *write_into_pipe(void *arg)
{
	int fd = *(int *)arg;
	ssize_t put = write(fd, "abc", 3);
	sched_yield();
	put += write(fd, "def", 3);
	close(fd);
	return (void *)put;
}

/* As a shell's <(command) is. */
static void a_pipe_is_read_to_its_end(void **state)
{
	(void)state;
	int ends[2];
	size_t size = 0;
	pthread_t thread;
	void *put = NULL;
	alarm(30);
	assert_int_equal(pipe(ends), 0);
	snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
	assert_int_equal(pthread_create(&thread, NULL, write_into_pipe, &ends[1]), 0);
	assert_int_equal(read_with_maximum(1000, &size, NULL), R_OK);
	assert_int_equal(pthread_join(thread, &put), 0);
	assert_int_equal((ssize_t)put, 6);
	assert_int_equal(size, 6);
	close(ends[0]);
	alarm(0);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    in_folder(the_whole_file_is_read),
	    in_folder(a_byte_too_much_is_refused),
	    in_folder(what_cannot_be_read_is_named),
	    in_folder(a_fifo_without_a_writer_does_not_hang_the_check),
	    in_folder(a_fifo_without_a_writer_is_refused_at_once),
	    in_folder(a_pipe_is_read_to_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
