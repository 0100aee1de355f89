#include "verifier/claim/schedule.h"

enum { FIRST_S = 15, FIRST_CHECKS = 40, LONGEST_S = 3600, LAST_S = 30 * 24 * 3600 };

int schedule_next_s(int checks)
{
	long wait = FIRST_S, total = 0;
	for (int i = 0; i < checks && total < LAST_S; i++) {
		total += wait;
		if (i >= FIRST_CHECKS)
			wait = wait * 5 / 4 < LONGEST_S ? wait * 5 / 4 : LONGEST_S;
	}
	return total < LAST_S ? (int)wait : -1;
}
