#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "attach" locks what runs, and "unlock" takes it back: whatever a program waits in goes on as if it had
# not been stopped, and its children are locked with --tree. What cannot be stopped is refused.
. "$(dirname "$0")/common.sh"
need_root
need cc pgrep
cc -O1 -pthread -o "$scratch/waits" "$here/waits.c" || skip "waits.c cannot be built here"
mkfifo "$scratch/in" "$scratch/out"
exec 8<>"$scratch/in" 9<>"$scratch/out"
started=''
trap '[ -z "$started" ] || kill -9 $started 2>/dev/null; rm -rf "$scratch"' EXIT

vmlck() {
    sed -n 's/^VmLck:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

# start KIND: its PID, once it is about to wait, in waiter
start() {
    "$scratch/waits" "$1" <&8 >&9 &
    waiter=$! started=$!
    read -r _ <&9
    # In what it waits, and no more on the way.
    tries=100
    until [ "$1" = loop ] || grep -q '^[0-9]' "/proc/$waiter/syscall" || [ $((tries -= 1)) = 0 ]; do
        :
    done
}

# ends_with ANSWER: what it says in the end
ends_with() {
    read -r answer <&9
    wait "$waiter"
    started=''
    [ "$answer" = "$1" ] || { echo "  it says '$answer', not '$1'" && false; }
}

# through KIND ANSWER [SIGNAL]: is locked and unlocked in the middle of it
through() {
    start "$1"
    for _ in 1 2 3; do
        mlock attach "$waiter"
        expect "$1: is locked" [ "$status" = 0 ]
        expect "$1: so says the kernel" [ "$(vmlck "$waiter")" -gt 0 ]
        expect "$1: so says the command" contains "$errors" "] waits: locked ("
        mlock unlock "$waiter"
        expect "$1: is unlocked" [ "$status:$(vmlck "$waiter")" = 0:0 ]
    done
    case $1:${3-} in
        time:) ;;
        *:) echo >&8 ;;
        *) kill -s "$3" "$waiter" ;;
    esac
    expect "$1: ends as it should" ends_with "$2"
}

test_waits() {
    through poll '1 0'
    read -r _ <&8
    through select '1 0'
    read -r _ <&8
    through epoll '1 0'
    read -r _ <&8
    for kind in read:'1 0' child:'7 0' futex:'0 0' semaphore:'0 0'; do
        through "${kind%%:*}" "${kind#*:}"
    done
    through pause '-1 4' USR1
    through sigwait '0 0' USR1
    through time '0 0'
    through loop '0 0'
    read -r _ <&8
}

test_many_times() {
    start loop
    failed=0
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
        "$command" attach --log off "$waiter" && "$command" unlock "$waiter" 2>/dev/null ||
            failed=$((failed + 1))
    done
    expect "25 times" [ "$failed" = 0 ]
    echo >&8
    expect "nothing was lost" ends_with '0 0'
    read -r _ <&8
}

# One that its filter would kill for the call, which is suspended meanwhile (CAP_SYS_ADMIN).
test_filter() {
    start filtered
    mlock attach "$waiter"
    case $status in
        0) expect "the filter is suspended" [ "$(vmlck "$waiter")" -gt 0 ] ;;
        *) expect "the filter is named" contains "$errors" "seccomp filter" ;;
    esac
    echo >&8
    expect "it lives" ends_with '1 0'
    read -r _ <&8
}

test_tree() {
    # shellcheck disable=SC2016 # for the shell
    sh -c 'sh -c "sleep 600 & wait" & sleep 600 & echo ready; wait' >&9 &
    waiter=$!
    read -r _ <&9
    tries=1000
    until [ "$(pgrep -c -x sleep -g 0)" -ge 2 ] || [ $((tries -= 1)) = 0 ]; do :; done
    mlock attach --tree "$waiter"
    expect "a tree is locked" [ "$status" = 0 ]
    mlock status "$waiter"
    expect "each of it: $output" contains "$output" "3/3"
    mlock unlock --tree "$waiter"
    expect "a tree is unlocked" [ "$status" = 0 ]
    mlock status "$waiter"
    expect "none of it is locked" contains "$output" "0/3"
    started="$waiter $(pgrep -P "$waiter" | tr '\n' ' ')"
    for child in $started; do
        started="$started $(pgrep -P "$child" | tr '\n' ' ')"
    done
    # shellcheck disable=SC2086 # PIDs
    kill $started 2>/dev/null
    wait "$waiter"
    started=''
}

