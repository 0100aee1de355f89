/*
 * Which protocol a connection may become (RFC 9110 section 7.8): what a request asks for, and whether a 101
 * grants one of that. What could be HTTP again, spoken past everything that we add and check, is never asked
 * for.
 */
#ifndef EDGE_UPGRADE_H
#define EDGE_UPGRADE_H

#include "edge/http/http_msg.h"

enum {
	UPGRADE_MAX = 64,         /* bytes of the whole list; who sends more asks for nothing */
	UPGRADE_PROTOCOLS_MAX = 4 /* names in it */
};

/* Sets head->upgrade where this request may become a tunnel: HTTP/1.1, Connection and one Upgrade field that
 * name it, no body behind which the other protocol would begin. Any other request is an ordinary one, as if
 * it had no Upgrade. After framing and Connection were read. */
void upgrade_read(struct http_head *head);

/* Is this 101 an answer to who asked for `asked`? All that it names must be in that list, and it has no body.
 * Sets answer->upgrade and answer->body. */
bool upgrade_accept(struct http_head *answer, const char *asked);

#endif
