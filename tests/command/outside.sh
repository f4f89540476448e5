#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "run", where it cannot lock from outside: unlocked with the cause, and required not at all (table.sh
# has where it can). With --verify, the library's lock is looked at.
. "$(dirname "$0")/common.sh"
need_library
need_root
need cc setpriv unshare prlimit

cc -nostdlib -static -o "$scratch/early" "$here/early.S" || skip "early.S cannot be built here"
cc -o "$scratch/filter" "$here/filter.c" || skip "filter.c cannot be built here"
chmod 755 "$scratch"
early=$scratch/early
# Of what is mounted it makes /proc alone private, as the / of a chroot need not be a mount point.
init='unshare --pid --fork --mount-proc --propagation unchanged '

# run_in WORDS ARGUMENT...: run with the arguments, started by WORDS
run_in() {
    words=$1
    shift
    # shellcheck disable=SC2086 # several words
    $words "$command" run --library "$library" "$@" >"$scratch/output" 2>"$scratch/errors" </dev/null
    status=$? output=$(cat "$scratch/output") errors=$(cat "$scratch/errors")
}

is_locked() {
    printf '%s\n' "$output" | grep -q '^VmLck:.*[1-9][0-9]* kB'
}

user='setpriv --reuid=65534 --regid=65534 --clear-groups'
bare='setpriv --bounding-set=-ipc_lock,-sys_resource --inh-caps=-ipc_lock,-sys_resource'

# refuses WORDS CAUSE: unlocked with a warning, and required not at all
refuses() {
    run_in "$1" "$early"
    expect "'$1': starts" [ "$status" = 7 ]
    expect "'$1': unlocked" has_line "$output" "VmLck:	       0 kB"
    expect "'$1': the cause" contains "$errors" "$2"
    for pid in '' "$init"; do
        run_in "$pid$1" --required "$early"
        expect "'$pid$1', required: does not start" [ "$status:$output" = 125: ]
        expect "'$pid$1', required: the cause" contains "$errors" "$2"
        expect "'$pid$1', required: a fix" contains "$errors" "fix: "
    done
}

test_refusals() {
    refuses "prlimit --memlock=0:0 $bare" "RLIMIT_MEMLOCK (0 KiB) allows no lock"
    refuses "$scratch/filter refuse" "a seccomp filter refuses it"
    # What cannot even be tried is not started, but with --best-effort.
    for pair in 'kill:a seccomp filter kills' 'no-ptrace:cannot be locked from outside'; do
        run_in "$scratch/filter ${pair%%:*}" "$early"
        expect "filter ${pair%%:*}" [ "$status:$output" = 125: ]
        expect "filter ${pair%%:*}: the cause" contains "$errors" "${pair#*:}"
        run_in "$scratch/filter ${pair%%:*}" --best-effort "$early"
        expect "filter ${pair%%:*}, best effort" [ "$status" = 7 ]
        expect "filter ${pair%%:*}, best effort: a warning" contains "$errors" "started unlocked: "
    done
    cp "$(command -v cat)" "$scratch/setuid" && chmod u+s "$scratch/setuid"
    run_in "$user" "$scratch/setuid" /proc/self/status
    expect "privileges that tracing would take" [ "$status:$output" = 125: ]
    expect "are named" contains "$errors" "set-user-ID bit"
}

# A library that its loader passes over, from where nothing may be executed
test_verify() {
    mkdir -p "$scratch/noexec"
    # shellcheck disable=SC2016 # for the script
    printf '%s\n' '#!/bin/sh' 'mount -t tmpfs -o noexec none "$1" && cp "$2" "$1" && shift 2 && exec "$@"' \
        >"$scratch/with"
    chmod +x "$scratch/with"
    with="unshare -m $scratch/with $scratch/noexec $library"
    # shellcheck disable=SC2086 # several words
    $with true 2>/dev/null || { echo "without a library that is passed over: nothing can be mounted here" && return; }
    passed_over=$scratch/noexec/${library##*/}
    run_in "$with" --library "$passed_over" cat /proc/self/status
    expect "it is passed over" has_line "$output" "VmLck:	       0 kB"
    for option in --verify --required; do
        run_in "$with" --library "$passed_over" "$option" cat /proc/self/status
        expect "$option: locked from outside" is_locked
        expect "$option: says so" contains "$errors" "from outside: LD_PRELOAD was without effect"
    done
    run_in '' --verify cat /proc/self/status
    expect "what the library has locked is let be" [ "$status" = 0 ]
    expect "locked" is_locked
    expect "in silence" lacks "$errors" outside
    run_in "prlimit --memlock=0:0 $bare" --verify cat /proc/self/status
    expect "what it could not lock runs, without required" has_line "$output" "VmLck:	       0 kB"
    expect "and has been said once" [ "$(printf '%s\n' "$errors" | wc -l)" = 1 ]
    run_in "prlimit --memlock=0:0 $bare" --required cat /proc/self/status
    expect "and not with it" [ "$status:$output" = 134: ]
    command -v musl-gcc >/dev/null || return
    printf '%s\n' '#include <stdio.h>' 'int main(void) { int c; FILE* f = fopen("/proc/self/status", "r");' \
        'while ((c = getc(f)) >= 0) putchar(c); return 0; }' >"$scratch/musl.c"
    musl-gcc -o "$scratch/musl" "$scratch/musl.c" || return
    run_in '' --required "$scratch/musl"
    expect "a program of musl" is_locked
    expect "is locked by the library as well" contains "$errors" "] musl: locked ("
}

# What exec keeps is set before it, so that a static program has it from its first instruction on.
test_reclaim() {
    printf '%s\n' '#include <fcntl.h>' '#include <unistd.h>' 'int main(void) { char stat[1024];' \
        'return write(1, stat, read(open("/proc/self/stat", O_RDONLY), stat, 1024)) < 1; }' >"$scratch/stat.c"
    cc -static -o "$scratch/stat" "$scratch/stat.c" || return
    run_in '' --swap-device "$scratch/stat"
    # shellcheck disable=SC2086 # its fields
    set -- ${output##*) }
    shift 6
    flags=$1
    shift 31
    expect "its priority and policy are SCHED_RR 1" [ "$1:$2" = 1:2 ]
    case $errors in
        *'IO_FLUSHER does not hold'*) expect "and why" contains "$errors" "CAP_SYS_RESOURCE" ;;
        *) expect "it is an IO flusher" [ $((flags & 0x180000)) = $((0x180000)) ] ;;
    esac
    run_in "$bare" --required --swap-device "$scratch/stat"
    expect "required, and refused: not started" [ "$status:$output" = 125: ]
    expect "required: why" contains "$errors" "IO_FLUSHER does not hold"
}

run_tests test_refusals test_reclaim test_verify
finish