# What the library would leave evictable is left so from outside. The command stands for a data file.
test_data_file() {
    command -v python3 >/dev/null || return
    python3 -c '
import mmap, sys
file = open(sys.argv[1], "rb")
data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(data[at] for at in range(0, len(data), mmap.PAGESIZE))
print("ready", flush=True)
input()' "$command" <&8 >&9 2>/dev/null &
    started=$!
    read -r _ <&9
    size=$(stat -Lc %s "$command")
    for setting in code all; do
        export DUENDE_MLOCK_FILES="$setting"
        mlock attach "$started"
        unset DUENDE_MLOCK_FILES
        expect "FILES=$setting: is locked" [ "$status" = 0 ]
        mlock status --json "$started"
        expect "FILES=$setting: all that can be swapped is" contains "$output" '"state":"locked"'
        evictable=$(printf '%s' "$output" | sed -n 's/.*"evictable_bytes":\([0-9]*\).*/\1/p')
        if [ "$setting" = code ]; then
            expect "the file is not: $evictable" [ "$evictable" -ge "$size" ]
        else
            expect "the file is: $evictable" [ "$evictable" = 0 ]
        fi
    done
    echo >&8
    wait "$started"
    started=''
}

# Hundreds of mappings are locked in portions; and where the limit refuses it, none is.
test_many_mappings() {
    cat >"$scratch/mappings.c" <<'TXT'
#include <stdio.h>
#include <sys/mman.h>
int main(void) {
  char line[9], *const begin = mmap(NULL, 1000 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < 1000; i += 2) mprotect(begin + (i << 16), 1 << 16, PROT_READ | PROT_WRITE);
  puts("ready");
  fflush(stdout);
  return fgets(line, sizeof line, stdin) == NULL;
}
TXT
    cc -o "$scratch/mappings" "$scratch/mappings.c" 2>/dev/null || return
    for by in env 'setpriv --bounding-set=-ipc_lock'; do
        # shellcheck disable=SC2086 # several words
        prlimit --memlock=1024000 $by "$scratch/mappings" <&8 >&9 &
        started=$!
        read -r _ <&9
        mlock attach --no-raise-limit --log debug "$started"
        if [ "$by" = env ]; then
            expect "a thousand mappings are locked" [ "$status" = 0 ]
            expect "all of them" [ "$(vmlck "$started")" -gt 64000 ]
            expect "in portions" grep -q ': stopped [5-9] times, ' "$scratch/errors"
        else
            expect "or not" [ "$status" = 1 ]
            expect "and then nothing of them" [ "$(vmlck "$started")" = 0 ]
            expect "the limit is told of" contains "$errors" "exceeds its RLIMIT_MEMLOCK (1000 KiB)"
        fi
        echo >&8
        wait "$started"
        started=''
    done
}

# V8 as the command knows it: 8 MiB of code, and one of its flags.
build_v8() {
    cat >"$scratch/v8.c" <<'TXT'
#include <stdio.h>
__asm__(".text\n.skip 9 << 20, 0x90\n");
int main(void) {
  char line[9];
  puts("--max_old_space_size");
  fflush(stdout);
  return fgets(line, sizeof line, stdin) == NULL;
}
TXT
    cc "$@" -o "$scratch/v8" "$scratch/v8.c" 2>/dev/null
}

test_v8() {
    build_v8 || return
    for preload in '' "$library"; do
        LD_PRELOAD=$preload DUENDE_MLOCK_LOG=off "$scratch/v8" <&8 >&9 &
        started=$!
        read -r _ <&9
        [ -z "$preload" ] || "$command" unlock "$started" 2>/dev/null
        mlock attach "$started"
        if [ -z "$preload" ]; then
            expect "V8 is not locked" [ "$status:$(vmlck "$started")" = 1:0 ]
            expect "and why is said" contains "$errors" "not locked: it runs V8"
        else
            expect "it is where the library gives memory back" [ "$status" = 0 ]
            expect "so says the kernel" [ "$(vmlck "$started")" -gt 0 ]
        fi
        echo >&8
        wait "$started"
        started=''
    done
    build_v8 -static || return
    echo >"$scratch/line"
    mlock run -- "$scratch/v8" <"$scratch/line"
    expect "a static one runs" [ "$status:$output" = "0:--max_old_space_size" ]
    expect "unlocked, which is said" contains "$errors" "v8: not locked: it runs V8"
    mlock run --required -- "$scratch/v8" <"$scratch/line"
    expect "nothing of it runs if the lock is required" [ "$status:$output" = 125: ]
}

test_refusals() {
    for target in 999999999 no-such-unit 2; do
        mlock attach "$target"
        expect "$target is refused" [ "$status" = 1 ]
        expect "$target: says so" contains "$errors" "no such process runs here"
    done
    command -v strace >/dev/null || return
    start poll
    strace -o "$scratch/trace" -p "$waiter" 2>/dev/null &
    tries=1000
    until grep -q '^TracerPid:.*[1-9]' "/proc/$waiter/status" || [ $((tries -= 1)) = 0 ]; do :; done
    mlock attach "$waiter"
    expect "what is traced is refused" [ "$status" = 1 ]
    expect "and by whom is said" contains "$errors" "it is traced by $! already"
    kill $!
    wait $!
    echo >&8
    expect "and goes on" ends_with '1 0'
    read -r _ <&8
}

run_tests test_waits test_many_times test_filter test_tree test_data_file test_many_mappings test_v8 test_refusals
finish
