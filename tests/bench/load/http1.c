/* HTTP/1.1: one request after the other on a connection. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static void prepare_request(struct client *client)
{
	int size = snprintf(client->request, sizeof client->request,
	    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n", setup.body ? "POST" : "GET",
	    setup.path, client->name);

	if (setup.body)
		size += snprintf(client->request + size, sizeof client->request - (size_t)size,
		    "Content-Length: %ld\r\n", setup.body);
	size += snprintf(client->request + size, sizeof client->request - (size_t)size, "%s\r\n",
	    setup.closes ? "Connection: close\r\n" : "");
	client->request_size = (size_t)size;
}

static void begin_request(struct client *client)
{
	client->step = STEP_SEND;
	client->sent = client->head_size = 0;
}

static void begin_or_rest(struct client *client)
{
	if (!count_begins()) {
		client->step = STEP_IDLE;
		return;
	}
	client->started = now_ns();
	begin_request(client);
}

static void start(struct client *client)
{
	prepare_request(client);
	if (setup.closes || setup.rate || setup.idles)
		begin_request(client);
	else
		begin_or_rest(client);
}

/* With a rate it is due; else the gate has opened. */
static void go_on(struct client *client)
{
	if (client->step != STEP_IDLE)
		return;
	if (setup.rate)
		begin_request(client);
	else
		begin_or_rest(client);
}

static void next_operation(struct client *client)
{
	count_done(client->started);
	if (setup.closes) {
		connection_forget(client);
		connection_open(client);
	} else if (setup.rate || setup.idles) {
		connection_rest(client);
		if (setup.idles && run.opened < setup.connections)
			connection_open_next();
	} else {
		begin_or_rest(client);
		count_open_gate();
	}
}

static bool step_send(struct client *client)
{
	size_t total = client->request_size + (size_t)setup.body;
	bool in_head = client->sent < client->request_size;
	const char *bytes = in_head ? client->request + client->sent : load_zeros;
	size_t size = in_head ? client->request_size - client->sent : total - client->sent;
	size_t put = 0;

	int result = connection_write(client, bytes, size < LOAD_PIECE ? size : LOAD_PIECE, &put);
	if (result == 0)
		return false;
	if (result < 0) {
		connection_fail(client, "write");
		return true;
	}
	client->sent += put;
	if (client->sent == total)
		client->step = STEP_HEAD;
	return true;
}

static bool take_head(struct client *client)
{
	const char *field = NULL;

	client->head[client->head_size] = '\0';
	char *end = strstr(client->head, "\r\n\r\n");
	if (!end)
		return client->head_size < LOAD_HEAD_MAX - 1;
	if (strncmp(client->head, "HTTP/1.1 200 ", 13) != 0)
		return false;
	field = strcasestr(client->head, "\r\ncontent-length:");
	if (!field || field > end || strtol(field + 17, NULL, 10) != setup.size)
		return false;
	size_t body = client->head_size - (size_t)(end + 4 - client->head);
	if (body > (size_t)setup.size)
		return false;
	client->left = (uint64_t)setup.size - body;
	client->step = STEP_BODY;
	return true;
}

static bool step_receive(struct client *client)
{
	static char piece[LOAD_PIECE];
	bool in_head = client->step == STEP_HEAD;
	char *bytes = in_head ? client->head + client->head_size : piece;
	size_t room = in_head ? LOAD_HEAD_MAX - 1 - client->head_size : LOAD_PIECE;
	size_t got = 0;

	int result = connection_read(client, bytes, room, &got);
	if (result == 0)
		return false;
	if (result < 0 && client->step == STEP_END) {
		ERR_clear_error();
		next_operation(client);
		return true;
	}
	if (result < 0 || client->step == STEP_END || (!in_head && got > client->left)) {
		connection_fail(client, result < 0 ? "read" : "more than the response");
		return true;
	}
	if (in_head)
		client->head_size += got;
	else
		client->left -= got;
	if (in_head && !take_head(client)) {
		fprintf(stderr, "%.300s\n", client->head);
		connection_fail(client, "not the response that was expected");
		return true;
	}
	if (client->step == STEP_BODY && client->left == 0) {
		client->step = STEP_END;
		if (!setup.closes)
			next_operation(client);
	}
	return true;
}

static bool step(struct client *client)
{
	switch (client->step) {
	case STEP_SEND: return step_send(client);
	case STEP_HEAD:
	case STEP_BODY:
	case STEP_END: return step_receive(client);
	case STEP_HANDSHAKE:
	case STEP_IDLE: break;
	}
	return false;
}

static const unsigned char alpn[] = "\x08http/1.1";
const struct protocol load_http1 = {
    .alpn = alpn, .alpn_size = sizeof alpn - 1, .start = start, .step = step, .go_on = go_on};
