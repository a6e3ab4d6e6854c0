# Results of compare.sh, a line for each measurement ("ROW SERVER name=value..."), as a table of
# medians.

# The median of the values, which are separated by blanks.
function median(values,    list, n, i, j, value) {
        n = split(values, list, " ")
        for (i = 2; i <= n; i++) {
                value = list[i] + 0
                for (j = i - 1; j >= 1 && list[j] + 0 > value; j--)
                        list[j + 1] = list[j]
                list[j + 1] = value
        }
        return n == 0 ? 0 : n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

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
                for (j = 1; j <= 5; j++) {
                        if (values[rows[i], servers[j], name] == "") {
                                line = line sprintf(" %12s", "-")
                                continue
                        }
                        found = 1
                        line = line sprintf(" %12s", \
                                sprintf(format, value(rows[i], servers[j], name)))
                }
                if (found)
                        printf "%-14s%s  %s %s\n", rows[i], line, name, unit
        }
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
        split("nats relay-tcp sockd-tcp relay-unix sockd-unix", servers, " ")
        print "Rate a second, and the server's processor seconds for a million."
        printf "%-14s %14s %14s %14s %14s %14s %7s %7s %7s\n", "", "nats-server", "relay TCP", \
                "sockd TCP", "relay Unix", "sockd Unix", "x nats", "x relay", "x Unix"
        for (i = 1; i <= n_rows; i++) {
                row = rows[i]
                printf "%-14s %14s %14s %14s %14s %14s %7s %7s %7s\n", row, cell(row, "nats"), \
                        cell(row, "relay-tcp"), cell(row, "sockd-tcp"), cell(row, "relay-unix"), \
                        cell(row, "sockd-unix"), ratio(row, "sockd-tcp", "nats"), \
                        ratio(row, "sockd-tcp", "relay-tcp"), ratio(row, "sockd-unix", "relay-unix")
        }
        print ""
        printf "%-14s %12s %12s %12s %12s %12s\n", "", "nats-server", "relay TCP", "sockd TCP", \
                "relay Unix", "sockd Unix"
        extra("p50", "us", "%.1f")
        extra("p99", "us", "%.1f")
        extra("memory", "bytes each", "%.0f")
        extra("resident", "bytes at the end", "%.0f")
}
