/*
 * The two values of WebSocket's opening handshake over HTTP/1.1 (RFC 6455 section 4), for where we are the
 * client in it: a key that nobody can foresee, and the answer that only a server of WebSocket makes of it.
 */
#ifndef EDGE_WEBSOCKET_H
#define EDGE_WEBSOCKET_H

#include "edge/http/http_msg.h"

enum { WEBSOCKET_KEY_SIZE = 24 };

void websocket_key_make(char out[WEBSOCKET_KEY_SIZE + 1]);
bool websocket_is_accepted(const char *key, struct http_slice accept);

#endif
