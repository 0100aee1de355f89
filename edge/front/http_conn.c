#include "edge/front/http_conn.h"

#include "edge/front/h1_conn.h"
#include "edge/front/h2_conn.h"

struct http_conn *http_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner)
{
	if (stream_has_chosen_http2(stream))
		return h2_conn_new(worker, stream, peer, on_closed, owner);
	return h1_conn_new(worker, stream, peer, on_closed, owner);
}

void http_conn_drain(struct http_conn *conn)
{
	conn->kind->drain(conn);
}

void http_conn_abort(struct http_conn *conn)
{
	conn->kind->abort(conn);
}

void http_conn_challenge(struct http_conn *conn, const struct challenge_reply *reply)
{
	conn->kind->on_challenge(conn, reply);
}

void http_conn_notice(struct http_conn *conn, const struct notice_reply *reply)
{
	conn->kind->on_notice(conn, reply);
}
