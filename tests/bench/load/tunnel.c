/* A WebSocket: the upgrade, then messages of `body` bytes that come back as they went, one at a time. */
#include <stdio.h>
#include <string.h>

#include "load.h"

static void prepare_request(struct client *client)
{
	int size = snprintf(client->request, sizeof client->request,
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	    setup.path, client->name);

	client->request_size = (size_t)size;
}

static void begin_or_rest(struct client *client)
{
	client->sent = 0;
	client->step = STEP_IDLE;
	if (!setup.idles && count_begins()) {
		client->step = STEP_SEND;
		client->started = now_ns();
		client->left = (uint64_t)setup.body;
	}
}

static void start(struct client *client)
{
	prepare_request(client);
	client->upgraded = false;
	client->sent = client->head_size = 0;
	client->step = STEP_SEND;
}

static void go_on(struct client *client)
{
	if (client->upgraded && client->step == STEP_IDLE)
		begin_or_rest(client);
}

static bool send_upgrade(struct client *client)
{
	size_t put = 0;
	int result = connection_write(
	    client, client->request + client->sent, client->request_size - client->sent, &put);

	if (result < 0)
		connection_fail(client, "write");
	client->sent += put;
	if (client->sent == client->request_size)
		client->step = STEP_HEAD;
	return result != 0;
}

static bool receive_upgrade(struct client *client)
{
	size_t got = 0;
	int result = connection_read(
	    client, client->head + client->head_size, LOAD_HEAD_MAX - 1 - client->head_size, &got);

	if (result == 0)
		return false;
	client->head_size += got;
	client->head[client->head_size] = '\0';
	char *end = strstr(client->head, "\r\n\r\n");
	if (result < 0 || (end && strncmp(client->head, "HTTP/1.1 101 ", 13) != 0)) {
		fprintf(stderr, "%.300s\n", client->head);
		connection_fail(client, "no upgrade");
	} else if (end) {
		client->upgraded = true;
		begin_or_rest(client);
	}
	return true;
}

/* A message larger than a piece comes back while it is still being sent. */
static bool send_message(struct client *client)
{
	size_t left = (size_t)setup.body - client->sent;
	size_t put = 0;
	int result = connection_write(client, load_zeros, left < LOAD_PIECE ? left : LOAD_PIECE, &put);

	if (result < 0) {
		connection_fail(client, "write");
		return true;
	}
	client->sent += put;
	return result == 1;
}

static bool receive_message(struct client *client)
{
	static char piece[LOAD_PIECE];
	size_t got = 0;
	int result = connection_read(client, piece, sizeof piece, &got);

	if (result == 0)
		return false;
	if (result < 0 || got > client->left) {
		connection_fail(client, "not the message that was sent");
		return true;
	}
	client->left -= got;
	if (client->left == 0) {
		count_done(client->started);
		begin_or_rest(client);
		count_open_gate();
	}
	return true;
}

static bool step(struct client *client)
{
	if (!client->upgraded)
		return client->step == STEP_SEND ? send_upgrade(client) : receive_upgrade(client);
	if (client->step != STEP_SEND)
		return false;
	bool sent = client->sent < (size_t)setup.body && send_message(client);
	return receive_message(client) || sent;
}

static const unsigned char alpn[] = "\x08http/1.1";
const struct protocol load_tunnel = {
    .alpn = alpn, .alpn_size = sizeof alpn - 1, .start = start, .step = step, .go_on = go_on};
