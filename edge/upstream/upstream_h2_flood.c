#include "edge/upstream/upstream_h2_flood.h"

static void begin_period(struct upstream_h2_flood *flood, int64_t now_ms)
{
	if (flood->since_ms != 0 && now_ms - flood->since_ms < UPSTREAM_H2_FLOOD_PERIOD_MS)
		return;
	flood->since_ms = now_ms;
	flood->frames = 0;
	flood->updates = 0;
}

static bool take_block(struct upstream_h2_flood *flood, const nghttp2_frame_hd *frame)
{
	if (frame->type == NGHTTP2_CONTINUATION) {
		flood->block += frame->length;
		flood->continuations++;
	} else {
		flood->block = frame->length;
		flood->continuations = 0;
	}
	return flood->block <= UPSTREAM_H2_FLOOD_BLOCK_MAX &&
	       flood->continuations <= UPSTREAM_H2_FLOOD_CONTINUATIONS_MAX;
}

bool upstream_h2_flood_allows(
    struct upstream_h2_flood *flood, const nghttp2_frame_hd *frame, bool is_awaited, int64_t now_ms)
{
	begin_period(flood, now_ms);
	switch (frame->type) {
	case NGHTTP2_HEADERS:
		if (!take_block(flood, frame))
			return false;
		if (is_awaited)
			return true;
		break;
	case NGHTTP2_CONTINUATION: return take_block(flood, frame);
	case NGHTTP2_WINDOW_UPDATE: return ++flood->updates <= UPSTREAM_H2_FLOOD_FRAMES_MAX;
	case NGHTTP2_DATA:
		if (frame->length > 0 || (frame->flags & NGHTTP2_FLAG_END_STREAM))
			return true;
		break;
	default: break;
	}
	return ++flood->frames <= UPSTREAM_H2_FLOOD_FRAMES_MAX;
}

void upstream_h2_flood_sent(struct upstream_h2_flood *flood, int type)
{
	if (type == NGHTTP2_HEADERS || type == NGHTTP2_DATA)
		flood->frames--;
	if (type == NGHTTP2_DATA)
		flood->updates -= UPSTREAM_H2_FLOOD_UPDATES;
}
