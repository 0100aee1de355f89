/* Which events a webhook may ask for, and that the API's description lists the same. */
#include "verifier/webhook/webhook_types.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/api/api_openapi.h"

static void types_and_kinds_are_known_and_nothing_else(void **state)
{
	(void)state;
	static const char *const good[] = {"domain.verified", "certificate.expiring", "webhook.disabled",
	    "domain.*", "certificate.*", "tenant.*", "token.*", "webhook.*", "portal.*", "portal.opened"};
	static const char *const bad[] = {"", "*", ".*", "domain", "domain.", "domain.verifie",
	    "domain.verifiedx", "dom.*", "domain.ver*", "domain.**", "Domain.*", "domain.verified.*",
	    "webhook.test"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!webhook_types_has(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (webhook_types_has(bad[i]))
			fail_msg("%s", bad[i]);
}

static void description_lists_them_all(void **state)
{
	(void)state;
	json_error_t error;
	json_t *document = json_loads(api_openapi_text, 0, &error), *value;
	json_t *list = NULL;
	size_t index = 0, count = 0, described = 0;
	json_unpack(document, "{s:{s:{s:{s:{s:{s:{s:o}}}}}}}", "components", "schemas", "NewWebhook",
	    "properties", "events", "items", "enum", &list);
	assert_true(json_is_array(list));
	json_array_foreach(list, index, value)
	{
		if (!webhook_types_has(json_string_value(value)))
			fail_msg("there is no %s", json_string_value(value));
		described += !strchr(json_string_value(value), '*');
	}
	while (webhook_types[count])
		count++;
	assert_int_equal(described, count);
	json_decref(document);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(types_and_kinds_are_known_and_nothing_else),
	    cmocka_unit_test(description_lists_them_all),
	};
	return cmocka_run_group_tests_name("webhook_types", tests, NULL, NULL);
}
