#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Programs of all kinds, started by "run" in all places, best effort and required: locked before they
# do anything, or not started and not in silence; and their supervisor sees nothing of how.
#
# table.sh [--build FOLDER | --built FOLDER [PLACE...]]: with FOLDER, only builds the programs there, or
# takes them from there, where there is no compiler.
. "$(dirname "$0")/common.sh"
need_library
need_root
need setpriv setcap
need_for_all_users
mode=${1-}
programs=${2-$scratch/programs}
mkdir -p "$programs"
dynamic='' # busybox, where it is
names='early static static-pie dynamic missing-library script'

# add NAME COMMAND...: one more program, if it can be built here
add() {
    name=$1
    shift
    if "$@" >/dev/null 2>"$scratch/errors"; then
        names="$names $name"
    else
        echo "without $name: $(tail -n 1 "$scratch/errors")"
    fi
}

# Each prints its /proc/self/status, reads from its stdin, and ends with 7. Go and Rust have libraries
# for that, which open files of their own.
write_sources() {
    cat >"$scratch/program.c" <<'C'
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    char status[8192];
    const int file = open("/proc/self/status", O_RDONLY);
    const ssize_t size = read(file, status, sizeof status);
    close(file);
    return write(1, status, (size_t)size) == size && read(0, status, 1) == 0 ? 7 : 1;
}
C
    cat >"$scratch/program.go" <<'GO'
package main

import "syscall"

func main() {
	status := make([]byte, 8192)
	file, _ := syscall.Open("/proc/self/status", syscall.O_RDONLY, 0)
	size, _ := syscall.Read(file, status)
	syscall.Close(file)
	syscall.Write(1, status[:size])
	syscall.Read(0, status)
	syscall.Exit(7)
}
GO
    cat >"$scratch/program.rs" <<'RUST'
use std::io::{Read, Write};
fn main() {
    let status = std::fs::read("/proc/self/status").unwrap();
    std::io::stdout().write_all(&status).unwrap();
    std::io::stdin().read(&mut status.clone()).unwrap();
    std::process::exit(7)
}
RUST
    cat >"$scratch/program.sh" <<'SH'
all=
while IFS= read -r line; do
    all=$all$line'
'
done </proc/self/status
printf %s "$all"
read -r line
exit 7
SH
}

build_programs() {
    need cc readelf
    write_sources
    cc -nostdlib -static -o "$programs/early" "$here/early.S" || skip "early.S cannot be built here"
    cc -static -O1 -o "$programs/witness" "$here/witness.c" || skip "witness.c cannot be built here"
    cc -static -O1 -o "$programs/filter" "$here/filter.c" || skip "filter.c cannot be built here"
    for how in static static-pie; do
        cc "-$how" -o "$programs/$how" "$scratch/program.c" || skip "cc -$how does not work here"
    done
    cc -o "$programs/dynamic" "$scratch/program.c"
    cp "$programs/dynamic" "$programs/missing-library"
    { echo '#!/bin/sh' && cat "$scratch/program.sh"; } >"$programs/script"
    add musl musl-gcc -static -o "$programs/musl" "$scratch/program.c"
    [ "$(uname -m)" != x86_64 ] ||
        add i386 cc -m32 -nostdlib -static -o "$programs/i386" "$here/early.S"
    add go env CGO_ENABLED=0 GOCACHE="$scratch/go" GO111MODULE=off \
        go build -o "$programs/go" "$scratch/program.go"
    add rust rustc -o "$programs/rust" "$scratch/program.rs"
    add rust-static rustc -C target-feature=+crt-static -o "$programs/rust-static" "$scratch/program.rs"
    add rust-musl rustc --target "$(uname -m)-unknown-linux-musl" \
        -o "$programs/rust-musl" "$scratch/program.rs"
    add busybox cp "$(command -v busybox || echo no-busybox)" "$programs/sh"
    cp "$scratch/program.sh" "$programs/busybox"
    chmod 755 "$programs/script" "$programs/busybox"
    ! readelf -lW "$programs/sh" | grep -q INTERP || dynamic=busybox
    echo "$names" >"$programs/names"
}

# By where it is now.
name_interpreter() {
    script=$(grep -v '^#!' "$programs/busybox")
    printf '#!%s\n%s\n' "$programs/sh" "$script" >"$programs/busybox"
}

