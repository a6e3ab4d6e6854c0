# shellcheck shell=sh
# Functions for the scripts that test streams which sockd forwards: targets, listeners, and what goes through
# them. To be read behind daemon.sh.
#
# shellcheck disable=SC2034,SC2154 # variables for the scripts, and of daemon.sh

stream=$support/stream

# serve NAME ADDRESS HOW: a target, whose address is $served.
serve() {
        start_helper "$1" "$stream" serve "$2" "$3"
        exec 9>"$directory/$1.in"
        exec 9>&-
        served=$(await_helper "$1" '^serving ') || bail_out "target $1 does not serve"
        served=${served#serving }
}

# became NAME REGEX: what became of the next connection of a target.
became() {
        await_helper "$1" "$2"
}

# send ADDRESS N: what the helper says.
send() {
        "$stream" send "$1" "$2" 2>&1
}

# check_echo NAME ADDRESS N: all comes back.
check_echo() {
        said=$(send "$2" "$3")
        sent=$(printf '%s\n' "$said" | sed -n 's/^sent //p')
        got=$(printf '%s\n' "$said" | sed -n 's/^got //p')
        check "$1" "${sent:-nothing was sent: $said}" "$got"
}

# address_of LISTENER: where it listens.
address_of() {
        sed -n "s/.*listener \"$1\" listening on //p" "$log" | tail -n 1
}

# listener NAME ADDRESS [KEY...]
listener() {
        listener_name=$1
        listener_address=$2
        shift 2
        listeners="$listeners, { name = \"$listener_name\"; listen = \"$listener_address\"; $* }"
}

# configure_listeners: with those that listener() has named, and the local one.
configure_listeners() {
        configure "server = { workers = 2; };" 'log = { level = "debug"; };' \
                "listeners = ( { name = \"local\"; listen = \"$unix\"; }$listeners );"
}
