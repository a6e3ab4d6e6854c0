/* Accounts. See account.h. */
#include "daemon/account.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct account *account_free(struct account *account) {
        if (!account)
                return NULL;
        bus_deinit(&account->bus);
        free(account);
        return NULL;
}

void accounts_deinit(struct accounts *accounts) {
        struct account *account = accounts_first(accounts), *next;

        for (; account; account = next) {
                next = account->next;
                account_free(account);
        }
        atomic_store(&accounts->first, NULL);
}

struct bus *accounts_find(struct accounts *accounts, const char *name) {
        struct account *account = accounts_first(accounts);

        while (account && strcmp(account->name, name) != 0)
                account = account->next;
        return account ? &account->bus : NULL;
}

int accounts_obtain(struct accounts *accounts, const char *name, struct bus **busp) {
        size_t size = strlen(name) + 1;
        struct account *account;

        *busp = accounts_find(accounts, name);
        if (*busp)
                return 0;
        account = calloc(1, sizeof(*account) + size);
        if (!account)
                return -ENOMEM;
        memcpy(account->name, name, size);
        if (bus_init(&account->bus, account->name) < 0) {
                account_free(account);
                return -ENOMEM;
        }
        account->next = accounts_first(accounts);
        atomic_store_explicit(&accounts->first, account, memory_order_release);
        *busp = &account->bus;
        return 0;
}

uint64_t accounts_count_subscriptions(struct accounts *accounts) {
        uint64_t n = 0;

        for (struct account *account = accounts_first(accounts); account; account = account->next)
                n += bus_count(&account->bus);
        return n;
}
