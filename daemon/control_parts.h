/* What the parts of control need of each other: control.c (from a message to its row and back to an
 * answer), control_reports.c, control_access.c and control_actions.c. All of it is for the server's
 * thread, but for what a visit calls in the workers' threads.
 */
#pragma once

#include "daemon/control.h"

/* Members of the request's options; NULL, `otherwise` or false if they are missing or of another
 * type. Also within a visit. */
const char *control_option_string(const struct control_request *request, const char *key);
uint64_t control_option_number(const struct control_request *request, const char *key,
                               uint64_t otherwise);
bool control_option_bool(const struct control_request *request, const char *key);

/* Runs `run` in each worker's thread for the request, then `done` in the server's. */
void control_visit(struct control_request *request,
                   void (*run)(struct visit *visit, struct worker *worker),
                   void (*done)(struct visit *visit));

/* The request that a visit is for. */
static inline struct control_request *control_request_of(struct visit *visit) {
        return container_of(visit, struct control_request, visit);
}

/* Answers, with the request's data or with an error, and frees the request. */
void control_answer(struct control_request *request);
void control_answer_error(struct control_request *request, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Requests that ask. */
void control_run_varz(struct control_request *request);
void control_run_statsz(struct control_request *request);
void control_run_idz(struct control_request *request);
void control_run_healthz(struct control_request *request);
void control_run_listenerz(struct control_request *request);
void control_run_connz(struct control_request *request);
void control_run_subsz(struct control_request *request);
void control_run_servicez(struct control_request *request);
void control_run_accountz(struct control_request *request);

/* Requests about who is who. */
void control_run_whoami(struct control_request *request);
void control_run_access(struct control_request *request);

/* Requests that act. */
void control_run_reload(struct control_request *request);
void control_run_drain(struct control_request *request);
void control_run_stop(struct control_request *request);
void control_run_log_level(struct control_request *request);
void control_run_kick(struct control_request *request);
void control_run_lame_duck(struct control_request *request);
