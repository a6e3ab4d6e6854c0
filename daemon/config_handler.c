/* Which handler a listener has. See config_handler.h. */
#include "daemon/config_handler.h"

#include "daemon/config.h"
#include "daemon/config_value.h"
#include "daemon/target.h"
#include "daemon/tls_context.h"

#include <errno.h>
#include <stdlib.h>

/* A key that chooses a handler. */
struct choice {
        const char *key;
        enum handler_kind kind;
        bool is_given;
};

static struct config_handler *config_handler_new(enum handler_kind kind) {
        struct config_handler *handler = calloc(1, sizeof(*handler));

        if (!handler)
                return NULL;
        atomic_init(&handler->n_references, 1);
        handler->kind = kind;
        return handler;
}

/* The key that chooses the handler; NULL: none does. Complains if several do. */
static const struct choice *choose(struct config_reader *reader, const char *path,
                                   const config_setting_t *group, const struct choice *choices,
                                   size_t n_choices) {
        const struct choice *chosen = NULL;

        for (size_t i = 0; i < n_choices; i++) {
                if (choices[i].is_given && chosen)
                        config_reader_complain(
                                reader, config_setting_get_member(group, choices[i].key), path,
                                choices[i].key, "a listener has one handler, and this one has %s",
                                chosen->key);
                else if (choices[i].is_given)
                        chosen = &choices[i];
        }
        return chosen;
}

/* Who is silent can only listen. */
static void check_silence(struct config_reader *reader, const char *path,
                          const config_setting_t *group, const struct config_listener *listener,
                          const struct choice *chosen) {
        if (listener->join && listener->join[0] && chosen->kind != HANDLER_DISCARD &&
            chosen->kind != HANDLER_PUBLISH)
                config_reader_complain(reader, config_setting_get_member(group, chosen->key), path,
                                       chosen->key,
                                       "it answers, but a listener with join only receives");
}

/* There is no INFO after which TLS could begin. */
static void check_tls(struct config_reader *reader, const char *path, const config_setting_t *group,
                      struct config_listener *listener, const struct choice *chosen) {
        struct config_tls *tls = &listener->tls;

        if (!tls->context)
                return;
        if (!tls->required)
                config_reader_complain(reader, config_setting_get_member(group, "tls"), path, "tls",
                                       "required = false is for NATS clients, not for %s",
                                       chosen->key);
        tls->first = tls->context->is_first = true;
}

static int make_forward(struct forward_settings *settings, const struct config_listener *listener) {
        const struct config_forward *forward = &listener->handler.forward;

        settings->tls = tls_context_ref(listener->forward_tls.context);
        settings->connect_timeout_ms = forward->connect_timeout_ms;
        settings->send_proxy = (enum proxy_version)forward->send_proxy;
        settings->targets =
                targets_new(forward->targets, forward->n_targets, forward->resolve_interval_ms);
        return settings->targets ? 0 : -ENOMEM;
}

void config_handler_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, struct config_listener *listener) {
        const struct config_handler_keys *keys = &listener->handler;
        const struct choice choices[] = {
                {"echo", HANDLER_ECHO, keys->echo},
                {"discard", HANDLER_DISCARD, keys->discard},
                {"daytime", HANDLER_DAYTIME, keys->daytime},
                {"time", HANDLER_TIME, keys->time},
                {"chargen", HANDLER_CHARGEN, keys->chargen},
                {"publish", HANDLER_PUBLISH, keys->gateway.publish},
                {"request", HANDLER_REQUEST, keys->gateway.request},
                {"subscribe", HANDLER_SUBSCRIBE, keys->gateway.subscribe},
                {"forward", HANDLER_FORWARD, keys->forward.n_targets > 0},
                {"exec", HANDLER_EXEC, keys->exec.program.exec != NULL},
        };
        const struct choice *chosen =
                choose(reader, path, group, choices, sizeof(choices) / sizeof(choices[0]));

        config_gateway_check(reader, path, group, listener, chosen ? chosen->kind : HANDLER_BUS);
        if (!chosen || chosen->kind != HANDLER_FORWARD)
                config_forward_refuse_keys(reader, path, group);
        if (!chosen || chosen->kind != HANDLER_EXEC)
                config_exec_refuse_keys(reader, path, group);
        if (!chosen)
                return;
        check_silence(reader, path, group, listener, chosen);
        check_tls(reader, path, group, listener, chosen);
        if (chosen->kind == HANDLER_FORWARD)
                config_forward_check(reader, path, group, listener);
        listener->handler.made = config_handler_new(chosen->kind);
        if (!listener->handler.made ||
            (chosen->kind == HANDLER_FORWARD &&
             make_forward(&listener->handler.made->forward, listener) < 0))
                reader->error = -ENOMEM;
        else if (config_handler_is_gateway(chosen->kind))
                config_gateway_make(reader, path, group, listener, chosen->key,
                                    &listener->handler.made->gateway);
        else if (chosen->kind == HANDLER_EXEC)
                config_exec_make(reader, path, group, listener, &listener->handler.made->exec);
}

struct config_handler *config_handler_ref(struct config_handler *handler) {
        if (handler)
                atomic_fetch_add_explicit(&handler->n_references, 1, memory_order_relaxed);
        return handler;
}

struct config_handler *config_handler_unref(struct config_handler *handler) {
        if (!handler ||
            atomic_fetch_sub_explicit(&handler->n_references, 1, memory_order_acq_rel) != 1)
                return NULL;
        config_gateway_deinit(&handler->gateway);
        config_exec_deinit(&handler->exec);
        targets_free(handler->forward.targets);
        tls_context_unref(handler->forward.tls);
        free(handler);
        return NULL;
}
