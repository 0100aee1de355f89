/*
 * openapi.json, embedded.
 */
#ifndef VERIFIER_API_API_OPENAPI_H
#define VERIFIER_API_API_OPENAPI_H

extern const char api_openapi_text[] __attribute__((visibility("hidden")));

#endif
