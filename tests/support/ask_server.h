/*
 * An ask endpoint for tests: says what it is told to say, counts what it was asked, and can hold its answers
 * back. Listens on a free port of 127.0.0.1, a thread per connection.
 */
#ifndef TESTS_SUPPORT_ASK_SERVER_H
#define TESTS_SUPPORT_ASK_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ASK_SERVER_PATIENCE_S = 20,
	ASK_SERVER_CONNECTIONS = 600,
	ASK_SERVER_NEVER = -1,
	ASK_SERVER_CLOSE = -2
};

struct ask_server {
	int fd;
	int port;
	pthread_t thread;
	pthread_mutex_t lock; /* covers what follows */
	pthread_cond_t changed;
	int status; /* of the answers to come; ASK_SERVER_NEVER: none, ASK_SERVER_CLOSE: the connection ends
		     */
	size_t body_size;
	bool holding; /* requests wait for ask_server_release */
	bool stopping;
	int asks; /* complete requests */
	int connections;
	char last_head[4096];
	pthread_t threads[ASK_SERVER_CONNECTIONS];
	struct ask_server_place {
		struct ask_server *server;
		int fd;
	} places[ASK_SERVER_CONNECTIONS];
};

/* Reads up to the end of a request's head. */
static inline bool ask_server_read_head(int fd, char *head, size_t size)
{
	size_t used = 0;

	for (;;) {
		ssize_t got = recv(fd, head + used, size - 1 - used, 0);
		if (got <= 0 || used + (size_t)got >= size - 1)
			return false;
		used += (size_t)got;
		head[used] = '\0';
		if (strstr(head, "\r\n\r\n"))
			return true;
	}
}

/* The status to answer with, once this request may be answered. */
static inline int ask_server_admit(struct ask_server *server, const char *head, size_t *body_size)
{
	pthread_mutex_lock(&server->lock);
	server->asks++;
	snprintf(server->last_head, sizeof server->last_head, "%s", head);
	pthread_cond_broadcast(&server->changed);
	while ((server->holding || server->status == ASK_SERVER_NEVER) && !server->stopping)
		pthread_cond_wait(&server->changed, &server->lock);
	int status = server->stopping ? ASK_SERVER_CLOSE : server->status;
	*body_size = server->body_size;
	pthread_mutex_unlock(&server->lock);
	return status;
}

static inline bool ask_server_answer(int fd, int status, size_t body_size)
{
	char head[256];
	int size = snprintf(head, sizeof head,
	    "HTTP/1.1 %d Said\r\nLocation: /elsewhere\r\nContent-Length: %zu\r\n\r\n", status, body_size);

	if (send(fd, head, (size_t)size, MSG_NOSIGNAL) != size)
		return false;
	for (size_t i = 0; i < body_size; i++) {
		if (send(fd, "x", 1, MSG_NOSIGNAL) != 1)
			return false;
	}
	return true;
}

static inline void *ask_server_serve(void *arg)
{
	struct ask_server_place *place = arg;
	char head[4096];
	size_t body_size = 0;

	while (ask_server_read_head(place->fd, head, sizeof head)) {
		int status = ask_server_admit(place->server, head, &body_size);

		if (status == ASK_SERVER_CLOSE || !ask_server_answer(place->fd, status, body_size))
			break;
	}
	shutdown(place->fd, SHUT_RDWR);
	return NULL;
}

static inline void *ask_server_main(void *arg)
{
	struct ask_server *server = arg;

	for (;;) {
		int fd = accept(server->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&server->lock);
		int index = server->connections;
		if (index < ASK_SERVER_CONNECTIONS) {
			server->connections++;
			server->places[index] = (struct ask_server_place){server, fd};
			if (pthread_create(
				&server->threads[index], NULL, ask_server_serve, &server->places[index]) != 0)
				abort();
		} else {
			close(fd);
		}
		pthread_mutex_unlock(&server->lock);
	}
}

static inline struct ask_server *ask_server_start(int status)
{
	struct ask_server *server = calloc(1, sizeof *server);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;

	server->status = status;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (struct sockaddr *)&address, size) != 0 || listen(server->fd, 512) != 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &size) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	if (pthread_create(&server->thread, NULL, ask_server_main, server) != 0)
		abort();
	return server;
}

static inline void ask_server_stop(struct ask_server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	for (int i = 0; i < server->connections; i++) {
		shutdown(server->places[i].fd, SHUT_RDWR);
		pthread_join(server->threads[i], NULL);
		close(server->places[i].fd);
	}
	pthread_cond_destroy(&server->changed);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

static inline void ask_server_say(struct ask_server *server, int status, size_t body_size)
{
	pthread_mutex_lock(&server->lock);
	server->status = status;
	server->body_size = body_size;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static inline void ask_server_hold(struct ask_server *server, bool holding)
{
	pthread_mutex_lock(&server->lock);
	server->holding = holding;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static inline int ask_server_asks(struct ask_server *server)
{
	pthread_mutex_lock(&server->lock);
	int asks = server->asks;
	pthread_mutex_unlock(&server->lock);
	return asks;
}

/* Waits until so many requests have come; ends the program where they do not. */
static inline void ask_server_await(struct ask_server *server, int asks)
{
	struct timespec until;
	int waited = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ASK_SERVER_PATIENCE_S;
	pthread_mutex_lock(&server->lock);
	while (server->asks < asks && waited == 0)
		waited = pthread_cond_timedwait(&server->changed, &server->lock, &until);
	if (server->asks < asks) {
		fprintf(stderr, "%d questions of %d came to the ask endpoint\n", server->asks, asks);
		abort();
	}
	pthread_mutex_unlock(&server->lock);
}

static inline int ask_server_connections(struct ask_server *server)
{
	pthread_mutex_lock(&server->lock);
	int connections = server->connections;
	pthread_mutex_unlock(&server->lock);
	return connections;
}

#endif
