#include "verifier/diagnose/server_ask.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "verifier/diagnose/tcp_ask.h"

/* STRAYS_MAX: packets of a server that answer nothing; late copies of what it has answered are a few of them.
 */
enum { TRIES = 3, AGAIN_MS = 500, STRAYS_MAX = 64 };

/* A question on its way to a server. */
struct errand {
	struct dns_question question;
	uint8_t *packet;
	size_t size;
	enum { SENT, CUT, DONE } state; /* CUT: to be asked over TCP */
	struct ask_result *result;
};

struct asked {
	const struct ask_server *server;
	int fd;              /* UDP; -1: not asked (any more) */
	struct tcp_ask *tcp; /* NULL: no errand is under way there */
	size_t tcp_errand;
	int strays;
	size_t count;
	struct errand errands[ASK_QUESTIONS_MAX];
};

struct round {
	size_t count;
	struct asked asked[ASK_SERVERS_MAX];
	int64_t deadline_ms, again_at_ms;
	int tries;
	uint8_t bytes[ASK_REPLY_MAX];
};

/* The kernel gives a socket the peer's own address where that is this machine's. */
static bool is_own(int fd, const struct net_address *peer)
{
	struct net_address local;
	char local_text[NET_ADDRESS_TEXT], peer_text[NET_ADDRESS_TEXT];
	return net_local_address(fd, &local, NULL) == R_OK &&
	       strcmp(net_format_host(&local, local_text), net_format_host(peer, peer_text)) == 0;
}

static void give_up(struct asked *asked, enum ask_outcome outcome)
{
	for (size_t i = 0; i < asked->count; i++) {
		if (asked->errands[i].state != DONE)
			asked->errands[i].result->outcome = outcome;
		asked->errands[i].state = DONE;
	}
	tcp_ask_free(asked->tcp);
	asked->tcp = NULL;
	if (asked->fd >= 0)
		close(asked->fd);
	asked->fd = -1;
}

static void open_asked(struct asked *asked)
{
	const struct net_address *address = &asked->server->address;
	asked->fd = socket(address->storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (asked->fd < 0 ||
	    connect(asked->fd, (const struct sockaddr *)&address->storage, address->size) != 0)
		give_up(asked, ASK_SILENT);
	else if (!asked->server->may_be_own && is_own(asked->fd, address))
		give_up(asked, ASK_OWN);
}

static void prepare(struct asked *asked, const struct ask_server *server,
    const struct dns_question *questions, size_t count, struct ask_result *results)
{
	*asked = (struct asked){.server = server, .count = count};
	for (size_t i = 0; i < count; i++) {
		struct errand *errand = &asked->errands[i];
		*errand = (struct errand){.question = questions[i], .result = &results[i]};
		results[i] = (struct ask_result){.outcome = ASK_SILENT};
		errand->packet = dns_question_make(&errand->question, &errand->size);
		if (!errand->packet)
			errand->state = DONE;
	}
	open_asked(asked);
}

static void send_all(struct round *round)
{
	for (size_t i = 0; i < round->count; i++) {
		struct asked *asked = &round->asked[i];
		for (size_t j = 0; j < asked->count && asked->fd >= 0; j++)
			if (asked->errands[j].state == SENT)
				send(asked->fd, asked->errands[j].packet, asked->errands[j].size,
				    MSG_NOSIGNAL);
	}
	round->tries++;
	round->again_at_ms = clock_monotonic_ms() + AGAIN_MS;
}

/* True: it was the reply to this errand. */
static bool take_reply(struct errand *errand, const uint8_t *bytes, size_t size, bool is_tcp)
{
	struct dns_reply reply;
	enum result result = dns_question_read(&errand->question, bytes, size, &reply);
	if (result == R_NONE)
		return false;
	errand->state = reply.is_truncated && !is_tcp ? CUT : DONE;
	if (errand->state == DONE) {
		errand->result->outcome = result == R_OK && !reply.is_truncated ? ASK_REPLIED : ASK_GARBLED;
		errand->result->reply = reply;
	}
	return true;
}

static bool take_packet(struct asked *asked, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < asked->count; i++)
		if (asked->errands[i].state == SENT && take_reply(&asked->errands[i], bytes, size, false))
			return true;
	return false;
}

