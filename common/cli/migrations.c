/* The files of sql/, which the assembler puts into the program. A new file is one more line here and the
 * number in common/pg/schema.h. */
#include "common/cli/migrate.h"
#include "common/pg/schema.h"

#define MIGRATIONS(X) \
	X(1, "0001_base.sql") \
	X(2, "0002_data_plane.sql") \
	X(3, "0003_issuance.sql") \
	X(4, "0004_issuance_control.sql") \
	X(5, "0005_tenants.sql") \
	X(6, "0006_front.sql") \
	X(7, "0007_diagnosis.sql") \
	X(8, "0008_overview.sql") \
	X(9, "0009_webhooks.sql") \
	X(10, "0010_portal.sql") \
	X(11, "0011_caa.sql") \
	X(12, "0012_uploads.sql") \
	X(13, "0013_handshakes.sql")

#define EMBED(number, file) \
	__asm__(".section .rodata\n" \
		"migration_" #number ":\n" \
		".incbin \"sql/" file "\"\n" \
		".byte 0\n" \
		".previous\n");
#define DECLARE(number, file) extern const char migration_##number[] __attribute__((visibility("hidden")));
#define ENTRY(number, file) {number, file, migration_##number},

MIGRATIONS(EMBED)
MIGRATIONS(DECLARE)

const struct migration migrations[] = {MIGRATIONS(ENTRY)};
const size_t migration_count = sizeof migrations / sizeof *migrations;

_Static_assert(sizeof migrations / sizeof *migrations == SCHEMA_VERSION,
    "SCHEMA_VERSION in common/pg/schema.h is the number of files in sql/");
