#!/bin/sh
# Proves that mandoc finds nothing to complain about in the manual pages, and that examples are shown
# with their quotes: a quote that begins an argument of a macro is for the macro itself.
set -eu

pages="daemon/sockd.8 etc/sockd.conf.5 ctl/sockctl.1"

command -v mandoc >/dev/null || {
        echo "1..0 # SKIP mandoc is not installed"
        exit 0
}

# shellcheck disable=SC2086 # a list of words
set -- $pages
echo "1..$((2 * $#))"
for page; do
        if complaints=$(mandoc -Tlint -Wwarning "$SOCKD_SOURCE_DIR/$page" 2>&1); then
                echo "ok - $page is sound"
        else
                echo "not ok - $page is sound"
                echo "$complaints" | sed 's/^/# /'
        fi
        if ! lost=$(grep -nE '^\.[A-Z].* "[^"]*"[^ ]' "$SOCKD_SOURCE_DIR/$page"); then
                echo "ok - $page shows all quotes"
        else
                echo "not ok - $page shows all quotes"
                echo "$lost" | sed 's/^/# /'
        fi
done
