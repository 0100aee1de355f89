#include "edge/upstream/upstream_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* Refused by the other side, or nothing to try it with on ours (descriptors, memory, local ports)? */
static enum upstream_failure failure_of(int code)
{
	bool is_local = code == EMFILE || code == ENFILE || code == ENOMEM || code == ENOBUFS ||
			code == EADDRNOTAVAIL || code == EAGAIN;

	return is_local ? UPSTREAM_LOCAL : UPSTREAM_REFUSED;
}

/* Small pieces must not wait for the acknowledgement of the piece before. */
int upstream_socket_open(const struct net_address *address, enum upstream_failure *failure)
{
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	if (fd < 0) {
		*failure = failure_of(errno);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	*failure = failure_of(errno);
	close(fd);
	return -1;
}

enum upstream_failure upstream_socket_failure(int fd)
{
	int code = 0;
	socklen_t size = sizeof code;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0)
		return failure_of(errno);
	return code == 0 ? UPSTREAM_FAILURE_COUNT : failure_of(code);
}
