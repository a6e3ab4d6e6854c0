/* The services in force. See services.h. */
#include "daemon/services.h"

#include "daemon/account.h"
#include "daemon/builtin_services.h"
#include "daemon/config.h"
#include "daemon/instance.h"
#include "daemon/service_pool.h"

#include <errno.h>
#include <stdlib.h>

void services_init(struct services *services, struct instance *instance, struct workers *workers,
                   struct mailbox *mailbox) {
        *services = (struct services){.instance = instance, .workers = workers, .mailbox = mailbox};
}

void services_deinit(struct services *services) {
        for (size_t i = 0; i < services->n; i++)
                service_retire(services->all[i], &services->reclaim);
        free(services->all);
        reclaim_flush(&services->reclaim);
}

/* --- plans ---------------------------------------------------------------------------------- */

/* A built-in service in one account: the one that is there, or a new one. */
static int plan_builtin(struct services_plan *plan, enum builtin which, const char *account) {
        struct services *services = plan->services;
        struct service **servicep = &plan->all[plan->n];
        struct bus *bus;
        int r = accounts_obtain(services->instance->accounts, account, &bus);

        for (size_t i = 0; i < services->n && r >= 0 && !*servicep; i++)
                if (services->all[i]->bus == bus &&
                    builtin_service_which(services->all[i]) == which)
                        *servicep = services->all[i];
        if (r >= 0 && !*servicep)
                r = builtin_service_new(servicep, which, services->instance, bus,
                                        &services->reclaim);
        plan->n += r >= 0;
        return r;
}

static int plan_builtins(struct services_plan *plan, const struct config_builtin_services *config,
                         const char *account) {
        const bool are_wanted[N_BUILTINS] = {
                [BUILTIN_ECHO] = config->echo,
                [BUILTIN_TIME] = config->time,
                [BUILTIN_INFO] = config->info,
        };
        int r = 0;

        for (unsigned i = 0; i < N_BUILTINS && r >= 0; i++)
                if (are_wanted[i])
                        r = plan_builtin(plan, (enum builtin)i, account);
        return r;
}

/* A service with a program: the one that is the same, or a new one. */
static int plan_pool(struct services_plan *plan, struct config_service *config) {
        struct services *services = plan->services;
        struct service **servicep = &plan->all[plan->n];
        const char *account = config->account ? config->account : CONFIG_DEFAULT_ACCOUNT;
        struct workers *workers = services->workers;
        struct bus *bus;
        int r = accounts_obtain(services->instance->accounts, account, &bus);

        for (size_t i = 0; i < services->n && r >= 0 && !*servicep; i++) {
                const struct config_service *running = service_pool_config(services->all[i]);

                if (running && config_service_is_equal(running, config))
                        *servicep = services->all[i];
        }
        if (r >= 0 && !*servicep)
                r = service_pool_new(servicep, config, bus,
                                     &workers->all[services->next_worker++ % workers->count],
                                     services->mailbox, &services->reclaim);
        plan->n += r >= 0;
        return r;
}

int services_plan_make(struct services_plan *plan, struct services *services,
                       const struct config *config) {
        static const char *const default_accounts[] = {CONFIG_DEFAULT_ACCOUNT, NULL};
        const struct config_builtin_services *builtins = &config->builtin_services;
        const char *const *accounts = default_accounts;
        size_t n_accounts = 0;
        int r = 0;

        if (builtins->accounts)
                accounts = (const char *const *)builtins->accounts;
        while (accounts[n_accounts])
                n_accounts++;
        *plan = (struct services_plan){.services = services};
        plan->all =
                calloc(n_accounts * N_BUILTINS + config->services.n + 1, sizeof(struct service *));
        if (!plan->all)
                return -ENOMEM;
        for (size_t i = 0; i < n_accounts && r >= 0; i++)
                r = plan_builtins(plan, builtins, accounts[i]);
        for (size_t i = 0; i < config->services.n && r >= 0; i++)
                r = plan_pool(plan, config->services.all[i]);
        return r;
}

static bool has(struct service *const *all, size_t n, const struct service *service) {
        for (size_t i = 0; i < n; i++)
                if (all[i] == service)
                        return true;
        return false;
}

void services_plan_carry_out(struct services_plan *plan) {
        struct services *services = plan->services;

        /* What is gone first: a request is not to reach two services. */
        for (size_t i = 0; i < services->n; i++)
                if (!has(plan->all, plan->n, services->all[i]))
                        service_retire(services->all[i], &services->reclaim);
        free(services->all);
        services->all = plan->all;
        services->n = plan->n;
        plan->all = NULL;
        plan->n = 0;
        for (size_t i = 0; i < services->n; i++)
                service_begin(services->all[i]);
        reclaim_flush(&services->reclaim);
}

void services_plan_deinit(struct services_plan *plan) {
        for (size_t i = 0; i < plan->n; i++)
                if (!has(plan->services->all, plan->services->n, plan->all[i]))
                        service_retire(plan->all[i], &plan->services->reclaim);
        free(plan->all);
        reclaim_flush(&plan->services->reclaim);
}