/* Who sends much that answers nothing would hold us here for as long as he likes. */
static void receive(struct round *round, struct asked *asked)
{
	while (asked->fd >= 0) {
		ssize_t size = recv(asked->fd, round->bytes, sizeof round->bytes, 0);
		if (size < 0 && errno == EINTR)
			continue;
		/* Nobody listens there: it may have been the first packet only that was refused. */
		if (size < 0 && errno != EAGAIN && round->tries == TRIES)
			give_up(asked, ASK_SILENT);
		if (size < 0)
			return;
		if (!take_packet(asked, round->bytes, (size_t)size) && ++asked->strays > STRAYS_MAX)
			give_up(asked, ASK_GARBLED);
	}
}

/* One errand after the other, each over a connection of its own. */
static void start_tcp(struct asked *asked)
{
	for (size_t i = 0; i < asked->count && !asked->tcp; i++) {
		struct errand *errand = &asked->errands[i];
		if (errand->state != CUT)
			continue;
		asked->tcp = tcp_ask_new(&asked->server->address, errand->packet, errand->size);
		asked->tcp_errand = i;
		if (!asked->tcp)
			errand->state = DONE;
	}
}

static void go_on_with_tcp(struct round *round, struct asked *asked)
{
	struct errand *errand = &asked->errands[asked->tcp_errand];
	size_t size = 0;
	enum result result = tcp_ask_go_on(asked->tcp, round->bytes, sizeof round->bytes, &size);
	if (result == R_AGAIN)
		return;
	if (result == R_LIMIT)
		errand->result->outcome = ASK_GARBLED;
	if (result != R_OK || !take_reply(errand, round->bytes, size, true))
		errand->state = DONE;
	tcp_ask_free(asked->tcp);
	asked->tcp = NULL;
}

static size_t list_fds(struct round *round, struct pollfd *fds)
{
	size_t count = 0;
	for (size_t i = 0; i < round->count; i++) {
		struct asked *asked = &round->asked[i];
		bool waits = false;
		for (size_t j = 0; j < asked->count; j++)
			waits = waits || asked->errands[j].state == SENT;
		start_tcp(asked);
		fds[2 * i] = (struct pollfd){.fd = waits ? asked->fd : -1, .events = POLLIN};
		fds[2 * i + 1] = (struct pollfd){.fd = -1};
		if (asked->tcp)
			fds[2 * i + 1] = (struct pollfd){
			    .fd = tcp_ask_fd(asked->tcp), .events = tcp_ask_events(asked->tcp)};
		count += waits + (asked->tcp != NULL);
	}
	return count;
}

static int wait_ms(const struct round *round)
{
	int64_t until = round->tries < TRIES && round->again_at_ms < round->deadline_ms ? round->again_at_ms
											: round->deadline_ms;
	int64_t left = until - clock_monotonic_ms();
	return left > 0 ? (int)left : 0;
}

static void work(struct round *round)
{
	struct pollfd fds[2 * ASK_SERVERS_MAX];
	while (list_fds(round, fds) && clock_monotonic_ms() < round->deadline_ms) {
		if (poll(fds, 2 * round->count, wait_ms(round)) < 0 && errno != EINTR)
			break;
		for (size_t i = 0; i < round->count; i++) {
			if (fds[2 * i].fd >= 0 && fds[2 * i].revents)
				receive(round, &round->asked[i]);
			if (round->asked[i].tcp && fds[2 * i + 1].revents)
				go_on_with_tcp(round, &round->asked[i]);
		}
		if (round->tries < TRIES && clock_monotonic_ms() >= round->again_at_ms)
			send_all(round);
	}
}

void server_ask(const struct ask_server *servers, size_t server_count, const struct dns_question *questions,
    size_t question_count, int timeout_ms, struct ask_result *results)
{
	assert(server_count <= ASK_SERVERS_MAX && question_count <= ASK_QUESTIONS_MAX);
	struct round *round = mem_alloc(sizeof *round);
	round->count = server_count;
	round->deadline_ms = clock_monotonic_ms() + timeout_ms;
	for (size_t i = 0; i < server_count; i++)
		prepare(
		    &round->asked[i], &servers[i], questions, question_count, &results[i * question_count]);
	send_all(round);
	work(round);
	for (size_t i = 0; i < server_count; i++) {
		give_up(&round->asked[i], ASK_SILENT);
		for (size_t j = 0; j < question_count; j++)
			free(round->asked[i].errands[j].packet);
	}
	free(round);
}
