#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "check" names what is in the way, really being in each situation: privileges, limits, namespaces,
# swap devices. A finding a line, a fix in each that is not ok.
. "$(dirname "$0")/common.sh"
need_library
need_root
need setpriv unshare nbdkit

# check_in WORDS [OPERAND]: the command, started by WORDS
check_in() {
    # shellcheck disable=SC2086 # several words
    output=$(env PATH="$path" $1 $shell "$command" check --library "$library" ${2+"$2"} 2>&1)
    status=$?
}

expect_finding() {
    expect "$1" contains "
$output
" "
$2"
    expect "each finding that is not ok has a fix: $1" [ -z "$(printf '%s\n' "$output" |
        grep -v -e '^ok ' -e '; fix: ')" ]
}

bare='setpriv --bounding-set=-ipc_lock,-sys_resource --inh-caps=-ipc_lock,-sys_resource'
user='setpriv --reuid=65534 --regid=65534 --clear-groups'

test_privileges() {
    path=$PATH
    check_in ''
    expect_finding "the library is tried" "ok    library: $library is loaded, and locks"
    check_in "prlimit --memlock=0:0 $bare"
    expect_finding "limit 0" "FAIL  limit: RLIMIT_MEMLOCK is 0: nothing can be locked; fix: "
    expect_finding "nothing locked" "FAIL  library: $library is loaded but locks nothing; fix: "
    expect "it will not work" [ "$status" = 1 ]
    check_in "prlimit --memlock=8388608:8388608 $bare"
    expect_finding "a limit" "FAIL  limit: RLIMIT_MEMLOCK is 8388608 bytes at most: "
    expect_finding "no capability" "FAIL  capability: CAP_IPC_LOCK is not in the bounding set; fix: "
    check_in "prlimit --memlock=65536:65536 $user"
    expect_finding "not effective" "FAIL  capability: CAP_IPC_LOCK is in the bounding set, but not"
    check_in "prlimit --memlock=65536:65536 $user --inh-caps=+ipc_lock --ambient-caps=+ipc_lock"
    expect_finding "ambient" "ok    capability: CAP_IPC_LOCK is effective, and counts"
    expect_finding "the limit matters later" "warn  limit: RLIMIT_MEMLOCK is 65536 bytes at most"
    expect "it will work" [ "$status" = 0 ]
    ! unshare -Ur true 2>/dev/null || {
        check_in "unshare -Ur"
        expect_finding "user namespace" "FAIL  capability: CAP_IPC_LOCK is effective in a user"
    }
}

test_library_and_program() {
    path=$PATH
    check_in ''
    cp "$(command -v cat)" "$scratch/setuid" && chmod u+s "$scratch/setuid"
    check_in '' "$scratch/setuid"
    expect_finding "a program that is not reached" "FAIL  program: $scratch/setuid has its set-user"
    expect "it will not work" [ "$status" = 1 ]
    check_in '' cat
    expect_finding "one that is" "ok    program: LD_PRELOAD reaches $(command -v cat)"
    mlock check --library "$scratch/missing.so"
    expect_finding "a library that is not there" "FAIL  library: there is no library"
    mlock check --library "$library" no-such-command-anywhere
    expect "nothing of that name is a usage error" [ "$status" = 2 ]
    mlock check 999999999
    expect "nor is there such a process" [ "$status" = 2 ]
    mlock check no-such.service
    expect "nor such a unit" [ "$status" = 2 ]
}

# serve [VARIABLE=VALUE]: an nbdkit in the background; its PID, once it is ready, is in $server
serve() {
    rm -f "$scratch/pid" "$scratch/socket"
    mkfifo "$scratch/pid"
    env "$@" nbdkit -P "$scratch/pid" -U "$scratch/socket" memory 1M 2>/dev/null
    read -r server <"$scratch/pid"
}

end_server() {
    kill "$server"
    server=
}
server=
trap '[ -z "$server" ] || end_server; rm -rf "$scratch"' EXIT

# A process, and swap devices that it may serve: /proc/swaps as it would be, for the command only
test_process() {
    path=$PATH
    serve A=b
    check_in '' "$server"
    expect_finding "without the library" "FAIL  process: $server runs without the library; fix: "
    {
        echo "Filename Type Size Used Priority"
        echo "/dev/nbd0 partition 1024 0 -2"
        echo "/dev/zram0 partition 1024 0 100"
    } >"$scratch/swaps"
    with="unshare -m $scratch/with $scratch/swaps"
    # shellcheck disable=SC2016 # for the script
    printf '%s\n' '#!/bin/sh' 'mount --bind "$1" /proc/swaps && shift && exec "$@"' >"$scratch/with"
    chmod +x "$scratch/with"
    # shellcheck disable=SC2086 # several words
    if $with true 2>/dev/null; then
        check_in "$with" "$server"
        expect_finding "its swap device" "warn  swap: /dev/nbd0 (nbd) may be served by this very"
        expect_finding "the kernel's own" "ok    swap: /dev/zram0, which the kernel serves itself"
        check_in "$with" cat
        expect_finding "another's" "ok    swap: /dev/nbd0 (nbd), served by some other daemon"
    fi
    end_server
    serve LD_PRELOAD="$library"
    check_in '' "$server"
    expect_finding "with the library" "ok    process: $server has the library loaded"
    end_server
}

in_both_shells test_privileges test_library_and_program test_process
finish
