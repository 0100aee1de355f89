/* Memory is there or the process ends. */
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_is_zeroed(void **state)
{
	(void)state;
	unsigned char *memory = mem_alloc(4096);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(memory[i], 0);
	free(memory);
	int *array = mem_alloc_array(16, sizeof *array);
	for (int i = 0; i < 16; i++)
		assert_int_equal(array[i], 0);
	free(array);
}

static void nothing_still_gives_a_pointer(void **state)
{
	(void)state;
	void *nothing = mem_alloc(0), *array = mem_alloc_array(0, 8), *resized = mem_resize(NULL, 0);
	char *copy = mem_copy(NULL, 0);
	assert_true(nothing && array && resized);
	assert_string_equal(copy, "");
	free(nothing), free(array), free(resized), free(copy);
}

static void copy_ends_with_a_nul(void **state)
{
	(void)state;
	char *copy = mem_copy("a\0b", 3);
	assert_memory_equal(copy, "a\0b\0", 4);
	free(copy);
}

static void resize_keeps_the_bytes(void **state)
{
	(void)state;
	char *memory = mem_copy("abc", 3);
	memory = mem_resize(memory, 100000);
	assert_string_equal(memory, "abc");
	free(memory);
}

static void string_of_null_is_null(void **state)
{
	(void)state;
	assert_null(mem_string(NULL));
	char *copy = mem_string("name");
	assert_string_equal(copy, "name");
	free(copy);
}

static void format_takes_any_length(void **state)
{
	(void)state;
	char *text = mem_format("%s=%05000d", "n", 7);
	assert_int_equal(strlen(text), 5002);
	free(text);
}

/* The signal that ended a child which ran `act`, its message thrown away. */
static int signal_of_child(void (*act)(void))
{
	pid_t child = fork();
	if (child == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		act();
		_exit(0);
	}
	int status = 0;
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void ask_for_an_overflow(void)
{
	volatile size_t count = SIZE_MAX / 4;
	free(mem_alloc_array(count, 8));
}

static void ask_for_a_copy_of_everything(void)
{
	volatile size_t size = SIZE_MAX;
	free(mem_copy("", size));
}

/* A sanitizer ends the process by itself, with a status of its own; what matters is that it ends. */
static void overflow_ends_the_process(void **state)
{
	(void)state;
	assert_int_not_equal(signal_of_child(ask_for_an_overflow), 0);
	assert_int_not_equal(signal_of_child(ask_for_a_copy_of_everything), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_is_zeroed),
	    cmocka_unit_test(nothing_still_gives_a_pointer),
	    cmocka_unit_test(copy_ends_with_a_nul),
	    cmocka_unit_test(resize_keeps_the_bytes),
	    cmocka_unit_test(string_of_null_is_null),
	    cmocka_unit_test(format_takes_any_length),
	    cmocka_unit_test(overflow_ends_the_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
