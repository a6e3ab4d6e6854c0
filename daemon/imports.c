/* The imports in force. See imports.h. */
#include "daemon/imports.h"

#include "daemon/account.h"
#include "daemon/config.h"
#include "daemon/import.h"
#include "daemon/reply_route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void imports_init(struct imports *imports, struct accounts *accounts) {
        *imports = (struct imports){.accounts = accounts};
}

void imports_deinit(struct imports *imports) {
        struct reply_route *next;

        for (size_t i = 0; i < imports->n; i++)
                import_retire(imports->all[i], &imports->reclaim);
        free(imports->all);
        for (struct reply_route *route = imports->routes; route; route = next) {
                next = route->next;
                reply_route_free(route, &imports->reclaim);
        }
        reclaim_flush(&imports->reclaim);
}

bool imports_expire(struct imports *imports) {
        for (struct reply_route *route = imports->routes; route; route = route->next)
                reply_route_expire(route);
        return imports->routes != NULL;
}

/* --- reply routes --------------------------------------------------------------------------- */

static int route_obtain(struct imports *imports, struct bus *source, struct bus *target,
                        struct reply_route **routep) {
        struct reply_route *route = imports->routes;
        int r;

        while (route && (route->source != source || route->target != target))
                route = route->next;
        *routep = route;
        if (route)
                return 0;
        r = reply_route_new(routep, source, target, &imports->reclaim);
        if (r < 0)
                return r;
        (*routep)->next = imports->routes;
        imports->routes = *routep;
        return 0;
}

/* The route from source to target, with the opposite one for replies to replies. */
static int route_pair_obtain(struct imports *imports, struct bus *source, struct bus *target,
                             struct reply_route **routep) {
        struct reply_route *reverse;
        int r = route_obtain(imports, source, target, routep);

        if (r < 0 || (*routep)->reverse)
                return r;
        r = route_obtain(imports, target, source, &reverse);
        if (r < 0)
                return r;
        /* Before any import uses them. */
        (*routep)->reverse = reverse;
        reverse->reverse = *routep;
        return 0;
}

/* --- plans ---------------------------------------------------------------------------------- */

/* An import as the configuration has it. */
struct wanted {
        struct bus *source, *target;
        const char *from, *to;
        bool is_service;
};

static bool is_wanted(const struct import *import, const struct wanted *wanted) {
        return import->source == wanted->source && import->target == wanted->target &&
               (import->replies != NULL) == wanted->is_service &&
               strcmp(import->from, wanted->from) == 0 && strcmp(import->to, wanted->to) == 0;
}

static bool imports_have(const struct imports *imports, const struct import *import) {
        for (size_t i = 0; i < imports->n; i++)
                if (imports->all[i] == import)
                        return true;
        return false;
}

static int plan_add(struct imports_plan *plan, const struct wanted *wanted) {
        struct imports *imports = plan->imports;
        struct import **importp = &plan->all[plan->n];
        struct reply_route *replies = NULL;
        int r = 0;

        for (size_t i = 0; i < imports->n; i++)
                if (is_wanted(imports->all[i], wanted)) {
                        *importp = imports->all[i];
                        plan->n++;
                        return 0;
                }
        if (wanted->is_service)
                r = route_pair_obtain(imports, wanted->target, wanted->source, &replies);
        if (r >= 0)
                r = import_new(importp, wanted->source, wanted->from, wanted->target, wanted->to,
                               replies, &imports->reclaim);
        plan->n += r >= 0;
        return r;
}

/* The import of one account: of a stream, messages come to it; of a service, requests leave it. */
static int plan_import(struct imports_plan *plan, struct bus *bus,
                       const struct config_import *import) {
        struct wanted wanted = {.is_service = import->service != NULL};
        struct bus *other;
        int r = accounts_obtain(plan->imports->accounts, import->account, &other);

        if (r < 0)
                return r;
        wanted.source = import->service ? bus : other;
        wanted.target = import->service ? other : bus;
        wanted.from = import->service ? import->to : import->stream;
        wanted.to = import->service ? import->service : import->to;
        return plan_add(plan, &wanted);
}

static int plan_account(struct imports_plan *plan, const struct config_account *account) {
        struct bus *bus;
        int r = accounts_obtain(plan->imports->accounts, account->name, &bus);

        for (size_t i = 0; r >= 0 && i < account->n_imports; i++)
                r = plan_import(plan, bus, &account->imports[i]);
        return r;
}

int imports_plan_make(struct imports_plan *plan, struct imports *imports,
                      const struct config *config) {
        size_t n = 0;
        int r = 0;

        *plan = (struct imports_plan){.imports = imports};
        for (size_t i = 0; i < config->n_accounts; i++)
                n += config->accounts[i].n_imports;
        plan->all = calloc(n + 1, sizeof(struct import *));
        if (!plan->all)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < config->n_accounts; i++)
                r = plan_account(plan, &config->accounts[i]);
        return r;
}

static bool plan_has(const struct imports_plan *plan, const struct import *import) {
        for (size_t i = 0; i < plan->n; i++)
                if (plan->all[i] == import)
                        return true;
        return false;
}

/* Whether replies may come by a route, or go by it as replies to replies. */
static bool is_needed(const struct imports *imports, const struct reply_route *route) {
        for (size_t i = 0; i < imports->n; i++)
                if (imports->all[i]->replies == route ||
                    (route->reverse && imports->all[i]->replies == route->reverse))
                        return true;
        return false;
}

void imports_plan_carry_out(struct imports_plan *plan) {
        struct imports *imports = plan->imports;

        /* What is gone first: a request is not to reach two services. */
        for (size_t i = 0; i < imports->n; i++)
                if (!plan_has(plan, imports->all[i]))
                        import_retire(imports->all[i], &imports->reclaim);
        free(imports->all);
        imports->all = plan->all;
        imports->n = plan->n;
        plan->all = NULL;
        plan->n = 0;
        for (struct reply_route *route = imports->routes; route; route = route->next)
                reply_route_open(route, is_needed(imports, route));
        for (size_t i = 0; i < imports->n; i++)
                atomic_store(&imports->all[i]->is_live, true);
        reclaim_flush(&imports->reclaim);
}

void imports_plan_deinit(struct imports_plan *plan) {
        for (size_t i = 0; i < plan->n; i++)
                if (!imports_have(plan->imports, plan->all[i]))
                        import_retire(plan->all[i], &plan->imports->reclaim);
        free(plan->all);
        reclaim_flush(&plan->imports->reclaim);
}
