#!/bin/sh
# Tries a command as a new user would: in a clone of this repository, on a Debian that has git and
# nothing else.
#
# usage: clean-tree.sh [--keep] COMMAND [ARG...]
#
# Makes a minimal Debian in a temporary directory, from the package sources of this machine, clones
# the committed state of this repository into it and runs the command there, as root, in a
# container that shares this machine's network. Says at the end what was installed. --keep leaves
# the tree, and says where. Ends with the command's status.
#
# SUITE     the release; default: that of this machine
# TMPDIR    where the tree is made; it takes 2 GB
#
# Needs root, mmdebstrap and systemd-nspawn.
set -eu

die() {
        echo "clean-tree.sh: $*" >&2
        exit 1
}

# shellcheck disable=SC2317 # called by trap
clean_up() {
        $keep || rm -rf "$directory"
}

# Prints the package sources of this machine, as files.
list_sources() {
        for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
                [ ! -s "$file" ] || echo "$file"
        done
}

make_tree() {
        # How to reach them: proxies, time-outs, what to believe. No passwords: those are elsewhere.
        apt-config dump --no-empty --format '%f "%v";%n' Acquire >"$directory/apt.conf"
        # shellcheck disable=SC1091 # of this machine
        suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
        # shellcheck disable=SC2046 # a list of files
        mmdebstrap --quiet --variant=minbase --include=git,ca-certificates \
                --aptopt="$directory/apt.conf" "$suite" "$tree" $(list_sources)
        # Every installed system has this file; it comes with the installer, not with a package.
        printf '127.0.0.1 localhost\n::1 localhost\n' >"$tree/etc/hosts"
        # The certificates that this machine's administrator trusts, for a proxy for example.
        certificates=/usr/local/share/ca-certificates
        if [ -d $certificates ]; then
                mkdir -p "$tree$certificates"
                cp -R $certificates/. "$tree$certificates"
                chroot "$tree" update-ca-certificates >/dev/null 2>&1
        fi
}

# Prints the arguments for a container's environment: what tells programs how to reach the network.
environment() {
        for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
                eval "value=\${$name-}"
                # shellcheck disable=SC2154 # set by eval
                [ -z "$value" ] || echo "--setenv=$name=$value"
        done
        registry=$(npm config get registry 2>/dev/null) || registry=
        [ -z "$registry" ] || echo "--setenv=npm_config_registry=$registry"
        # node brings a list of its own of whom to trust.
        echo "--setenv=NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt"
}

# Runs the arguments in the tree, in the clone. Where systemd does not run, nspawn cannot ask it for
# a scope.
run_in_tree() {
        [ -d /run/systemd/system ] || set -- --keep-unit "$@"
        # shellcheck disable=SC2046 # words without blanks
        systemd-nspawn --quiet --register=no --as-pid2 --pipe --resolv-conf=replace-host \
                --directory="$tree" --chdir=/root/sockd $(environment) "$@"
}

# Prints what apt was asked for.
installed() {
        log=$tree/var/log/apt/history.log
        [ ! -e "$log" ] || sed -n 's/^Commandline: .*--no-install-recommends //p' "$log" |
                tr ' ' '\n' | sort -u | tr '\n' ' '
}

keep=false
if [ "${1:-}" = --keep ]; then
        keep=true
        shift
fi
[ $# -gt 0 ] || die "usage: $0 [--keep] COMMAND [ARG...]"
[ "$(id -u)" -eq 0 ] || die "only root can make a tree"
for program in mmdebstrap systemd-nspawn; do
        command -v $program >/dev/null || die "$program is not installed"
done

repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
directory=$(mktemp -d "${TMPDIR:-/tmp}/sockd-clean.XXXXXX")
tree=$directory/tree
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

make_tree
rm -f "$tree/var/log/apt/history.log"
git clone --quiet --no-local "$repository" "$tree/root/sockd"

status=0
run_in_tree "$@" || status=$?
echo "clean-tree.sh: ended with status $status; installed by it: $(installed)"
! $keep || echo "clean-tree.sh: the tree is $tree"
exit "$status"
