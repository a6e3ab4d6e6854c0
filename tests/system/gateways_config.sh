#!/bin/sh
# What is wrong with the settings of gateways, --check tells with file, line, key, and what was
# expected.
#
# shellcheck disable=SC2016 # variables of sockd
. "$SOCKD_SOURCE_DIR/tests/system/daemon.sh"

# listener KEYS [ADDRESS]: the configuration has this one.
listener() {
        configure 'listeners = (' "  { name = \"a\"; listen = \"${2:-tcp://127.0.0.1:0}\"; $1 }" ');'
        run_daemon --check --config "$config"
}

# wrong KEYS KEY TEXT [ADDRESS]
wrong() {
        listener "$1" "${4:-}"
        check "$1 is refused${4:+ on $4}" "$config:2: listeners[0].$2: $3" "$output"
}

# right KEYS [ADDRESS]
right() {
        listener "$1" "${2:-}"
        check "$1 is accepted${2:+ on $2}" 0 "$status"
}

udp=udp://127.0.0.1:0
dgram=unix+dgram://$directory/d
record=unix+seqpacket://$directory/r

right 'publish = "a.${peer.address}.${peer.port}.${peer.uid}.${peer.gid}.${peer.pid}.${peer.user}.${peer.unit}.${listener}";'
right 'publish = "a"; framing = "length32";'
right 'publish = "a"; framing = "eof"; max_line = "1M";'
right 'publish = "a"; framing = "datagram";' "$udp"
right 'publish = "a"; framing = "line";' "$dgram"
right 'publish = "a"; framing = "line";' "$record"
right 'publish = "a"; join = ["239.1.2.3"];' 'udp://*:4999'

right 'request = "a"; timeout = "1h"; max_in_flight = 65536; max_line = "1K";'
right 'subscribe = "a.*.>"; queue = "q"; framing = "length32";'
right 'subscribe = "$SYS.>"; framing = "line";' "$udp"
wrong 'subscribe = "a.>.b";' subscribe 'found "a.>.b", expected a subject: tokens between dots, none of them empty'
wrong 'subscribe = "a"; framing = "eof";' framing \
        'expected "line" or "length32", as what is subscribed to has no end'
wrong 'subscribe = "a"; max_line = "1K";' max_line 'only for listeners with publish or request'
wrong 'subscribe = "a"; queue = "a b";' queue \
        'found "a b", expected the name of a queue group, at most 64 printable ASCII characters without blanks'
wrong 'request = "a"; timeout = 2;' timeout 'found 2, expected a duration with a unit, such as "2s"'
wrong 'request = "a.>";' request 'found "a.>", expected a subject without wildcards, as a message goes there'
wrong 'request = "a"; join = ["239.1.2.3"];' request 'it answers, but a listener with join only receives' 'udp://*:4999'

wrong 'publish = "";' publish 'found "", expected a subject'
wrong 'publish = "a..b";' publish 'found "a..b", expected a subject: tokens between dots, none of them empty'
wrong 'publish = "a.*";' publish 'found "a.*", expected a subject without wildcards, as a message goes there'
wrong 'publish = "a b";' publish 'found "a b", expected a subject without blanks and control characters'
wrong 'publish = "$SYS.REQ.SERVER.PING";' publish \
        'found "$SYS.REQ.SERVER.PING", expected a subject outside of $SYS, which is the server'"'"'s'
wrong 'publish = "a.${peer.name}";' publish \
        'found "a.${peer.name}", there is no variable "${peer.name}", expected one of peer.address, peer.port, peer.uid, peer.gid, peer.pid, peer.user, peer.unit, listener'
wrong 'publish = "a.${peer.uid";' publish 'found "a.${peer.uid", expected "}" behind "${"'
wrong 'publish = "a"; framing = "lines";' framing \
        'found "lines", expected "line", "length32", "eof" or "datagram"'
wrong 'publish = "a"; framing = "datagram";' framing \
        'expected "line", "length32" or "eof", as a stream has no datagrams'
for address in "$udp" "$dgram" "$record"; do
        wrong 'publish = "a"; framing = "eof";' framing \
                'expected "datagram" or "line", as datagrams and records have their own length' "$address"
done
wrong 'echo = true; framing = "line";' framing 'only for listeners with publish, request or subscribe'
wrong 'framing = "line";' framing 'only for listeners with publish, request or subscribe'
wrong 'publish = "a"; timeout = "2s";' timeout 'only for listeners with request or exec'
wrong 'publish = "a"; max_in_flight = 5;' max_in_flight 'only for listeners with request'
wrong 'publish = "a"; queue = "q";' queue 'only for listeners with subscribe'
wrong 'publish = "a"; echo = true;' publish 'a listener has one handler, and this one has echo'
wrong 'publish = 5;' publish 'found 5, expected a subject'
wrong 'publish = "a"; max_line = 0;' max_line 'found 0, expected a size from 1 to 64M bytes'

end_tests
