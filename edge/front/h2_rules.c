/*
 * What RFC 9113 and RFC 9218 forbid a client and nghttp2 lets pass: frames for streams that are over or never
 * were, a window that SETTINGS make too large, PRIORITY and PRIORITY_UPDATE of nothing.
 */
#include "edge/front/h2_conn_state.h"

enum { PADDING_MOST = 256 };

static void break_rule(struct h2_conn *conn, uint32_t error)
{
	h2_conn_end(conn, error, H2_END_PROTOCOL);
}

/* A PRIORITY_UPDATE makes nghttp2 keep a stream that is none yet, and may never be. */
static bool is_none(const struct h2_conn *conn, int32_t id)
{
	nghttp2_stream *stream = nghttp2_session_find_stream(conn->session, id);

	return !stream || nghttp2_stream_get_state(stream) == NGHTTP2_STREAM_STATE_IDLE;
}

/* If we have ended the stream, the head may have been under way then (section 5.1). If the client has, or
 * passed the number over (section 5.1.1), there is no excuse. */
static void judge_late_head(struct h2_conn *conn, int32_t id)
{
	switch (h2_ids_find(&conn->ids, id)) {
	case H2_ID_PASSED_OVER: break_rule(conn, NGHTTP2_PROTOCOL_ERROR); break;
	case H2_ID_ENDED: break_rule(conn, NGHTTP2_STREAM_CLOSED); break;
	case H2_ID_OPENED:
	case H2_ID_UNKNOWN: break;
	}
}

/* Section 6.1: an error of the stream. Frames with little in them cost more than they bring, wherever they
 * go. */
static void judge_late_data(struct h2_conn *conn, const struct h2_scan_data *data)
{
	enum h2_id id = h2_ids_find(&conn->ids, data->id);

	if (data->size <= PADDING_MOST)
		h2_session_spend(conn, H2_LIMIT_IDLE_FRAMES);
	if (id == H2_ID_PASSED_OVER || id == H2_ID_ENDED)
		nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, data->id, NGHTTP2_STREAM_CLOSED);
}

void h2_rules_data_begins(struct h2_conn *conn, const struct h2_scan_data *data)
{
	if (is_none(conn, data->id))
		judge_late_data(conn, data);
	if (data->is_last)
		h2_ids_end(&conn->ids, data->id);
}

/* RFC 9218 section 7.1. */
void h2_rules_priority_update(struct h2_conn *conn, int32_t prioritized)
{
	if (prioritized == 0)
		break_rule(conn, NGHTTP2_PROTOCOL_ERROR);
}

static int64_t initial_window(const struct h2_conn *conn)
{
	return nghttp2_session_get_remote_settings(conn->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
}

static void note_windows(struct h2_conn *conn)
{
	const struct h2_stream *stream = NULL;

	conn->widest = INT32_MIN;
	TAILQ_FOREACH(stream, &conn->streams, entry)
	{
		int64_t beyond = nghttp2_session_get_stream_remote_window_size(conn->session, stream->id) -
				 initial_window(conn);

		if (beyond > conn->widest)
			conn->widest = beyond;
	}
}

void h2_rules_frame_begins(struct h2_conn *conn, const nghttp2_frame_hd *hd)
{
	int32_t id = hd->stream_id;

	switch (hd->type) {
	case NGHTTP2_HEADERS:
		if (is_none(conn, id))
			judge_late_head(conn, id);
		h2_ids_open(&conn->ids, id);
		if (hd->flags & NGHTTP2_FLAG_END_STREAM)
			h2_ids_end(&conn->ids, id);
		break;
	case NGHTTP2_RST_STREAM: h2_ids_end(&conn->ids, id); break;
	case NGHTTP2_PRIORITY:
		/* We decline the tree (RFC 9218), so nghttp2 reads none of it; section 6.3 has this rule all
		 * the same. */
		if (id == 0)
			break_rule(conn, NGHTTP2_PROTOCOL_ERROR);
		break;
	case NGHTTP2_SETTINGS: note_windows(conn); break;
	default: break;
	}
}

/* Section 6.9.2: an error of the connection; for nghttp2 it is one of each stream. */
void h2_rules_settings(struct h2_conn *conn, const nghttp2_settings *settings)
{
	for (size_t i = 0; i < settings->niv; i++)
		if (settings->iv[i].settings_id == NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE &&
		    conn->widest + settings->iv[i].value > INT32_MAX)
			break_rule(conn, NGHTTP2_FLOW_CONTROL_ERROR);
}
