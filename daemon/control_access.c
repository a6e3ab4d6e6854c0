/* The control requests about who is who, and what he may: WHOAMI and ACCESS. See control.h. */
#include "daemon/control_parts.h"

#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/permissions.h"
#include "daemon/report.h"
#include "daemon/server.h"
#include "lib/subject.h"

#include <stdio.h>
#include <string.h>

/* --- who asks ------------------------------------------------------------------------------- */

static void whoami_worker(struct visit *visit, struct worker *worker) {
        struct control_request *request = control_request_of(visit);
        struct connection *connection = instance_find(worker->instance, request->asker_slot);

        if (worker == request->asker_worker && connection && connection->id == request->asker_id)
                request->data = report_asker(connection);
}

static void whoami_done(struct visit *visit) {
        struct control_request *request = control_request_of(visit);

        if (request->data)
                control_answer(request);
        else
                control_answer_error(request, 404, "you have gone");
}

void control_run_whoami(struct control_request *request) {
        control_visit(request, whoami_worker, whoami_done);
}

/* --- what somebody may ---------------------------------------------------------------------- */

/* Which user an ACCESS is about, and what he would do. */
struct access {
        const char *user, *subject, *queue;
        bool is_publish;
};

/* Reads the options. Returns what is wrong with them, or NULL. */
static const char *access_read(const struct control_request *request, struct access *access) {
        const char *action = control_option_string(request, "action");

        access->user = control_option_string(request, "user");
        access->subject = control_option_string(request, "subject");
        access->queue = control_option_string(request, "queue");
        if (!access->user || !access->subject || !action)
                return "user, action and subject are needed";
        access->is_publish = strcmp(action, "pub") == 0;
        if (!access->is_publish && strcmp(action, "sub") != 0)
                return "the action is neither pub nor sub";
        if (access->is_publish && access->queue)
                return "a queue is for subscriptions";
        if (strpbrk(access->subject, " \t\r\n"))
                return "a subject has no spaces; a queue is given beside it";
        if (access->is_publish ? !subject_is_literal(bytes_from_string(access->subject))
                               : !subject_is_valid(bytes_from_string(access->subject)))
                return "the subject is not valid";
        return NULL;
}

static struct permissions_decision access_decide(const struct access *access,
                                                 const struct permissions *permissions) {
        struct bytes subject = bytes_from_string(access->subject);

        if (access->is_publish)
                return permissions_may_publish(permissions, subject);
        return permissions_may_subscribe(permissions, subject,
                                         bytes_from_string(access->queue ? access->queue : ""));
}

/* Control subjects are a matter of roles. */
static bool is_control(const struct access *access) {
        return access->is_publish && strncmp(access->subject, "$SYS.REQ.", 9) == 0;
}

/* Which role the user has by its rule, and where that stands. */
static void write_owner(char *text, size_t size, const struct config_user *user) {
        static const char *const roles[] = {
                [ROLE_NONE] = "no role",
                [ROLE_LOCAL] = "the role none",
                [ROLE_MONITOR] = "the role monitor",
                [ROLE_ADMIN] = "the role admin",
        };

        if (user)
                snprintf(text, size, "\"%s\" has %s, %s:%u", user->name, roles[user->role],
                         user->origin.file, user->origin.line);
        else
                snprintf(text, size, "who is no user has no role");
}

/* Who may send that request, and why this user may or may not. Returns text. */
static const char *explain_role(char *text, size_t size, const struct config_user *user,
                                int needed) {
        bool has_role = user && user->role != ROLE_NONE;
        char owner[512];

        write_owner(owner, sizeof(owner), user);
        if (needed < 0)
                return "sockd has no such request";
        if (needed == ROLE_NONE)
                return "anyone may ask who he is";
        if (needed == ROLE_LOCAL && has_role)
                snprintf(text, size, "the status needs a role, be it none, and %s", owner);
        else if (needed == ROLE_LOCAL)
                snprintf(text, size,
                         "over TCP and UDP the status needs a role, and %s; on a Unix socket any "
                         "process may see it",
                         owner);
        else
                snprintf(text, size, "this needs the role %s, and %s%s",
                         role_name((enum role)needed), owner,
                         has_role ? ""
                                  : "; on a Unix socket root and the user that sockd runs as are "
                                    "admin");
        return text;
}

static json_t *access_by_role(const struct access *access, const struct config_user *user) {
        int needed = control_role_of(bytes_from_string(access->subject));
        enum role role = user ? (enum role)user->role : ROLE_NONE;
        bool is_allowed = needed >= 0 && role >= (enum role)needed;
        char why[768];

        return json_pack("{s:b, s:s, s:s, s:s, s:o}", "allowed", is_allowed, "by", "role", "role",
                         role_name(role), "needs", needed >= 0 ? role_name((enum role)needed) : "",
                         "why", report_text(explain_role(why, sizeof(why), user, needed)));
}

static json_t *access_by_permissions(const struct access *access,
                                     const struct permissions *permissions) {
        struct permissions_decision decision = access_decide(access, permissions);
        char why[512];
        unsigned line = 0;
        const char *file = permissions ? permissions_locate(permissions, decision, &line) : NULL;
        json_t *data = json_pack(
                "{s:b, s:b, s:s, s:s}", "allowed", decision.verdict != PERMISSIONS_REFUSED,
                "filtered", decision.verdict == PERMISSIONS_FILTERED, "by", "permissions", "why",
                permissions_explain(permissions, decision, why, sizeof(why)));

        if (data && file) {
                json_object_set_new(data, "file", json_string(file));
                json_object_set_new(data, "line", json_integer(line));
        }
        return data;
}

void control_run_access(struct control_request *request) {
        const struct config *config = request->server->config;
        const struct config_user *user;
        struct access access;
        const char *wrong = access_read(request, &access);

        if (wrong) {
                control_answer_error(request, 400, "%s", wrong);
                return;
        }
        user = config_find_user(config, access.user);
        if (!user && strcmp(access.user, "anonymous") != 0) {
                control_answer_error(request, 404, "no such user: %s", access.user);
                return;
        }
        request->data =
                is_control(&access)
                        ? access_by_role(&access, user)
                        : access_by_permissions(&access, user && user->permissions
                                                                 ? user->permissions
                                                                 : config->default_permissions);
        if (user)
                json_object_set_new(request->data, "rule",
                                    json_sprintf("%s:%u", user->origin.file, user->origin.line));
        control_answer(request);
}
