# Results of compare.sh, a line for each measurement ("ROW SERVER name=value..."), as a table of
# medians (median.awk).

# Three digits and a unit.
function human(number) {
        if (number >= 1e6)
                return sprintf("%.3g M", number / 1e6)
        if (number >= 1e3)
                return sprintf("%.3g k", number / 1e3)
        return sprintf("%.0f", number)
}

function value(row, server, name) {
        return median(values[row, server, name])
}

function cell(row, server) {
        if (!((row, server) in seen))
                return "-"
        return human(value(row, server, "rate")) " " sprintf("%.3g", value(row, server, "cpu"))
}

function ratio(row, server, other) {
        if (!((row, server) in seen) || !((row, other) in seen) || value(row, other, "rate") == 0)
                return "-"
        return sprintf("%.2f", value(row, server, "rate") / value(row, other, "rate"))
}

# One line for each row that has this value.
function extra(name, unit, format,    i, j, line, found) {
        for (i = 1; i <= n_rows; i++) {
                line = ""
                found = 0
                for (j = 1; j <= n_servers; j++) {
                        if (values[rows[i], servers[j], name] == "") {
                                line = line sprintf(" %12s", "-")
                                continue
                        }
                        found = 1
                        line = line sprintf(" %12s", \
                                sprintf(format, value(rows[i], servers[j], name)))
                }
                if (found)
                        printf "%-15s%s  %s %s\n", rows[i], line, name, unit
        }
}

# Whether any of the servers has had this load.
function is_here(row,    j) {
        for (j = 1; j <= n_servers; j++)
                if ((row, servers[j]) in seen)
                        return 1
        return 0
}

# The rates of the servers, and how they compare: "sockd-tcp/nats" is the first by the second.
function table(comparisons,    i, j, n, pairs, pair) {
        n = split(comparisons, pairs, " ")
        printf "%-15s", ""
        for (j = 1; j <= n_servers; j++)
                printf " %14s", servers[j]
        for (j = 1; j <= n; j++) {
                split(pairs[j], pair, "/")
                printf " %13s", "x " pair[2]
        }
        print ""
        for (i = 1; i <= n_rows; i++) {
                if (!is_here(rows[i]))
                        continue
                printf "%-15s", rows[i]
                for (j = 1; j <= n_servers; j++)
                        printf " %14s", cell(rows[i], servers[j])
                for (j = 1; j <= n; j++) {
                        split(pairs[j], pair, "/")
                        printf " %13s", ratio(rows[i], pair[1], pair[2])
                }
                print ""
        }
        print ""
}

# The values that are not rates.
function extras(    j) {
        printf "%-15s", ""
        for (j = 1; j <= n_servers; j++)
                printf " %12s", servers[j]
        print ""
        extra("p50", "us", "%.1f")
        extra("p99", "us", "%.1f")
        extra("lost", "percent", "%.3f")
        extra("memory", "bytes each", "%.0f")
        extra("resident", "bytes at the end", "%.0f")
        print ""
}

{
        if (!($1 in known)) {
                known[$1] = 1
                rows[++n_rows] = $1
        }
        seen[$1, $2] = 1
        for (i = 3; i <= NF; i++) {
                split($i, pair, "=")
                values[$1, $2, pair[1]] = values[$1, $2, pair[1]] " " pair[2]
        }
}

END {
        print "Rate a second, and the server's processor seconds for a million."
        n_servers = split("nats relay-tcp sockd-tcp relay-unix sockd-unix", servers, " ")
        table("sockd-tcp/nats sockd-tcp/relay-tcp sockd-unix/relay-unix")
        extras()
        print "Datagrams: the same of messages, so many of them in each that is published."
        n_servers = split("relay-udp sockd-udp relay-dgram sockd-dgram", servers, " ")
        table("sockd-udp/relay-udp sockd-dgram/relay-dgram")
        extras()
}
