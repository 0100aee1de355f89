/*
 * A scripted authoritative DNS server for the zone `test` on 127.0.0.1, a free port, UDP and TCP. The first
 * label of the name decides what it says:
 *
 *   txt      TXT "ab" "cd"                       binary   TXT 00 ff 5c
 *   goal     A 192.0.2.1, AAAA 2001:db8::1       alias    CNAME goal.test, and its address
 *   none     NXDOMAIN, good for an hour          empty    no data, good for an hour
 *   later    as none, until fake_dns_publish     big      cut on UDP, a thousand TXT records on TCP
 *   changing TXT "old", and "new" after fake_dns_publish
 *   loop     CNAME to itself                     fail, refused   these codes
 *   flaky    as fail, until fake_dns_publish     silent   nothing at all
 *   public   A 9.9.9.9, which nobody is to ask
 */
#ifndef TESTS_SUPPORT_FAKE_DNS_H
#define TESTS_SUPPORT_FAKE_DNS_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_DNS_MESSAGE = 65535, FAKE_DNS_BIG = 1000, FAKE_DNS_TTL = 3600 };

struct fake_dns {
	int udp, tcp, stop[2], port;
	pthread_t thread;
	atomic_bool published;
	atomic_int silent_questions;
};

struct fake_message {
	unsigned char bytes[FAKE_DNS_MESSAGE + 2];
	size_t size;
	size_t question_end;
	char label[64];
	unsigned type;
};

