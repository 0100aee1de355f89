#include "verifier/diagnose/look_room.h"

#include <stdio.h>
#include <string.h>

/* `size`: of the room, or of the poller's part. */
static bool has_room(const struct look_room *room, const char *tenant, bool of_poller, int size)
{
	int taken = 0, of_tenant = 0;
	for (int i = 0; i < LOOK_ROOM; i++) {
		const struct look_place *place = &room->places[i];
		if (place->tenant[0] == '\0' || (of_poller && !place->is_poller))
			continue;
		taken++;
		of_tenant += strcmp(place->tenant, tenant) == 0;
	}
	return taken < size && (taken < size - size / 4 || of_tenant < size / 8);
}

int look_room_enter(struct look_room *room, const char *tenant, bool is_poller, int64_t now_ms)
{
	if (!has_room(room, tenant, false, LOOK_ROOM))
		return -1;
	if (is_poller && (now_ms < room->next_start_ms || !has_room(room, tenant, true, LOOK_ROOM_POLLER)))
		return -1;
	if (is_poller)
		room->next_start_ms = now_ms + 1000 / LOOK_ROOM_PER_SECOND;
	int at = 0;
	while (room->places[at].tenant[0] != '\0')
		at++;
	room->places[at].is_poller = is_poller;
	snprintf(room->places[at].tenant, sizeof room->places[at].tenant, "%s", tenant);
	return at;
}

void look_room_leave(struct look_room *room, int place)
{
	room->places[place].tenant[0] = '\0';
}
