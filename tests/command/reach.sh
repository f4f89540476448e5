#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Targets of all kinds: "run" starts locked what LD_PRELOAD reaches; locks from outside, before its
# first instruction, what it does not; and refuses the rest with the right cause. Nothing starts
# unlocked in silence.
. "$(dirname "$0")/common.sh"
need_library
need_root
need_for_all_users
need cc setcap

folder=$scratch/targets
mkdir "$folder"

# Every program among the targets prints how much of it is locked.
cat >"$scratch/target.c" <<'TARGET'
#include <stdio.h>
#include <string.h>
int main(void) {
    char line[256];
    FILE* status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmLck:", 6) == 0) fputs(line, stdout);
    return 0;
}
TARGET

build() {
    "${compiler-cc}" -o "$folder/$1" "$scratch/target.c" "$2" || skip "$2 cannot be built here"
}

# script NAME INTERPRETER-LINE
script() {
    printf '%s\ngrep VmLck /proc/self/status\n' "$2" >"$folder/$1"
    chmod +x "$folder/$1"
}

# patched NAME OFFSET OCTAL...: a copy of a good program with bytes of its header changed
patched() {
    cp "$folder/pie" "$folder/$1"
    printf '%b' "$3" | dd of="$folder/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

make_targets() {
    build pie -pie
    build no-pie -no-pie
    build static -static
    build static-pie -static-pie
    compiler=musl-gcc
    ! command -v musl-gcc >/dev/null || build musl -Os
    for kind in setuid setgid capability; do
        cp "$folder/pie" "$folder/$kind"
    done
    chmod u+s "$folder/setuid"
    chmod g+s "$folder/setgid"
    setcap cap_ipc_lock=ep "$folder/capability" || skip "file capabilities cannot be set here"
    patched aarch64 18 '\0267\0000'
    patched big-endian 5 '\0002'
    patched 32-bit 4 '\0001'
    cp "$folder/pie" "$folder/other-user"
    cp "$folder/pie" "$folder/other-group"
    cp "$folder/pie" "$folder/with space"
    cp "$folder/pie" "$folder/with
newline
"
    cp "$folder/pie" "$folder/-dash"
    ln -s pie "$folder/link"
    ln -s static "$folder/static-link"
    make_scripts
}

make_scripts() {
    script script '#!/bin/sh'
    script script-space '#! /bin/sh -u'
    script env-script '#!/usr/bin/env sh'
    script env-split '#!/usr/bin/env -S FOO=1 sh -u'
    script of-script "#!$folder/script"
    script of-static "#!$folder/static"
    script of-setuid "#!$folder/setuid"
    script of-of-static "#!$folder/of-static"
    script env-of-static '#!/usr/bin/env static'
    script env-quotes '#!/usr/bin/env -S "sh" -u'
    script env-empty '#!/usr/bin/env -S -i sh'
    script env-empty-too '#!/usr/bin/env -iS sh'
    script env-emptied '#!/usr/bin/env -S-i sh'
    script env-unset '#!/usr/bin/env --split-string=-vu LD_PRELOAD sh'
    script of-missing '#!/no/such/interpreter'
    script no-interpreter 'echo started'
    # The set-user-ID bit of a script means nothing to the kernel.
    script setuid-script '#!/bin/sh'
    chmod u+s "$folder/setuid-script"
}

# locked NAME...: run starts it, and it is locked
locked() {
    for target; do
        [ -e "$folder/$target" ] || continue
        mlock run --library "$library" --log off "$folder/$target"
        expect "$target starts" [ "$status:$errors" = 0: ]
        expect "$target is locked" is_locked
    done
}

# outside CAUSE NAME...: run locks it from outside, best effort and required, and says why
outside() {
    cause=$1
    shift
    for target; do
        for option in --no-required --required; do
            mlock run --library "$library" "$option" "$folder/$target"
            expect "$target starts: $option" [ "$status" = 0 ]
            expect "$target is locked: $option" is_locked
            expect "$target: the cause" contains "$errors" "from outside: "
            expect "$target: the cause" contains "$errors" "$cause"
            expect "$target: once" [ "$(printf '%s\n' "$errors" | grep -c 'from outside')" = 1 ]
        done
    done
}

is_locked() {
    contains "$output" VmLck && lacks "$output" "	       0 kB"
}

# refused CAUSE NAME...: run does not start it, and says why; --best-effort starts it with a warning
refused() {
    cause=$1
    shift
    for target; do
        mlock run --library "$library" --log off "$folder/$target"
        expect "$target is refused" [ "$status:$output" = 125: ]
        expect "$target: the cause" contains "$errors" "$cause"
        expect "$target: a remedy" contains "$errors" "; "
        mlock run --library "$library" --log off --best-effort "$folder/$target"
        expect "$target: a warning" contains "$errors" "started unlocked: "
        expect "$target: not refused" [ "$status" != 125 ]
    done
}

test_targets() {
    PATH=$PATH:$folder
    # Root gains nothing by their privileges.
    locked setuid of-setuid setgid capability
    locked pie no-pie musl 'with space' 'with
newline
' -dash link script script-space env-script env-split env-quotes of-script setuid-script
    outside "linked statically (static," static static-link of-static of-of-static env-of-static
    outside "linked statically (static-pie," static-pie
    outside "big endian" big-endian
    outside "32 bits" 32-bit
    chown 65534:65534 "$folder/other-user" "$folder/other-group"
    chmod u+s "$folder/other-user" && chmod g+s "$folder/other-group"
    outside "set-user-ID bit" other-user
    outside "set-group-ID bit" other-group
    mlock run --library "$library" "$folder/aarch64"
    [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] ||
        expect "what the kernel does not execute is 126" [ "$status" = 126 ]
    refused "take LD_PRELOAD away" env-empty env-empty-too env-emptied env-unset
    refused "does not exist" of-missing
    refused "neither an ELF program nor a script" no-interpreter
}

# What is wrong with the library
test_library() {
    useless_library "$scratch/missing.so" "there is no library"
    mkdir -p "$scratch/a b" "$scratch/a:b"
    cp "$library" "$scratch/a b/"
    cp "$library" "$scratch/a:b/"
    useless_library "$scratch/a b/${library##*/}" "a space, a colon"
    useless_library "$scratch/a:b/${library##*/}" "a space, a colon"
    echo text >"$scratch/text.so"
    useless_library "$scratch/text.so" "not an ELF file"
}

useless_library() {
    mlock run --library "$1" "$folder/pie"
    expect "a library of no use: locked from outside: $2" is_locked
    expect "the cause: $2" contains "$errors" "$2"
}

# env and the loader as commands
test_starters() {
    for words in '-u BAR FOO=1' '--unset=BAR --' '-C / -uBAR' '--chdir / -vu BAR' '-u i'; do
        # shellcheck disable=SC2086 # several words
        mlock run --library "$library" --log off env $words sh -c 'grep VmLck /proc/$$/status; :'
        expect "env $words starts a program" is_locked
    done
    mlock run --library "$library" --log off env -S "FOO=1 $folder/pie"
    expect "env splits a string" is_locked
    mlock run --library "$library" --log off env -S "-u LD_PRELOAD $folder/pie"
    expect "env splits a string with options" [ "$status:$output" = 125: ]
    for words in - -i -vi -iu\ BAR --ignore-environment --ignore-e '-u LD_PRELOAD' -uLD_PRELOAD \
        '-vu LD_PRELOAD' '--unset=LD_PRELOAD' '--uns LD_PRELOAD' '-u BAR -i' LD_PRELOAD= \
        '-- LD_PRELOAD='; do
        # shellcheck disable=SC2086 # two words
        mlock run --library "$library" env $words "$folder/pie"
        expect "env $words is refused" [ "$status:$output" = 125: ]
    done
    mlock run --library "$library" env "$folder/static"
    expect "env of a static program is locked from outside" is_locked
    loader=$(sed -n 's/.* \(\/.*\/ld-linux[^ ]*\)$/\1/p' /proc/self/maps | sed q)
    [ -z "$loader" ] || {
        mlock run --library "$library" --log off "$loader" "$folder/pie"
        expect "the loader starts a program" is_locked
    }
}

# The unprivileged user cannot read the library, or is not told of capabilities without getcap.
test_other_user() {
    mkdir -p "$scratch/closed" && cp "$library" "$scratch/closed/" && chmod 755 "$scratch"
    chmod 600 "$scratch/closed/${library##*/}"
    errors=$(setpriv --reuid 65534 --clear-groups "$command" run \
        --library "$scratch/closed/${library##*/}" "$folder/pie" 2>&1)
    expect "an unreadable library is refused" contains "$errors" "cannot be read"
    # It would be reached, but nobody can tell.
    cp "$folder/pie" "$scratch/closed/pie" && chmod 711 "$scratch/closed/pie"
    for option in --best-effort --log=off; do
        output=$(setpriv --reuid 65534 --clear-groups "$command" run --library "$library" \
            "$option" "$scratch/closed/pie" 2>"$scratch/errors")
        errors=$(grep -v '^duende-mlock\[' "$scratch/errors")
        expect "an unreadable program: the cause" contains "$errors" "/pie cannot be read by this user"
        expect "and one line" [ "$(printf '%s\n' "$errors" | wc -l)" = 1 ]
    done
    expect "and it is not started" [ -z "$output" ]
}

make_targets
run_tests test_targets test_library test_starters test_other_user
finish
