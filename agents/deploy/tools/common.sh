# What the tools of this agent share. Sourced, not run. Needs a POSIX shell, awk and ln; nothing else.
#
# The state is a log: $TOOL_STATE/log/000001, 000002, ..., one line a file: action,environment,version,call.
# Each entry is written elsewhere and then linked into place, so that it is there whole or not at all, and so that of
# two calls at the same moment one wins and the other looks again.

# Numbers and letters mean the same everywhere.
export LC_ALL=C

agent=$(dirname "$0")/..
log=$TOOL_STATE/log
mkdir -p "$log"

# Says why not, and ends.
fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# The number of entries in the log.
entries() {
    set -- "$log"/*
    if [ -e "$1" ]; then echo $#; else echo 0; fi
}

# All lines so far, oldest first: what ran before this gateway came, then the log.
history() {
    awk 'NR > 1' "$agent/start.csv"
    if [ "$(entries)" -gt 0 ]; then cat "$log"/*; fi
}

# append NUMBER LINE: adds entry NUMBER. Fails when there is one of that number already.
append() {
    draft=$TOOL_STATE/draft.$$
    printf '%s\n' "$2" >"$draft"
    if ln "$draft" "$log/$(printf %06d "$1")" 2>/dev/null; then
        rm -f "$draft"
        return 0
    fi
    rm -f "$draft"
    return 1
}

# running ENVIRONMENT: prints the version that runs there and the one a rollback brings back, `-` where there is none.
running() {
    history | ENVIRONMENT=$1 awk -F, '
        $2 != ENVIRON["ENVIRONMENT"] { next }
        $1 == "deploy" { stack[++top] = $3 }
        $1 == "rollback" && top > 1 { top-- }
        END { print (top > 0 ? stack[top] : "-"), (top > 1 ? stack[top - 1] : "-") }'
}

# json_or_null VERSION
json_or_null() {
    if [ "$1" = - ]; then printf null; else printf '"%s"' "$1"; fi
}

# The environments are an enumeration in agent.toml; a tool run by hand is told so here.
check_environment() {
    case $1 in
    staging | production) ;;
    *) fail "There is no environment \"$1\"; there are staging and production." ;;
    esac
}
