/* What a daemon gives up, seen by the kernel, each in a child of its own; signals and randomness. */
#include "common/base/process.h"

#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Ends the child with the line that failed, which the parent then names. */
#define expect(condition) \
	do { \
		if (!(condition)) \
			leave(__LINE__, #condition); \
	} while (0)

static void __attribute__((noreturn)) leave(int line, const char *why)
{
	fprintf(stderr, "in the child, line %d: %s\n", line, why);
	_exit(1);
}

/* _exit: a child has neither the tests' report nor a leak check to make. */
static void in_a_child(void (*act)(void))
{
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		alarm(30);
		act();
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("the child ended with status 0x%x", (unsigned)status);
}

static void look_after_init(void)
{
	process_init();
	struct rlimit core, files;
	expect(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
	expect(getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == files.rlim_max);
	expect(prctl(PR_GET_DUMPABLE) == 0);
	int ends[2];
	expect(pipe(ends) == 0);
	close(ends[0]);
	expect(write(ends[1], "x", 1) == -1);
	raise(SIGTERM);
	expect(process_wait_signal() == SIGTERM);
	raise(SIGHUP);
	expect(process_wait_signal() == SIGHUP);
}

static void init_refuses_dumps_and_takes_signals(void **state)
{
	(void)state;
	in_a_child(look_after_init);
}

static void stay_without_user(void)
{
	struct error error;
	expect(process_drop_rights(NULL, &error) == R_OK);
	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void without_a_user_only_new_privileges_are_refused(void **state)
{
	(void)state;
	in_a_child(stay_without_user);
}

static void become_nobody(void)
{
	struct error error;
	const struct passwd *nobody = getpwnam("nobody");
	process_init();
	expect(setgroups(2, (const gid_t[]){0, 4}) == 0);
	expect(process_drop_rights("nobody", &error) == R_OK);
	uid_t uid[3];
	gid_t gid[3], groups[64];
	expect(getresuid(&uid[0], &uid[1], &uid[2]) == 0 && getresgid(&gid[0], &gid[1], &gid[2]) == 0);
	for (int i = 0; i < 3; i++)
		expect(uid[i] == nobody->pw_uid && gid[i] == nobody->pw_gid);
	int count = getgroups(64, groups);
	for (int i = 0; i < count; i++)
		expect(groups[i] != 0);
	expect(setuid(0) != 0 && setgid(0) != 0);
	expect(prctl(PR_GET_DUMPABLE) == 0);
	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* A second time, as a program that was started as that user would. */
	expect(process_drop_rights("nobody", &error) == R_OK);
	expect(process_drop_rights("daemon", &error) == R_INVALID);
	expect(strstr(error.text, "only root may") != NULL);
}

static void root_becomes_the_user_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0 || getpwnam("nobody") == NULL || getpwnam("daemon") == NULL)
		skip();
	in_a_child(become_nobody);
}

static void bad_users_are_refused(void **state)
{
	(void)state;
	struct error error;
	assert_int_equal(process_drop_rights("no-such-user", &error), R_INVALID);
	assert_non_null(strstr(error.text, "`no-such-user` is not a user of this machine"));
	assert_int_equal(process_drop_rights("", &error), R_INVALID);
	assert_int_equal(process_drop_rights("root", &error), R_INVALID);
	assert_non_null(strstr(error.text, "name an ordinary user"));
}

static void random_bytes_differ(void **state)
{
	(void)state;
	unsigned char one[300] = {0}, two[300] = {0};
	process_random(one, sizeof one);
	process_random(two, sizeof two);
	assert_memory_not_equal(one, two, 300);
	assert_memory_not_equal(one + 284, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	process_random(one, 0);
}

static void the_id_is_32_hex_digits_and_stays(void **state)
{
	(void)state;
	const char *id = process_id();
	assert_int_equal(strlen(id), 32);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	assert_ptr_equal(id, process_id());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(init_refuses_dumps_and_takes_signals),
	    cmocka_unit_test(without_a_user_only_new_privileges_are_refused),
	    cmocka_unit_test(root_becomes_the_user_for_good),
	    cmocka_unit_test(bad_users_are_refused),
	    cmocka_unit_test(random_bytes_differ),
	    cmocka_unit_test(the_id_is_32_hex_digits_and_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