static inline void fake_put(struct fake_message *message, const void *bytes, size_t size)
{
	memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

static inline void fake_put16(struct fake_message *message, unsigned value)
{
	fake_put(message, (unsigned char[]){(unsigned char)(value >> 8), (unsigned char)value}, 2);
}

/* Count of answers at 6, of authority at 8. */
static inline void fake_count(struct fake_message *message, size_t at)
{
	unsigned count = (unsigned)message->bytes[at] << 8 | message->bytes[at + 1];
	message->bytes[at] = (unsigned char)((count + 1) >> 8);
	message->bytes[at + 1] = (unsigned char)(count + 1);
}

/* `owner`: a name in wire form; NULL: the question's. */
static inline void fake_record(
    struct fake_message *message, const char *owner, unsigned type, const void *rdata, size_t size)
{
	if (owner)
		fake_put(message, owner, strlen(owner) + 1);
	else
		fake_put16(message, 0xc00c);
	fake_put16(message, type);
	fake_put16(message, 1);
	fake_put16(message, 0);
	fake_put16(message, FAKE_DNS_TTL);
	fake_put16(message, (unsigned)size);
	fake_put(message, rdata, size);
	fake_count(message, type == 6 ? 8 : 6);
}

static inline void fake_no_data(struct fake_message *message)
{
	static const char soa[] =
	    "\2ns\4test\0\4mail\4test\0\0\0\0\1\0\0\x0e\x10\0\0\2\x58\0\1\x51\x80\0\0\x0e\x10";
	fake_record(message, "\4test", 6, soa, sizeof soa - 1);
}

static inline void fake_addresses(struct fake_message *message, const char *owner)
{
	static const unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	if (message->type == 1)
		fake_record(message, owner, 1, "\xc0\0\2\1", 4);
	else if (message->type == 28)
		fake_record(message, owner, 28, v6, sizeof v6);
	else
		fake_no_data(message);
}

static inline void fake_big(struct fake_message *message, bool tcp)
{
	if (!tcp) {
		message->bytes[2] |= 2; /* TC */
		return;
	}
	for (int i = 0; i < FAKE_DNS_BIG; i++)
		fake_record(message, NULL, 16,
		    "\x27"
		    "abcdefghijklmnopqrstuvwxyz0123456789.-_",
		    40);
	fake_record(message, NULL, 16, "\6needle", 7);
}

static inline void fake_code(struct fake_message *message, unsigned code)
{
	message->bytes[3] = (unsigned char)((message->bytes[3] & 0xf0) | code);
}

static inline void fake_fill(const struct fake_dns *dns, struct fake_message *message, bool tcp)
{
	static const char goal[] = "\4goal\4test";
	const char *label = message->label;
	bool txt = message->type == 16;
	if (strcmp(label, "txt") == 0 && txt)
		fake_record(message, NULL, 16, "\2ab\2cd", 6);
	else if (strcmp(label, "binary") == 0 && txt)
		fake_record(message, NULL, 16, "\3\0\xff\\", 4);
	else if (strcmp(label, "later") == 0 && txt && dns->published)
		fake_record(message, NULL, 16, "\4here", 5);
	else if (strcmp(label, "changing") == 0 && txt)
		fake_record(message, NULL, 16, dns->published ? "\3new" : "\3old", 4);
	else if (strcmp(label, "big") == 0 && txt)
		fake_big(message, tcp);
	else if (strcmp(label, "goal") == 0)
		fake_addresses(message, NULL);
	else if (strcmp(label, "public") == 0 && message->type == 1)
		fake_record(message, NULL, 1, "\x9\x9\x9\x9", 4);
	else if (strcmp(label, "alias") == 0) {
		fake_record(message, NULL, 5, goal, sizeof goal);
		fake_addresses(message, goal);
	} else if (strcmp(label, "loop") == 0)
		fake_record(message, NULL, 5, "\4loop\4test", 11);
	else if (strcmp(label, "fail") == 0 || (strcmp(label, "flaky") == 0 && !dns->published))
		fake_code(message, 2);
	else if (strcmp(label, "refused") == 0)
		fake_code(message, 5);
	else {
		fake_no_data(message);
		if (strcmp(label, "none") == 0 || strcmp(label, "later") == 0)
			fake_code(message, 3);
	}
}

/* Turns a query into its answer. False: say nothing. */
static inline bool fake_answer(struct fake_dns *dns, struct fake_message *message, bool tcp)
{
	if (message->size < 17 || message->bytes[12] > 63)
		return false;
	size_t at = 12, first = message->bytes[12];
	memcpy(message->label, message->bytes + 13, first);
	message->label[first] = '\0';
	for (size_t i = 0; i < first; i++)
		message->label[i] |= 0x20;
	while (at < message->size && message->bytes[at])
		at += message->bytes[at] + 1u;
	if (at + 5 > message->size)
		return false;
	message->type = (unsigned)message->bytes[at + 1] << 8 | message->bytes[at + 2];
	message->size = at + 5;
	message->bytes[2] = 0x84; /* answer, authoritative */
	message->bytes[3] = 0;
	memset(message->bytes + 6, 0, 6);
	if (strcmp(message->label, "silent") == 0) {
		dns->silent_questions++;
		return false;
	}
	fake_fill(dns, message, tcp);
	return true;
}

static inline void fake_serve_udp(struct fake_dns *dns, struct fake_message *message)
{
	struct sockaddr_in peer;
	socklen_t peer_size = sizeof peer;
	ssize_t size = recvfrom(dns->udp, message->bytes, 1500, 0, (struct sockaddr *)&peer, &peer_size);
	message->size = size > 0 ? (size_t)size : 0;
	if (fake_answer(dns, message, false))
		sendto(dns->udp, message->bytes, message->size, 0, (struct sockaddr *)&peer, peer_size);
}

static inline void fake_serve_tcp(struct fake_dns *dns, struct fake_message *message)
{
	unsigned char length[2];
	int fd = accept(dns->tcp, NULL, NULL);
	struct timeval patience = {.tv_sec = 2};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (recv(fd, length, 2, MSG_WAITALL) == 2) {
		size_t wanted = (size_t)length[0] << 8 | length[1];
		ssize_t size = recv(fd, message->bytes, wanted, MSG_WAITALL);
		message->size = size > 0 ? (size_t)size : 0;
		if (fake_answer(dns, message, true)) {
			length[0] = (unsigned char)(message->size >> 8);
			length[1] = (unsigned char)message->size;
			send(fd, length, 2, MSG_MORE | MSG_NOSIGNAL);
			send(fd, message->bytes, message->size, MSG_NOSIGNAL);
		}
	}
	close(fd);
}

static inline void *fake_dns_run(void *arg)
{
	struct fake_dns *dns = arg;
	struct fake_message *message = malloc(sizeof *message);
	struct pollfd fds[] = {{.fd = dns->udp, .events = POLLIN}, {.fd = dns->tcp, .events = POLLIN},
	    {.fd = dns->stop[0], .events = POLLIN}};
	while (poll(fds, 3, -1) >= 0 || errno == EINTR) {
		if (fds[2].revents)
			break;
		if (fds[0].revents)
			fake_serve_udp(dns, message);
		if (fds[1].revents)
			fake_serve_tcp(dns, message);
	}
	free(message);
	return NULL;
}

/* Both sockets on one port that is free for both. */
static inline bool fake_dns_bind(struct fake_dns *dns)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	dns->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	dns->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(dns->udp, (struct sockaddr *)&address, size) == 0 &&
	    getsockname(dns->udp, (struct sockaddr *)&address, &size) == 0 &&
	    bind(dns->tcp, (struct sockaddr *)&address, size) == 0 && listen(dns->tcp, 16) == 0) {
		dns->port = ntohs(address.sin_port);
		return true;
	}
	close(dns->udp);
	close(dns->tcp);
	return false;
}

static inline struct fake_dns *fake_dns_start(void)
{
	struct fake_dns *dns = calloc(1, sizeof *dns);
	while (!fake_dns_bind(dns))
		continue;
	if (pipe(dns->stop) != 0 || pthread_create(&dns->thread, NULL, fake_dns_run, dns) != 0)
		abort();
	return dns;
}

static inline void fake_dns_stop(struct fake_dns *dns)
{
	if (write(dns->stop[1], "", 1) != 1)
		abort();
	pthread_join(dns->thread, NULL);
	close(dns->udp);
	close(dns->tcp);
	close(dns->stop[0]);
	close(dns->stop[1]);
	free(dns);
}

static inline void fake_dns_publish(struct fake_dns *dns)
{
	dns->published = true;
}

#endif
