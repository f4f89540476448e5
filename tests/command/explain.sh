#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "explain" knows each line that the sources can print, whatever a log puts before it, and says what
# the manual says.
. "$(dirname "$0")/common.sh"
need python3
scripts=$here/../../scripts
preload=$here/../../preload

# The sections that the manual is to have.
test_manual() {
    "$command" explain --all >"$scratch/all"
    for page in 'duende-mlock(1)' 'libduende_mlock_preload(7)'; do
        file=$scripts/man/${page%(*}.${page#*(}
        file=${file%)}
        sed -n '/^\.Sh DIAGNOSTICS$/,/^\.Sh/p' "$file" | sed -n '/^\.Bl/,/^\.El/p' | sed '1d;$d' \
            >"$scratch/has"
        awk -v page="$page" -f "$here/diagnostics.awk" "$scratch/all" >"$scratch/wanted"
        expect "$page explains something" [ -s "$scratch/wanted" ]
        cmp -s "$scratch/has" "$scratch/wanted" || {
            echo "DIAGNOSTICS of $page is to have:"
            cat "$scratch/wanted"
        }
        expect "$page has under DIAGNOSTICS what is explained" cmp -s "$scratch/has" "$scratch/wanted"
    done
}

# What is said in the sources, with an X for what is put in: of each call one text is known.
test_sources() {
    python3 "$here/said.py" "$preload/preload.cpp" "$preload/threads.cpp" "$preload"/store/*.cpp \
        "$preload"/command/*.cpp >"$scratch/said"
    expect "the sources say something" [ "$(wc -l <"$scratch/said")" -gt 70 ]
    "$command" explain <"$scratch/said" >/dev/null 2>"$scratch/unknown"
    output=$(sed 's/^[^:]*: [^:]*: //' "$scratch/unknown")
    expect "each line that the sources can print is explained" [ -z "$output" ]
}

test_lines() {
    refused='not locked: mlockall(MCL_CURRENT) failed with EPERM: a seccomp filter refuses it; fix: x'
    mlock explain "$refused"
    expect "a line" [ "$status:$errors" = 0: ]
    expect "what to do" contains "$output" SystemCallFilter=@memlock
    expect "where it is from" contains "$output" 'libduende_mlock_preload(7), DIAGNOSTICS'
    bare=$output
    mlock explain "Nov 26 02:10:11 host nbd-server[7]: duende-mlock[7] nbd-server: $refused"
    expect "with what the journal puts before it" [ "$output" = "$bare" ]
    mlock explain "$refused" 'no such line' 'some of it is in swap'
    expect "one that is not known: 1" [ "$status" = 1 ]
    expect "is named" contains "$errors" 'nothing is known of this line: no such line'
    expect "and the others are explained" contains "$output" 'before it was locked'
    output=$(printf '%s\n\n  %s\n' "$refused" "$refused" | "$command" explain)
    status=$?
    expect "of stdin, each" [ "$status:$output" = "0:$bare
$bare" ]
    output=$("$command" explain </dev/null 2>&1)
    status=$?
    expect "nothing to explain: 1" [ "$status" = 1 ]
    mlock explain --all line
    expect "all, or some" [ "$status" = 2 ]
    mlock explain -- "$(printf 'a\033[31m')"
    expect "a terminal does not obey a line" lacks "$errors" "$(printf '\033')"
}

# The exact cause, where a line has several.
test_first() {
    while read -r wanted line; do
        mlock explain "$line"
        expect "$line: $wanted" contains "$output" "$wanted"
    done <<'LINES'
PrivateUsers=no x: not locked: mlockall(MCL_CURRENT) failed with ENOMEM: the address space (9 KiB) exceeds RLIMIT_MEMLOCK (64 KiB), and CAP_IPC_LOCK does not count: it is held only in a user namespace
limits.conf x: not locked: mlockall(MCL_CURRENT) failed with ENOMEM: the address space (9 KiB) exceeds RLIMIT_MEMLOCK (64 KiB), and CAP_IPC_LOCK is in the bounding set but not effective
RestrictRealtime=no x: REALTIME does not hold: sched_setscheduler(SCHED_RR) failed with EPERM: a seccomp filter refuses real-time policies; fix: RestrictRealtime=no
fdopen(3) x: store /a: through the page cache from now on: the daemon maps it to write
/proc/swaps kernel: INFO: task nbdkit:4711 blocked for more than 122 seconds.
RootDirectory= ERROR: ld.so: object 'a.so' from LD_PRELOAD cannot be preloaded (cannot open shared object file): ignored.
confirmed x: locked (2 MB): current and future, on-fault
LINES
}

run_tests test_manual test_sources test_lines test_first
finish
