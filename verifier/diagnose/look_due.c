#include "verifier/diagnose/look_due.h"

#include <string.h>

bool look_is_due(const struct domain_memory *memory, const struct domain_verdict *verdict, int again_s)
{
	bool is_well = verdict->txt == TXT_VERIFIED && verdict->routing == ROUTING_HERE &&
		       verdict->rival != TXT_VERIFIED;
	bool is_known = strcmp(memory->basis, verdict->basis) == 0 && memory->is_full;
	/* Well and known to be: the ordinary check sees what changes. */
	if (is_well && memory->basis[0] && !memory->is_troubled)
		return false;
	return !is_known || memory->age_s >= again_s;
}
