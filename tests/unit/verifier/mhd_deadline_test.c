/* A connection past its deadline is shut down, whatever trickles in; one without a deadline is left alone. */
#include "verifier/http/mhd_deadline.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { MANY = 20 };

/* The module only asks the library for the connection's descriptor and context. */
static union MHD_ConnectionInfo info_fd, info_context;

const union MHD_ConnectionInfo *MHD_get_connection_info(
    struct MHD_Connection *connection, enum MHD_ConnectionInfoType type, ...)
{
	(void)connection;
	return type == MHD_CONNECTION_INFO_CONNECTION_FD ? &info_fd : &info_context;
}

static bool is_shut(int peer, int wait_ms)
{
	struct pollfd wait = {.fd = peer, .events = POLLIN};
	char byte;
	return poll(&wait, 1, wait_ms) == 1 && recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

static void late_connection_is_shut(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct mhd_deadlines *deadlines = mhd_deadlines_start(MANY);
	info_fd.connect_fd = pair[0];
	int64_t start = clock_monotonic_ms();
	struct mhd_deadline *deadline = mhd_deadlines_add(deadlines, NULL, 200);
	assert_true(is_shut(pair[1], 10000));
	assert_true(clock_monotonic_ms() - start >= 200);
	mhd_deadlines_remove(deadlines, deadline);
	mhd_deadlines_stop(deadlines);
	close(pair[0]);
	close(pair[1]);
}

static void deadline_can_be_lifted_and_set_anew(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct mhd_deadlines *deadlines = mhd_deadlines_start(MANY);
	info_fd.connect_fd = pair[0];
	struct mhd_deadline *deadline = mhd_deadlines_add(deadlines, NULL, 100);
	info_context.socket_context = deadline;
	mhd_deadlines_set(deadlines, NULL, 0);
	assert_false(is_shut(pair[1], 1500));
	mhd_deadlines_set(deadlines, NULL, 100);
	assert_true(is_shut(pair[1], 5000));
	mhd_deadlines_remove(deadlines, deadline);
	mhd_deadlines_stop(deadlines);
	close(pair[0]);
	close(pair[1]);
}

static void connections_come_and_go_in_any_order(void **state)
{
	(void)state;
	struct mhd_deadlines *deadlines = mhd_deadlines_start(MANY);
	struct mhd_deadline *all[MANY];
	info_fd.connect_fd = -1;
	for (int i = 0; i < MANY; i++)
		all[i] = mhd_deadlines_add(deadlines, NULL, 60000);
	for (int i = 0; i < MANY; i += 2)
		mhd_deadlines_remove(deadlines, all[i]);
	for (int i = MANY - 1; i > 0; i -= 2)
		mhd_deadlines_remove(deadlines, all[i]);
	mhd_deadlines_stop(deadlines);
}

/* All but the last, whose request is being worked on. */
static void a_crowd_is_waited_for_no_longer_than_three_seconds(void **state)
{
	(void)state;
	int pair[2], busy[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, busy), 0);
	struct mhd_deadlines *deadlines = mhd_deadlines_start(MANY);
	struct mhd_deadline *all[MANY];
	info_fd.connect_fd = pair[0];
	for (int i = 0; i < MANY / 4 * 3; i++)
		all[i] = mhd_deadlines_add(deadlines, NULL, 60000);
	assert_false(is_shut(pair[1], 4500));
	info_fd.connect_fd = busy[0];
	all[MANY / 4 * 3] = mhd_deadlines_add(deadlines, NULL, 0);
	assert_true(is_shut(pair[1], 20000));
	assert_false(is_shut(busy[1], 0));
	for (int i = 0; i <= MANY / 4 * 3; i++)
		mhd_deadlines_remove(deadlines, all[i]);
	mhd_deadlines_stop(deadlines);
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(busy[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(late_connection_is_shut),
	    cmocka_unit_test(deadline_can_be_lifted_and_set_anew),
	    cmocka_unit_test(connections_come_and_go_in_any_order),
	    cmocka_unit_test(a_crowd_is_waited_for_no_longer_than_three_seconds),
	};
	return cmocka_run_group_tests_name("mhd_deadline", tests, NULL, NULL);
}
