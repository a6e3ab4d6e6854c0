/* The configuration: a libconfig file, or a few --listen addresses, as an immutable snapshot.
 *
 * A snapshot is built whole or not at all, and never changes afterwards, so any thread may read
 * one that it holds a reference to. All errors of a file are reported at once. The keys, their
 * types, defaults and ranges are a table in config_keys.c; DESIGN.md, section 6 and
 * sockd.conf(5) are its prose.
 */
#pragma once

#include "daemon/config_handler.h"
#include "daemon/config_services.h"
#include "lib/address.h"
#include "lib/nkey.h"
#include "lib/secret.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct access_list;
struct permissions;
struct schedule;
struct tls_context;

/* A list of complaints, one line each: "file:line: key: found ..., expected ...". */
struct config_errors {
        char **lines; /* owned, as is each line */
        size_t n_lines;
};

struct config_server {
        char *name;       /* a subject token; default: the host name */
        unsigned workers; /* resolved: never 0 */
        bool workers_are_given;
        uint64_t max_connections;
        uint64_t max_subscriptions; /* for each client; 0: no limit */
        uint64_t max_payload;       /* bytes, headers included */
        uint64_t max_control_line;  /* bytes */
        uint64_t max_pending;       /* bytes, for each client */
        uint64_t ping_interval_ms;
        uint64_t ping_max;
        uint64_t auth_timeout_ms;
        uint64_t write_deadline_ms;
        uint64_t lame_duck_grace_ms;
        uint64_t lame_duck_duration_ms;
};

struct config_log {
        char *target; /* "auto", "journal", "stderr", "file:/path" */
        int level;    /* enum log_level */
};

/* Limits on the programs that are run, all together. */
struct config_programs {
        unsigned max_running; /* at a time */
        unsigned max_starts;  /* in a second */
};

/* What each source may send in a second; 0: no limit. */
struct config_rate {
        uint64_t messages;
        uint64_t bytes;
        uint64_t burst; /* messages at once; 0: those of a second */
};

/* TLS of a listener, or towards the targets of a forward. */
struct config_tls {
        bool is_client;              /* it begins the handshake */
        char *cert, *key, *ca;       /* files; see tls_file.h. NULL: none */
        bool verify;                 /* peers need certificates, of authorities in ca */
        char *name;                  /* client: whom the server has to be; NULL: as it is called */
        bool map;                    /* whose names may be names of users */
        bool first;                  /* it begins before INFO */
        bool required;               /* who speaks no TLS is not admitted */
        uint64_t timeout_ms;         /* of the handshake */
        int min_version;             /* enum tls_version */
        struct tls_context *context; /* all of this, in force; a reference. NULL: there is no TLS */
};

/* How many connections may begin in a second. */
struct config_cps {
        uint64_t connections; /* 0: no limit */
        uint64_t pause_ms;    /* how long nobody is admitted when there are more */
};

/* Who is admitted to a listener, and for how long; 0 and NULL: no limit. */
struct config_admission {
        uint64_t max_connections;
        uint64_t max_connections_per_source; /* an address */
        uint64_t max_connections_per_uid;
        struct config_cps cps;
        uint64_t idle_timeout_ms, max_time_ms;
        struct access_list *access; /* a reference */
        struct schedule *schedule;  /* a reference */
};

/* The longest name of a listener. */
#define CONFIG_LISTENER_NAME_MAX 64

struct config_listener {
        char *name; /* unique */
        struct address address;
        mode_t mode;    /* Unix path: permission bits; default 0666 */
        uid_t owner;    /* Unix path: (uid_t)-1 leaves it as it is */
        gid_t group;    /* Unix path: (gid_t)-1 leaves it as it is */
        bool v6only;    /* tcp://[::] takes IPv6 only */
        bool nodelay;   /* TCP_NODELAY; default true */
        bool keepalive; /* SO_KEEPALIVE; default true */
        int backlog;    /* listen(2); default SOMAXCONN */

        bool anonymous; /* who proves nothing is admitted; default: unless somebody has a secret */
        bool anonymous_is_given;
        char *account;     /* of whom no user fits; NULL: the default one */
        bool identify;     /* messages tell who sent them */
        bool accept_proxy; /* a proxy tells who is there, by the PROXY protocol */
        struct config_rate rate;
        struct config_admission admission;
        uint64_t receive_buffer, send_buffer; /* bytes of each socket; 0: the system's default */
        struct config_tls tls;
        struct config_tls forward_tls; /* towards the targets of a forward */
        struct config_handler_keys handler;

        /* Of datagrams. */
        char **join;     /* multicast groups, NULL at the end; NULL: none */
        char *interface; /* to join them on; NULL: the system chooses */
        uint64_t session_timeout_ms;
        uint64_t cookie_lifetime_ms; /* of the keys of cookies */
        uint64_t max_sessions;
        uint64_t max_sessions_per_source;
};

/* Where something stands: in which file, and at which line. */
struct config_origin {
        char *file; /* owned; NULL: nowhere */
        unsigned line;
};

