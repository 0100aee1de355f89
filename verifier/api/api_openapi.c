/*
 * The description of the API, as it is served: openapi.json beside this file.
 */
#include <stdlib.h>

#include "verifier/api/api_handlers.h"
#include "verifier/api/api_openapi.h"

__asm__(".section .rodata\n"
	".globl api_openapi_text\n"
	".hidden api_openapi_text\n"
	"api_openapi_text:\n"
	".incbin \"verifier/api/openapi.json\"\n"
	".byte 0\n"
	".previous\n");

void api_openapi_show(struct api_call *call)
{
	api_call_show(call, json_loads(api_openapi_text, 0, NULL));
}
