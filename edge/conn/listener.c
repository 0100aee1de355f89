#include "edge/conn/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/admission.h"
#include "edge/conn/conn.h"
#include "edge/edge_metrics.h"

struct listener {
	struct loop_io io;
	struct worker *worker;
	struct loop_timer pause;
	int reserve; /* a descriptor to give up when there are no others; -1: it is lost for now */
	struct listen_point point;
};

enum accepted { ACCEPTED, NOTHING_QUEUED, NO_ROOM, GONE };

static enum accepted failure_of(int error)
{
	switch (error) {
	case EAGAIN: return NOTHING_QUEUED;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM: return NO_ROOM;
	/* What went wrong with one connection in the queue is reported here (accept(2)): the next one may be
	 * fine. */
	default: return GONE;
	}
}

static int accept_descriptor(const struct listener *listener, struct net_address *client)
{
	client->size = sizeof client->storage;
	return accept4(listener->io.fd, (struct sockaddr *)&client->storage, &client->size,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void open_reserve(struct listener *listener)
{
	if (listener->reserve < 0)
		listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: whoever stands first in the queue is told so, rather than left there until he gives up.
 * Another thread may be quicker to take what we give up: then this is for later. */
static enum accepted shed_one(struct listener *listener)
{
	struct net_address client;

	if (listener->reserve < 0)
		return NO_ROOM;
	close(listener->reserve);
	listener->reserve = -1;
	int fd = accept_descriptor(listener, &client);
	enum accepted failure = fd < 0 ? failure_of(errno) : ACCEPTED;
	if (fd >= 0)
		admission_turn_away(listener->worker, fd, listener->point.kind != LISTEN_HTTP, "descriptors");
	open_reserve(listener);
	return failure;
}

static enum accepted accept_one(struct listener *listener)
{
	struct net_address client;
	int fd = accept_descriptor(listener, &client);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		return shed_one(listener);
	if (fd < 0)
		return failure_of(errno);
	conn_accept(listener->worker, fd, &client, listener->point);
	return ACCEPTED;
}

static void pause_accepting(struct listener *listener)
{
	metric_add(listener->worker->metrics->accept_pauses, 1);
	loop_watch(listener->worker->loop, &listener->io, 0);
	loop_timer_set(listener->worker->loop, &listener->pause, LISTENER_PAUSE_MS);
}

static void on_pause_over(struct loop_timer *timer)
{
	struct listener *listener = loop_owner(timer, struct listener, pause);

	open_reserve(listener);
	loop_watch(listener->worker->loop, &listener->io, EPOLLIN);
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct listener *listener = loop_owner(io, struct listener, io);
	enum accepted accepted = ACCEPTED;

	(void)events;
	for (int i = 0; i < LISTENER_BATCH && (accepted == ACCEPTED || accepted == GONE); i++)
		accepted = accept_one(listener);
	if (accepted == NO_ROOM)
		pause_accepting(listener);
}

struct listener *listener_new(struct worker *worker, int fd, struct listen_point point)
{
	struct listener *listener = mem_alloc(sizeof *listener);

	listener->worker = worker;
	listener->point = point;
	listener->io = (struct loop_io){.fd = fd, .on_ready = on_ready};
	listener->pause.on_expire = on_pause_over;
	listener->reserve = -1;
	open_reserve(listener);
	return listener;
}

enum result listener_start(struct listener *listener)
{
	return loop_watch(listener->worker->loop, &listener->io, EPOLLIN);
}

/* Segments with SYN and without ACK go unheard from now on, so that no new connection begins, while those
 * whose handshake is under way still reach the queue. Who is not heard asks again a second later, and finds
 * another listener or none. Accepted connections inherit the filter, which lets all they get pass. */
void listener_stop_new(struct listener *listener)
{
	enum { FLAGS = 13, SYN = 0x02, ACK = 0x10 };
	struct sock_filter program[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};

	if (listener->io.fd >= 0 &&
	    setsockopt(listener->io.fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
		log_debug("the kernel takes no filter: what arrives while listeners close may be reset");
}

/* Bounded, should clients come faster than they can be accepted. */
int listener_accept_queued(struct listener *listener)
{
	enum accepted accepted = ACCEPTED;
	int count = 0;

	for (int i = 0; i < 100 * 1000 && (accepted == ACCEPTED || accepted == GONE); i++) {
		accepted = accept_one(listener);
		count += accepted == ACCEPTED;
	}
	return count;
}

/* Where other sockets have the segments on their way, listening ones have their queue. */
int listener_queued(const struct listener *listener)
{
	struct tcp_info info = {.tcpi_unacked = 0};
	socklen_t size = sizeof info;

	getsockopt(listener->io.fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	return (int)info.tcpi_unacked;
}

void listener_close(struct listener *listener)
{
	if (listener->io.fd < 0)
		return;
	loop_timer_clear(listener->worker->loop, &listener->pause);
	loop_unwatch(listener->worker->loop, &listener->io);
	close(listener->io.fd);
	listener->io.fd = -1;
	if (listener->reserve >= 0)
		close(listener->reserve);
	listener->reserve = -1;
}

void listener_free(struct listener *listener)
{
	if (!listener)
		return;
	listener_close(listener);
	free(listener);
}

/* Accepted sockets inherit these from the listening one, which saves calls for each of them. */
static void set_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
	    {IPPROTO_TCP, TCP_NODELAY, 1},
	    {SOL_SOCKET, SO_KEEPALIVE, 1},
	    {IPPROTO_TCP, TCP_KEEPIDLE, 60},
	    {IPPROTO_TCP, TCP_KEEPINTVL, 15},
	    {IPPROTO_TCP, TCP_KEEPCNT, 4},
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

enum result listener_bind(
    const char *address, int *fds, int count, struct net_address *local, struct error *error)
{
	int bound = 0;
	enum result result = net_parse_address(local, address, error);

	while (result == R_OK && bound < count) {
		result = net_listen(&fds[bound], local, true, error);
		if (result != R_OK)
			break;
		set_options(fds[bound++]);
		if (bound == 1)
			result = net_local_address(fds[0], local, error);
	}
	if (result == R_OK)
		return R_OK;
	while (bound > 0)
		close(fds[--bound]);
	return result;
}
