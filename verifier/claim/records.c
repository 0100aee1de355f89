#include "verifier/claim/records.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(
    RECORDS_VALUE > TXT_TOKEN_MAX + 8 + HOSTNAME_MAX, "a value holds a token and the platform's domain");

const char *records_label(const struct config *config, const char *own)
{
	return own && *own ? own : config->txt_label;
}

bool records_fit(const char *label, const char *name)
{
	return strlen(label) + 1 + strlen(name) <= HOSTNAME_MAX;
}

void records_txt(const struct config *config, const char *label, const char *name, const char *token,
    struct record *record)
{
	record->type = "TXT";
	record->purpose = "ownership";
	snprintf(record->name, sizeof record->name, "%s.%s", label, name);
	snprintf(record->value, sizeof record->value, "%s.verify.%s", token, config->place.saas_root.text);
}

static void set_cname(
    struct record *record, const struct config *config, const char *name, const char *tenant)
{
	record->type = "CNAME";
	record->purpose = "routing";
	snprintf(record->name, sizeof record->name, "%s", name);
	our_place_target(&config->place, tenant, record->value);
	if (hostname_is_apex(name))
		record->note = "A CNAME can't stand at the top of a domain: use your DNS provider's ALIAS, "
			       "ANAME or flattened "
			       "CNAME record with this value.";
}

static void set_address(struct record *record, const struct our_address *address, const char *name)
{
	record->type = address->size == 4 ? "A" : "AAAA";
	record->purpose = "routing";
	snprintf(record->name, sizeof record->name, "%s", name);
	snprintf(record->value, sizeof record->value, "%s", address->text);
}

size_t records_of(const struct config *config, const char *label, const char *name, const char *tenant,
    const char *token, struct record records[RECORDS_MAX])
{
	memset(records, 0, sizeof *records * RECORDS_MAX);
	records_txt(config, label, name, token, &records[0]);
	if (!config->place.apex_count || !hostname_is_apex(name)) {
		set_cname(&records[1], config, name, tenant);
		return 2;
	}
	for (size_t i = 0; i < config->place.apex_count; i++)
		set_address(&records[1 + i], &config->place.apex[i], name);
	return 1 + config->place.apex_count;
}

bool records_lasting(const char *proof, const char *name, struct record *record)
{
	*record = (struct record){.type = "TXT", .purpose = "issuance"};
	int name_size = snprintf(record->name, sizeof record->name, "_validation-persist.%s", name);
	int value_size = snprintf(record->value, sizeof record->value, "%s", proof);
	return name_size < (int)sizeof record->name && value_size < (int)sizeof record->value;
}
