/* The table of routes, and that the description which is served says the same: each address, method,
 * parameter and field, and who may use it. */
#include "verifier/api/api_routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/api/api_openapi.h"

static json_t *document;

static int read_document(void **state)
{
	(void)state;
	json_error_t error;
	document = json_loads(api_openapi_text, JSON_REJECT_DUPLICATES, &error);
	if (!document)
		print_error("openapi.json: line %d: %s\n", error.line, error.text);
	return document ? 0 : -1;
}

static int drop_document(void **state)
{
	(void)state;
	json_decref(document);
	return 0;
}

static const json_t *operation_of(const struct api_route *route)
{
	char method[16];
	size_t i = 0;
	for (; route->method[i] && i < sizeof method - 1; i++)
		method[i] = (char)(route->method[i] | 0x20);
	method[i] = '\0';
	return json_object_get(json_object_get(json_object_get(document, "paths"), route->path), method);
}

static bool is_public(const struct api_route *route)
{
	return strncmp(route->path, "/v1/", 4) == 0;
}

static const json_t *schema_of(const json_t *content)
{
	const json_t *media = json_object_iter_value(json_object_iter((json_t *)(uintptr_t)content));
	const char *reference = json_string_value(json_object_get(json_object_get(media, "schema"), "$ref"));
	assert_non_null(reference);
	const json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");
	return json_object_get(schemas, strrchr(reference, '/') + 1);
}

static void each_route_is_described(void **state)
{
	(void)state;
	static const char *const scopes[] = {
	    [API_OPEN] = "open", [API_TENANT] = "tenant", [API_OPERATOR] = "operator"};
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		const json_t *operation = operation_of(route);
		if (!is_public(route))
			continue;
		if (!operation)
			fail_msg("%s %s is not in openapi.json", route->method, route->path);
		assert_string_equal(
		    json_string_value(json_object_get(operation, "x-scope")), scopes[route->access]);
	}
}

static void each_description_has_its_route(void **state)
{
	(void)state;
	const char *path, *method;
	json_t *methods, *operation;
	json_object_foreach(json_object_get(document, "paths"), path, methods)
	{
		json_object_foreach(methods, method, operation)
		{
			bool found = false;
			for (size_t i = 0; i < api_route_count; i++)
				found = found || operation_of(&api_routes[i]) == operation;
			if (!found)
				fail_msg("%s %s of openapi.json has no route", method, path);
		}
	}
}

static bool knows(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static size_t count_of(const char *const *words)
{
	size_t count = 0;
	while (words && words[count])
		count++;
	return count;
}

static void parameters_are_those_of_the_route(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		const json_t *list = json_object_get(operation_of(route), "parameters");
		size_t described = 0, index;
		json_t *parameter;
		if (!is_public(route))
			continue;
		json_array_foreach(list, index, parameter)
		{
			const char *in = json_string_value(json_object_get(parameter, "in"));
			const char *name = json_string_value(json_object_get(parameter, "name"));
			char in_path[80];
			snprintf(in_path, sizeof in_path, "{%s}", name);
			if (strcmp(in, "path") == 0)
				assert_non_null(strstr(route->path, in_path));
			if (strcmp(in, "query") != 0)
				continue;
			described++;
			if (!knows(route->query, name))
				fail_msg("%s %s does not know ?%s=", route->method, route->path, name);
		}
		assert_int_equal(described, count_of(route->query));
	}
}

static void fields_are_those_of_the_route(void **state)
{
	(void)state;
	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *route = &api_routes[i];
		const json_t *body = json_object_get(operation_of(route), "requestBody");
		if (!is_public(route) || route->flags & API_STREAMED)
			continue;
		assert_int_equal(!body, !route->fields);
		if (!body)
			continue;
		const json_t *properties =
		    json_object_get(schema_of(json_object_get(body, "content")), "properties");
		assert_int_equal(json_object_size(properties), count_of(route->fields));
		for (size_t j = 0; route->fields[j]; j++)
			if (!json_object_get(properties, route->fields[j]))
				fail_msg("%s %s: %s is not described", route->method, route->path,
				    route->fields[j]);
	}
}

static void address_finds_its_route_and_values(void **state)
{
	(void)state;
	char values[API_VALUES][API_VALUE_MAX], allowed[API_METHODS_MAX];
	const struct api_route *route =
	    api_routes_find("POST", "/v1/domains/shop.brand.test/verify", values, allowed);
	assert_non_null(route);
	assert_string_equal(route->path, "/v1/domains/{name}/verify");
	assert_string_equal(values[0], "shop.brand.test");
	route = api_routes_find("POST", "/v1/domains/import", values, allowed);
	assert_string_equal(route->path, "/v1/domains/import");
}

static void wrong_method_is_told_the_right_ones(void **state)
{
	(void)state;
	char values[API_VALUES][API_VALUE_MAX], allowed[API_METHODS_MAX];
	assert_null(api_routes_find("PUT", "/v1/domains/shop.brand.test", values, allowed));
	assert_string_equal(allowed, "GET, PATCH, DELETE");
	assert_null(api_routes_find("GET", "/v1/domains/import", values, allowed));
	assert_string_equal(allowed, "POST");
}

static void odd_addresses_are_none(void **state)
{
	(void)state;
	static const char *const odd[] = {"", "/", "/v1", "/v1/", "/v1/domains/", "/v1//domains",
	    "/v1/domains//verify", "/v1/domains/a/verify/", "/v1/domains/a/b", "v1/domains", "/v1/domainsx",
	    "/v1/domain"};
	char values[API_VALUES][API_VALUE_MAX], allowed[API_METHODS_MAX];
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		assert_null(api_routes_find("GET", odd[i], values, allowed));
		assert_string_equal(allowed, "");
	}
	char longest[API_VALUE_MAX + 20] = "/v1/domains/";
	memset(longest + 12, 'a', API_VALUE_MAX);
	assert_null(api_routes_find("GET", longest, values, allowed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_route_is_described),
	    cmocka_unit_test(each_description_has_its_route),
	    cmocka_unit_test(parameters_are_those_of_the_route),
	    cmocka_unit_test(fields_are_those_of_the_route),
	    cmocka_unit_test(address_finds_its_route_and_values),
	    cmocka_unit_test(wrong_method_is_told_the_right_ones),
	    cmocka_unit_test(odd_addresses_are_none),
	};
	return cmocka_run_group_tests_name("api_routes", tests, read_document, drop_document);
}
