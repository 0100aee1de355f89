/* Addresses as people write them, and sockets that listen there. */
#include "common/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct error problem;

static void addresses_come_out_as_they_went_in(void **state)
{
	(void)state;
	static const struct {
		const char *text, *written, *host;
	} table[] = {
	    {"127.0.0.1:443", "127.0.0.1:443", "127.0.0.1"},
	    {"[::1]:0", "[::1]:0", "::1"},
	    {"[2001:DB8::1]:65535", "[2001:db8::1]:65535", "2001:db8::1"},
	    {"[::ffff:192.0.2.1]:80", "192.0.2.1:80", "192.0.2.1"},
	    {":8443", "[::]:8443", "::"},
	    {"0.0.0.0:80", "0.0.0.0:80", "0.0.0.0"},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct net_address address;
		char text[NET_ADDRESS_TEXT];
		assert_int_equal(net_parse_address(&address, table[i].text, &problem), R_OK);
		assert_string_equal(net_format_address(&address, text), table[i].written);
		assert_string_equal(net_format_host(&address, text), table[i].host);
	}
}

static void bad_addresses_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ":", "80", "host", "host:", "host:x", "host:70000", "host:-1",
	    "host: 80", "host:99999999999999999999", "::1:80", "::1", "[::1]", "[::1:80", "::1]:80", "[]:80",
	    "[127.0.0.1]:80", "[x]:80", "ho st:80", "http://host:80", "host:80/", "[[::1]]:80", "a@b:80",
	    "b\xc3\xbc:80", "]:80", "[:80"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct net_address address;
		problem.text[0] = '\0';
		if (net_check_address(bad[i], &problem) != R_INVALID)
			fail_msg("`%s` was taken", bad[i]);
		assert_int_equal(net_parse_address(&address, bad[i], &problem), R_INVALID);
		assert_int_not_equal(problem.text[0], '\0');
	}
}

static void a_host_alone_is_an_address_or_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "", "localhost", "[::1]", "127.0.0.1:80", "127.1", "::g", " ::1", "1.2.3.4.5"};
	struct net_address address;
	char text[NET_ADDRESS_TEXT];
	assert_true(net_read_host(&address, "192.0.2.7", 8080));
	assert_string_equal(net_format_address(&address, text), "192.0.2.7:8080");
	assert_true(net_read_host(&address, "2001:DB8::7", 443));
	assert_string_equal(net_format_address(&address, text), "[2001:db8::7]:443");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (net_read_host(&address, bad[i], 80) || address.size != 0)
			fail_msg("`%s` was taken", bad[i]);
}

static void over_long_hosts_are_refused(void **state)
{
	(void)state;
	char text[70000];
	memset(text, 'a', sizeof text);
	memcpy(text + sizeof text - 4, ":80", 4);
	assert_int_equal(net_check_address(text, &problem), R_INVALID);
	text[253] = ':', text[254] = '1', text[255] = '\0';
	assert_int_equal(net_check_address(text, &problem), R_OK);
}

static void localhost_is_looked_up(void **state)
{
	(void)state;
	struct net_address address;
	assert_int_equal(net_parse_address(&address, "localhost:80", &problem), R_OK);
	assert_int_equal(net_check_address("no-such-host.invalid:80", &problem), R_OK);
}

static void other_families_are_written_as_a_dash(void **state)
{
	(void)state;
	struct net_address address = {.storage.ss_family = AF_UNIX};
	char text[NET_ADDRESS_TEXT];
	assert_string_equal(net_format_address(&address, text), "-");
	assert_string_equal(net_format_host(&address, text), "-");
}

static int listen_on(const char *text, bool reuse_port, struct net_address *bound)
{
	struct net_address address;
	int fd = -1;
	assert_int_equal(net_parse_address(&address, text, &problem), R_OK);
	if (net_listen(&fd, &address, reuse_port, &problem) != R_OK)
		fail_msg("%s", problem.text);
	assert_int_equal(net_local_address(fd, bound, &problem), R_OK);
	return fd;
}

