#include "acme/account/ca_list.h"

#include <assert.h>
#include <string.h>

void ca_list_add(struct ca_list *list, struct ca *ca, struct account *account)
{
	assert(list->count < CA_MAX);
	list->cas[list->count] = ca;
	list->accounts[list->count++] = account;
}

void ca_list_fini(struct ca_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		account_free(list->accounts[i]);
		ca_free(list->cas[i]);
	}
	list->count = 0;
}

size_t ca_list_find(const struct ca_list *list, const char *directory)
{
	size_t index = 0;
	while (index < list->count && strcmp(ca_directory_url(list->cas[index]), directory) != 0)
		index++;
	return index;
}

bool ca_list_has_account(const struct ca_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (account_is_known(list->accounts[i]))
			return true;
	return false;
}

void ca_sessions_init(struct ca_sessions *sessions, const struct ca_list *list)
{
	sessions->count = list->count;
	for (size_t i = 0; i < list->count; i++)
		sessions->sessions[i] = ca_session_new(list->cas[i]);
}

void ca_sessions_fini(struct ca_sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++)
		ca_session_free(sessions->sessions[i]);
	sessions->count = 0;
}
