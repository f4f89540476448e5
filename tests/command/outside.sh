#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "run" locks what LD_PRELOAD does not reach from outside, before its first instruction, and leaves
# nothing behind; required, nothing of it runs unlocked. With --verify, the library's lock is looked at.
. "$(dirname "$0")/common.sh"
need_library
need_root
need cc busybox setpriv unshare prlimit

cc -nostdlib -static -o "$scratch/early" "$here/early.S" || skip "early.S cannot be built here"
cat >"$scratch/filter.c" <<'FILTER'
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
// filter kill|refuse|no-ptrace COMMAND...: mlockall, or ptrace, is not to be had
int main(int argc, char** argv) {
  const int call = argc > 2 && strcmp(argv[1], "no-ptrace") == 0 ? SYS_ptrace : SYS_mlockall;
  const unsigned what =
      argc > 2 && strcmp(argv[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, what),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
  return execvp(argv[2], argv + 2);
}
FILTER
cc -o "$scratch/filter" "$scratch/filter.c" || skip "filter.c cannot be built here"
cp "$(command -v busybox)" "$scratch/static"
file_is_static() { ! readelf -lW "$1" 2>/dev/null | grep -q INTERP; }
chmod 755 "$scratch"
early=$scratch/early

# run_in WORDS ARGUMENT...: run with the arguments, started by WORDS
run_in() {
    words=$1
    shift
    # shellcheck disable=SC2086 # several words
    $words "$command" run --library "$library" "$@" >"$scratch/output" 2>"$scratch/errors"
    status=$? output=$(cat "$scratch/output") errors=$(cat "$scratch/errors")
}

is_locked() {
    printf '%s\n' "$output" | grep -q '^VmLck:.*[1-9][0-9]* kB'
}

user='setpriv --reuid=65534 --regid=65534 --clear-groups'
bare='setpriv --bounding-set=-ipc_lock,-sys_resource --inh-caps=-ipc_lock,-sys_resource'

test_start() {
    for words in '' "$user" 'unshare --pid --fork --mount-proc' "$bare"; do
        for option in --no-required --required; do
            run_in "$words" "$option" "$early"
            expect "'$words' $option: its status" [ "$status" = 7 ]
            expect "'$words' $option: locked at its first instruction" is_locked
            expect "'$words' $option: nobody traces it any more" has_line "$output" "TracerPid:	0"
            expect "'$words' $option: the cause" contains "$errors" "from outside: "
        done
    done
    case $(uname -m) in
        x86_64)
            cc -m32 -nostdlib -static -o "$scratch/early32" "$here/early.S" 2>/dev/null || return
            run_in '' --required "$scratch/early32"
            expect "a 32-bit program" is_locked
            ;;
    esac
}

# What a parent and the program itself see is as without.
test_traces() {
    "$command" run --library "$library" --log off "$early" >"$scratch/output" &
    wait $!
    status=$? output=$(cat "$scratch/output") errors=
    expect "the PID stays" has_line "$output" "Pid:	$!"
    file_is_static "$scratch/static" || return
    # shellcheck disable=SC2016 # for the other shell
    run_in '' --log off "$scratch/static" sh -c 'cat /proc/$$/task/$$/children; echo /proc/$$/fd/*'
    expect "no child, and no descriptor" [ "$(printf '%s' "$output" | tr -dc '/\n' | wc -l)" = 1 ]
    expect "no descriptor" lacks "$output" /fd/3
    # shellcheck disable=SC2016 # for the other shell
    run_in '' "$scratch/static" sh -c 'kill -TERM $$'
    expect "a signal ends it" [ "$status" = 143 ]
    run_in '' "$scratch/static" sh -c 'grep SigBlk /proc/self/status'
    expect "no signal is blocked" contains "$output" 0000000000000000
}

# refuses WORDS CAUSE: unlocked with a warning, and required not at all
refuses() {
    run_in "$1" "$early"
    expect "'$1': starts" [ "$status" = 7 ]
    expect "'$1': unlocked" has_line "$output" "VmLck:	       0 kB"
    expect "'$1': the cause" contains "$errors" "$2"
    for pid in '' 'unshare --pid --fork --mount-proc '; do
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
    $with true 2>/dev/null || return
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

run_tests test_start test_traces test_refusals test_verify
finish
