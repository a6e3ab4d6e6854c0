/* What a program is told of its peer: variables of its environment.
 *
 * They have their own names, and those that programs for inetd, tcpserver and unixserver know.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is known. Texts may be NULL or "": not known. */
struct variables_peer {
        const char *listener;
        uint64_t client; /* its number */
        bool is_datagram, is_unix, has_tls;
        const char *ip, *local_ip; /* of Internet peers */
        uint16_t port, local_port; /* 0: not known */
        const char *local_path;    /* of Unix peers: where the listener is, "@name" if abstract */
        bool has_uid, has_process; /* uid; gid and pid */
        uid_t uid;
        gid_t gid;
        pid_t pid;
        const char *user; /* the name of the rule that fits */
        const char *unit; /* systemd's */
        const char *tls_version;
};

/* Makes them, "NAME=value", NULL at the end. What is not printable in a value is replaced. Returns
 * a list that config_strings_free() frees, or NULL if there is no memory. */
char **exec_variables_make(const struct variables_peer *peer);