static int port_of(const struct net_address *address)
{
	struct sockaddr_in v4;
	memcpy(&v4, &address->storage, sizeof v4);
	return ntohs(v4.sin_port);
}

static void a_listener_takes_connections(void **state)
{
	(void)state;
	struct net_address bound;
	int listener = listen_on("127.0.0.1:0", false, &bound);
	assert_int_not_equal(port_of(&bound), 0);
	assert_int_not_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
	assert_int_not_equal(fcntl(listener, F_GETFD) & FD_CLOEXEC, 0);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&bound.storage, bound.size), 0);
	int server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(server), close(client), close(listener);
}

static void all_interfaces_take_ipv4_too(void **state)
{
	(void)state;
	struct net_address bound;
	int listener = listen_on(":0", false, &bound);
	struct sockaddr_in to = {
	    .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons((uint16_t)port_of(&bound)),
	};
	int client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
	struct net_address peer = {.size = sizeof peer.storage};
	int server = accept(listener, (struct sockaddr *)&peer.storage, &peer.size);
	assert_true(server >= 0);
	char text[NET_ADDRESS_TEXT];
	assert_string_equal(net_format_host(&peer, text), "127.0.0.1");
	close(server), close(client), close(listener);
}

static void an_address_in_use_is_named(void **state)
{
	(void)state;
	struct net_address bound;
	int first = listen_on("127.0.0.1:0", false, &bound), second = -1;
	assert_int_equal(net_listen(&second, &bound, false, &problem), R_ERROR);
	assert_int_equal(second, -1);
	char text[NET_ADDRESS_TEXT];
	assert_non_null(strstr(problem.text, net_format_address(&bound, text)));
	assert_non_null(strstr(problem.text, "address in use"));
	close(first);
}

static void workers_share_a_port(void **state)
{
	(void)state;
	struct net_address bound;
	int first = listen_on("127.0.0.1:0", true, &bound), second = -1, third = -1;
	assert_int_equal(net_listen(&second, &bound, true, &problem), R_OK);
	assert_int_equal(net_listen(&third, &bound, false, &problem), R_ERROR);
	close(first), close(second);
}

static void an_address_of_another_machine_is_refused(void **state)
{
	(void)state;
	struct net_address address;
	int fd = -1;
	assert_int_equal(net_parse_address(&address, "192.0.2.1:0", &problem), R_OK);
	assert_int_equal(net_listen(&fd, &address, false, &problem), R_ERROR);
	assert_non_null(strstr(problem.text, "no interface of this machine"));
}

/* In a child that is not root; where every port is open to everybody there is nothing to see. */
static void a_low_port_needs_a_right(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		struct net_address address;
		int fd = -1;
		net_parse_address(&address, "127.0.0.1:1", &problem);
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		bool listens = net_listen(&fd, &address, false, &problem) == R_OK;
		_exit(listens || strstr(problem.text, "ports below 1024 need root or CAP_NET_BIND_SERVICE")
			  ? 0
			  : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_come_out_as_they_went_in),
	    cmocka_unit_test(bad_addresses_are_refused),
	    cmocka_unit_test(a_host_alone_is_an_address_or_nothing),
	    cmocka_unit_test(over_long_hosts_are_refused),
	    cmocka_unit_test(localhost_is_looked_up),
	    cmocka_unit_test(other_families_are_written_as_a_dash),
	    cmocka_unit_test(a_listener_takes_connections),
	    cmocka_unit_test(all_interfaces_take_ipv4_too),
	    cmocka_unit_test(an_address_in_use_is_named),
	    cmocka_unit_test(workers_share_a_port),
	    cmocka_unit_test(an_address_of_another_machine_is_refused),
	    cmocka_unit_test(a_low_port_needs_a_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