/* What a user may have; 0: no more is said than for everybody. */
struct config_limits {
        uint64_t connections;    /* of all its clients */
        uint64_t subscriptions;  /* of each */
        uint64_t payload;        /* bytes of a message */
        uint64_t pending;        /* bytes that wait for each */
        struct config_rate rate; /* of what all of them publish */
};

/* Who a user is to the kernel: all that is given has to hold. */
struct config_peer {
        uid_t uid;       /* (uid_t)-1: any */
        gid_t gid;       /* of the process, or one of its supplementary groups; (gid_t)-1: any */
        pid_t pid;       /* 0: any */
        char *exe;       /* the path of its program; NULL: any, as of those that follow */
        char *unit;      /* systemd's; see cgroup.h */
        char *user_unit; /* of the user's own manager */
        char *slice;
};

/* A rule: who is this user, and what may he do. The first that fits a peer decides. */
struct config_user {
        char *name; /* unique */
        struct config_origin origin;
        bool has_peer; /* else nothing is asked of the kernel */
        struct config_peer peer;
        struct secret *password; /* a hash of crypt(3) or plain; NULL: none */
        struct secret *token;    /* the same */
        bool has_nkey;
        struct nkey_public nkey;
        char *certificate; /* a name in it; NULL: none is asked for */
        int role;          /* enum role; ROLE_NONE: as without this rule */
        struct config_limits limits;
        struct permissions *permissions; /* a reference; NULL: he has none of his own */
};

/* The account of the users at the top, and of whom no user fits. */
#define CONFIG_DEFAULT_ACCOUNT "$G"

/* How many imports a message can take after each other. */
#define CONFIG_IMPORT_CHAIN_MAX 3

/* What an account lets others have: messages, or the answers of a service. */
struct config_export {
        char *stream, *service; /* a subject; one of the two */
        char **accounts;        /* which may import it, NULL at the end; NULL: all */
};

/* What an account has of another one. */
struct config_import {
        char *stream, *service; /* the subject there; one of the two */
        char *account;
        char *prefix; /* of the subject here; NULL: not given */
        char *to;     /* the subject here, whatever was given */
};

static inline const char *config_import_subject(const struct config_import *import) {
        return import->stream ? import->stream : import->service;
}

/* A subject space of its own, with its users. */
struct config_account {
        char *name; /* unique, a subject token */
        struct config_user *users;
        size_t n_users;
        struct config_export *exports;
        size_t n_exports;
        struct config_import *imports;
        size_t n_imports;
};

/* Which users are asked after each other, and where they belong; all borrowed from the same
 * configuration. */
struct config_rule {
        const struct config_user *user;
        const char *account; /* NULL: the default one */
};

struct config {
        _Atomic unsigned n_references;
        uint64_t id;                   /* a number that no other has or had; never 0 */
        char *path;                    /* the file it was read from; NULL: none */
        struct config_errors warnings; /* of what was accepted, but should not stay so */
        struct config_server server;
        struct config_log log;
        struct config_programs programs;
        struct config_listener *listeners;
        size_t n_listeners;
        struct config_user *users; /* in the order of the file */
        size_t n_users;
        struct config_account *accounts; /* in the order of the file */
        size_t n_accounts;
        char *system_account;
        struct config_builtin_services builtin_services;
        struct config_services services;
        struct config_rule *rules; /* the users, then those of each account */
        size_t n_rules;
        bool has_secrets;                        /* some user proves who it is by CONNECT */
        bool has_nkeys;                          /* some user does so by a signature */
        struct permissions *default_permissions; /* a reference, for who has none of his own, user
                                                  * or not; NULL: everything is allowed */
};

/* Reads the file at path. NULL means /etc/sockd/sockd.conf (SYSCONFDIR "/sockd/sockd.conf"), whose
 * absence gives the built-in defaults; a path that was named must exist. The defaults listen on
 * the Unix path alone: RUNSTATEDIR "/sockd/sockd.sock", or $XDG_RUNTIME_DIR "/sockd/sockd.sock"
 * for others than root. listen: n_listen addresses from the command line, which then replace the
 * file's listeners, named "listen-1" and so on.
 * Returns 0 and a new reference in *configp; -EINVAL with one or more lines in errors; or another
 * negative errno (-ENOMEM). */
int config_load(struct config **configp, const char *path, const char *const *listen,
                size_t n_listen, struct config_errors *errors);

/* The user of that name, of any account, or NULL. */
const struct config_user *config_find_user(const struct config *config, const char *name);

struct config *config_ref(struct config *config);
/* Gives the reference back; NULL is allowed. Returns NULL. */
struct config *config_unref(struct config *config);

/* The account of that name, or NULL if the configuration does not describe it. One that is being
 * checked may have accounts without a name. */
const struct config_account *config_find_account(const struct config *config, const char *name);

/* How many services and listeners have programs. */
size_t config_count_programs(const struct config *config);

/* Frees the lines. */
void config_errors_deinit(struct config_errors *errors);

/* Whether two listeners of the same name can be the same socket, that is whether all but what a
 * running listener can change is equal. */
bool config_listener_same_socket(const struct config_listener *a, const struct config_listener *b);

/* Whether they join the same multicast groups on the same interface. */
bool config_listener_same_groups(const struct config_listener *a, const struct config_listener *b);