# What an archive does not keep. The one that is setuid belongs to nobody here, so that it means
# something to root as well.
give_privileges() {
    for kind in setuid capabilities; do
        cp "$programs/dynamic" "$programs/$kind"
        names="$names $kind"
    done
    chown 65533 "$programs/setuid" && chmod 4755 "$programs/setuid"
    setcap cap_ipc_lock=ep "$programs/capabilities" || skip "file capabilities cannot be set here"
}

# Which of them LD_PRELOAD reaches in that place. Where a process may gain no privileges, as under a
# filter, none are gained; and root gains none by capabilities.
is_reached() {
    case $1:$2 in
        "$dynamic":* | dynamic:* | script:* | rust:* | setuid:filter-* | capabilities:filter-*) ;;
        capabilities:root | capabilities:init) ;;
        *) false ;;
    esac
}

# expected PROGRAM PLACE OPTION: the end of what has not started, or how it is locked
expected() {
    case $2:$1 in
        user*:setuid | user*:capabilities) echo 'exit 125' ;; # they would lose what they gain
        filter-*)
            if is_reached "$1" "$2"; then
                [ "$3" = --required ] && echo 'signal 6' || echo unlocked
            else
                # What cannot even be tried is not started.
                [ "$3$2" = --no-requiredfilter-refuse ] && echo unlocked || echo 'exit 125'
            fi
            ;;
        *) echo locked ;;
    esac
}

# Asks for more than the limit that it is held to, as told: whatever becomes of it, it has been said.
is_beyond() {
    case $1:$2:$3 in
        go:user*:--required | busybox:user*:--required)
            ! grep -q '^Max locked memory *unlimited' /proc/self/limits
            ;;
        *) false ;;
    esac
}

# try PROGRAM PLACE OPTION END
try() {
    witnessed=here prefix=
    case $2 in
        init) witnessed=init ;;
        user*) prefix='setpriv --reuid=65534 --regid=65534 --clear-groups' ;;
        filter-*) prefix="$programs/filter ${2#filter-}" ;;
    esac
    given=$library
    [ "$1" != missing-library ] || given=/nowhere/library.so
    # shellcheck disable=SC2086 # several words
    $prefix "$programs/witness" "$witnessed" "$4" "$command" run --library "$given" "$3" \
        "$programs/$1" >"$scratch/output" 2>"$scratch/errors"
    status=$? output=$(cat "$scratch/output") errors=$(cat "$scratch/errors")
    if is_beyond "$1" "$2" "$3"; then
        expect "$1, $2, $3: is told of its limit" contains "$errors" "allocations beyond RLIMIT_MEMLOCK ("
        return
    fi
    wanted=$(expected "$1" "$2" "$3")
    case $wanted in
        *locked)
            end='exit 7'
            [ "$4" = close ] || end='signal 15'
            [ "$4$2" != signalinit ] || end='signal 9'
            files=0
            case $1 in script | busybox) files=1 ;; esac # the script itself
            wanted="$wanted, same PID, $files files, 0 children, tracer 0, $end"
            ;;
    esac
    expect "$1, $2, $3, $4: $wanted" [ "$output" = "$wanted, 1 SIGCHLD" ]
    expect "$1, $2, $3: is said" contains "$errors" "duende-mlock"
}

test_place() {
    for program in $names; do
        for option in --no-required --required; do
            try "$program" "$1" "$option" close
            try "$program" "$1" "$option" signal
        done
    done
}

# With Yama, a user may trace what descends from it, or only what names it; else it makes no odds.
test_user() {
    scope=/proc/sys/kernel/yama/ptrace_scope
    if ! [ -w $scope ]; then
        echo "once for the user: there is no $scope to set here"
        test_place user
        return
    fi
    was=$(cat $scope)
    for scope_is in 0 1; do
        echo $scope_is >$scope
        test_place "user-$scope_is"
    done
    echo "$was" >$scope
}

if [ "$mode" = --built ]; then
    names=$(cat "$programs/names")
else
    build_programs
fi
[ "$mode" != --build ] || exit 0
chmod 755 "$scratch" "$programs"
name_interpreter
give_privileges
if [ $# -gt 2 ]; then
    shift 2
else
    set -- root init filter-refuse filter-kill user
fi
for place; do
    case $place in
        user) test_user ;;
        *) test_place "$place" ;;
    esac
done
finish
