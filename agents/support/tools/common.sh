# What the tools of this agent share. Sourced, not run. Needs a POSIX shell, awk and ln; nothing else.
#
# The state is a ledger for each order: $TOOL_STATE/ledger/1001/000001, 000002, ..., one line a file:
# cents,call,reason. Each entry is written elsewhere and then linked into place, so that it is there whole or not at
# all, and so that of two refunds at the same moment one wins and the other looks at the total again.

# Numbers and letters mean the same everywhere.
export LC_ALL=C

agent=$(dirname "$0")/..

# Says why not, and ends.
fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# find_order ORDER_ID: sets customer, item, total, currency, status, ordered, detail, and total_cents.
find_order() {
    line=$(ORDER=$1 awk -F, 'NR > 1 && $1 == ENVIRON["ORDER"]' "$agent/orders.csv")
    [ -n "$line" ] || fail "There is no order $1. Order numbers have four digits and stand in the confirmation mail."
    IFS=, read -r _ customer item total currency status ordered detail <<END
$line
END
    total_cents=$(cents "$total")
    ledger=$TOOL_STATE/ledger/$1
    mkdir -p "$ledger"
}

# cents AMOUNT: prints an amount as a whole number of cents; nothing when it is not one.
cents() {
    AMOUNT=$1 awk 'BEGIN {
        amount = ENVIRON["AMOUNT"]
        if (amount ~ /^[0-9]+(\.[0-9][0-9]?)?$/ && length(amount) <= 9) printf "%d", amount * 100 + 0.5
    }'
}

# euros CENTS: prints cents as an amount.
euros() {
    printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

# The number of entries in the order's ledger.
entries() {
    set -- "$ledger"/*
    if [ -e "$1" ]; then echo $#; else echo 0; fi
}

# The cents that were refunded of this order so far.
refunded() {
    if [ "$(entries)" -gt 0 ]; then
        cat "$ledger"/* | awk -F, '{ sum += $1 } END { printf "%d", sum }'
    else
        printf 0
    fi
}

# The cents of it that nobody was asked about: of the refunds up to CENTS each.
refunded_unasked() {
    if [ "$(entries)" -gt 0 ]; then
        cat "$ledger"/* | awk -F, -v most="$1" '$1 <= most { sum += $1 } END { printf "%d", sum }'
    else
        printf 0
    fi
}

# append NUMBER LINE: adds entry NUMBER. Fails when there is one of that number already.
append() {
    draft=$TOOL_STATE/draft.$$
    printf '%s\n' "$2" >"$draft"
    if ln "$draft" "$ledger/$(printf %06d "$1")" 2>/dev/null; then
        rm -f "$draft"
        return 0
    fi
    rm -f "$draft"
    return 1
}

# json TEXT: prints a JSON string: quotes and backslashes escaped, line breaks as spaces, control characters left out.
json() {
    TEXT=$1 awk 'BEGIN {
        text = ENVIRON["TEXT"]
        for (i = 1; i <= length(text); i++) {
            c = substr(text, i, 1)
            if (c == "\"" || c == "\\") out = out "\\" c
            else if (c == "\n" || c == "\t") out = out " "
            else if (c >= " ") out = out c
        }
        printf "\"%s\"", out
    }'
}
