# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=sh
#
# What the tests of the command share. Each test starts with
#   . "$(dirname "$0")/common.sh"
# calls run_tests with its functions, which run the command as mlock, and ends with finish.

set -u

here=$(cd -- "$(dirname "$0")" && pwd)
library=${DUENDE_MLOCK_LIBRARY:-$here/../../build/preload/libduende_mlock_preload.so}
command=${DUENDE_MLOCK_COMMAND:-$here/../../build/preload/command/duende-mlock}
# The library under test knows no such variables, and shall find none.
unset DUENDE_MLOCK_LIBRARY DUENDE_MLOCK_COMMAND LD_PRELOAD
export LC_ALL=C

failures=0
checks=0

skip() {
    echo "skipped: $1"
    exit 77
}

need() {
    for tool; do
        command -v "$tool" >/dev/null || skip "there is no $tool here"
    done
}

need_library() {
    [ -r "$library" ] || skip "there is no library $library"
    library=$(readlink -f "$library")
}

# The second library, which a build has in a folder of its own.
find_store_library() {
    store=${library%/*}/store/libduende_mlock_store.so
    [ -r "$store" ] || store=${library%/*}/libduende_mlock_store.so
    [ -r "$store" ]
}

# Root in a container may not have the capability.
may_lock() {
    [ "$(id -u)" = 0 ] && [ $((0x$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status) >> 14 & 1)) = 1 ]
}

need_root() {
    [ "$(id -u)" = 0 ] || skip "this takes root"
    may_lock || skip "root: CAP_IPC_LOCK is missing"
}

# Other users may have no way into the checkout: a private home.
need_for_all_users() {
    need setpriv
    other='setpriv --reuid=65534 --regid=65534 --clear-groups'
    if $other test -r "$library" && $other test -r "$command"; then
        return
    fi
    chmod 755 "$scratch"
    cp "$library" "$command" "$scratch"
    library=$scratch/${library##*/}
    command=$scratch/${command##*/}
}

[ -x "$command" ] || skip "there is no command $command"
command=$(readlink -f "$command")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# The command, with $environment (NAME=VALUE...) besides. Sets output, errors and status.
environment=
mlock() {
    # shellcheck disable=SC2086 # several words
    env $environment "$command" "$@" >"$scratch/output" 2>"$scratch/errors"
    status=$?
    output=$(cat "$scratch/output")
    errors=$(cat "$scratch/errors")
}

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s\n' "$1"
    printf '  status %s\n  output %s\n  errors %s\n' "${status-}" "${output-}" "${errors-}"
}

# expect DESCRIPTION TEST...: TEST is a command that has to succeed
expect() {
    checks=$((checks + 1))
    what=$1
    shift
    "$@" || fail "$what"
}

# contains TEXT PART
contains() {
    case $1 in
        *"$2"*) ;;
        *) false ;;
    esac
}

lacks() {
    ! contains "$1" "$2"
}

# has_line TEXT LINE: LINE is a whole line of TEXT
has_line() {
    contains "
$1
" "
$2
"
}

# run_tests FUNCTION...
run_tests() {
    for function; do
        "$function"
    done
}

finish() {
    echo "$((checks)) checks, $failures failed"
    [ "$failures" = 0 ]
    exit
}
