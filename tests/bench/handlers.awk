# Results of handlers.sh, a line for each measurement ("WHAT WHO ROW RATE COST"), as a table of medians
# (median.awk) for each WHAT, in the order in which they came.

function add(set, key, value) {
        if (!((key, value) in seen)) {
                seen[key, value] = 1
                set[key] = set[key] " " value
        }
}
{
        add(kinds, "all", $1)
        add(sides, $1, $2)
        add(rows, $1, $3)
        rates[$1, $2, $3] = rates[$1, $2, $3] " " $4
        costs[$1, $2, $3] = costs[$1, $2, $3] " " $5
}
END {
        n_kinds = split(kinds["all"], kind, " ")
        for (k = 1; k <= n_kinds; k++) {
                n_sides = split(sides[kind[k]], side, " ")
                n_rows = split(rows[kind[k]], row, " ")
                printf "%s%-14s", (k > 1 ? "\n" : ""), kind[k]
                for (i = 1; i <= n_sides; i++)
                        printf "  %18s", side[i]
                print ""
                for (r = 1; r <= n_rows; r++) {
                        printf "%-14s", row[r]
                        for (i = 1; i <= n_sides; i++)
                                printf "  %9.0f (%6.3f)", median(rates[kind[k], side[i], row[r]]),
                                        median(costs[kind[k], side[i], row[r]])
                        print ""
                }
        }
}
