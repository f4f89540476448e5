#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "status" agrees with /proc for 200 processes of which half are locked, in under two seconds; it
# sees what is locked how, and by whom, and its exit status says whether all is.
. "$(dirname "$0")/common.sh"
need jq pgrep seq
need_library

# Processes that live until the test lets go of the pipe they read from.
mkfifo "$scratch/life" "$scratch/ready"
exec 8<>"$scratch/life" 9<>"$scratch/ready"
started=''

# start [SETTING=VALUE...] PROGRAM [ARGUMENT...]: the PID is in $!; it has come to its main()
start() {
    env "$@" -c 'echo ready; read -r _' <&8 >&9 2>/dev/null &
    read -r _ <&9
    started="$started $!"
}

start_locked() {
    start LD_PRELOAD="$library" "$@"
}

end_all() {
    for process in $started; do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
    started=''
}
trap 'end_all; rm -rf "$scratch"' EXIT

# field PID KEY: from /proc/PID/status or smaps_rollup, in bytes
field() {
    awk -v key="$2:" '$1 == key { printf "%.0f", $2 * 1024 }' "/proc/$1/status" "/proc/$1/smaps_rollup"
}

# json PID KEY: from the output of status --json
json() {
    printf '%s' "$output" | jq -c ".[] | select(.pid == $1) | .$2"
}

# What the children that have ended took of the processors, in ticks of a hundredth of a second: proc(5).
# Unlike the time on the wall, it does not depend on what else the machine does.
children_time() {
    read -r _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ user system _ <"/proc/$$/stat"
    echo $((user + system))
}

test_two_hundred() {
    begin=$(children_time)
    # shellcheck disable=SC2086 # PIDs
    mlock status --json $started
    end=$(children_time)
    echo "200 processes in $((end - begin))0 ms"
    expect "it takes under two seconds of a processor" [ "$((end - begin))" -lt 200 ]
    expect "some are not locked" [ "$status" = 1 ]
    printf '%s' "$output" | jq -r '.[] | "\(.pid) \(.locked) \(.charged_bytes / 1024)"' >"$scratch/said"
    # shellcheck disable=SC2086 # PIDs
    expect "a summary" contains "$("$command" status $started)" "200 processes: 100 locked, 100 unlocked"
    expect "it tells of all" [ "$(wc -l <"$scratch/said")" = 200 ]
    while read -r process locked charged; do
        read -r _ kib _ <<VMLCK
$(grep VmLck "/proc/$process/status")
VMLCK
        [ "$kib" = 0 ] && wanted=false || wanted=true
        expect "$process is locked or not" [ "$locked $charged" = "$wanted $kib" ]
    done <"$scratch/said"
    for process in ${started##* } ${started%% *}; do
        for pair in resident_bytes:VmRSS locked_bytes:Locked swapped_bytes:VmSwap; do
            expect "${pair#*:} of $process" \
                [ "$(json "$process" "${pair%%:*}")" = "$(field "$process" "${pair#*:}")" ]
        done
    done
}

test_exit_status() {
    # shellcheck disable=SC2086
    set -- $started
    mlock status "$1"
    expect "a locked process: 0" [ "$status" = 0 ]
    mlock status "$1" "$2"
    expect "one of two: 1" [ "$status" = 1 ]
    mlock status 999999999
    expect "no such process: 1" [ "$status" = 1 ]
    expect "it says so" contains "$output" gone
    mlock status no-such-name
    expect "no such name: 1" [ "$status" = 1 ]
    expect "nothing on stdout" [ -z "$output" ]
    mlock status --json no-such-name
    expect "an empty array" [ "$(printf '%s' "$output" | jq -c .)" = '[]' ]
    mlock status
    expect "without operands, those with the library" contains "$output" "$1 "
    expect "and no other" lacks "$output" "
$2 "
    expect "all of which are locked: 0" [ "$status" = 0 ]
    mlock status --prometheus "$1" "$2"
    expect "metrics: locked" has_line "$output" "duende_mlock_locked{pid=\"$1\",name=\"dash\"} 1"
    expect "metrics: not locked" \
        has_line "$output" "duende_mlock_locked{pid=\"$2\",name=\"dash\"} 0"
}

test_kinds() {
    start_locked DUENDE_MLOCK_FUTURE=1 dash
    mlock status --json "$!"
    expect "by the library" [ "$(json $! locked_by)" = '"library"' ]
    expect "LD_PRELOAD" [ "$(json $! ld_preload)$(json $! library_loaded)" = truetrue ]
    expect "on-fault" [ "$(json $! on_fault)$(json $! future)" = '"yes"true' ]
    expect "no IO flusher" [ "$(json $! io_flusher_threads)$(json $! threads)" = 01 ]
    start_locked DUENDE_MLOCK_ONFAULT=0 dash
    mlock status --json "$!"
    expect "populated" [ "$(json $! on_fault)" = '"no"' ]
    start_locked DUENDE_MLOCK_CURRENT=0 DUENDE_MLOCK_FUTURE=0 dash
    mlock status --json "$!"
    expect "loaded, but told not to lock" \
        [ "$(json $! library_loaded)$(json $! locked)$(json $! locked_by)" = truefalsenull ]
    start LD_PRELOAD="/nowhere/${library##*/}" dash
    mlock status "$!"
    expect "not loaded" contains "$output" "LD_PRELOAD names the library, but it is not loaded"
    start dash
    mlock status --json "$!"
    expect "not preloaded" [ "$(json $! ld_preload)$(json $! library_loaded)" = falsefalse ]
}

# What comes to be mapped after current memory only was locked shows that the future is not.
test_future() {
    env LD_PRELOAD="$library" DUENDE_MLOCK_FUTURE=0 DUENDE_MLOCK_LOG=off \
        awk 'BEGIN { for (i = 0; i < 200000; i++) a[i] = i; print "ready"; fflush(); getline }' \
        <&8 >&9 &
    started="$started $!"
    read -r _ <&9
    mlock status --json "$!"
    expect "the future is not locked" [ "$(json $! future)$(json $! state)" = 'false"partly"' ]
    expect "which is not locked" [ "$status" = 1 ]
}

# What is left out by policy is neither "partly" nor hidden. The command stands for a data file.
test_data_file() {
    if ! may_lock || ! command -v python3 >/dev/null; then
        echo "without a data file: it takes python3 and CAP_IPC_LOCK"
        return
    fi
    for setting in code all; do
        env LD_PRELOAD="$library" DUENDE_MLOCK_FUTURE=1 DUENDE_MLOCK_FILES="$setting" \
            DUENDE_MLOCK_LOG=off python3 -c '
import mmap, sys
file = open(sys.argv[1], "rb")
data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
sum(data[at] for at in range(0, len(data), mmap.PAGESIZE))
print("ready", flush=True)
input()' "$command" <&8 >&9 2>/dev/null &
        started="$started $!"
        read -r _ <&9
        mlock status --json "$!"
        expect "FILES=$setting: all that could be swapped is locked, now and in future" \
            [ "$(json $! state)$(json $! future)$status" = '"locked"true0' ]
        evictable=$(json "$!" evictable_bytes)
        mlock status "$!"
        if [ "$setting" = code ]; then
            expect "the file is counted: $evictable" [ "$evictable" -ge "$(stat -Lc %s "$command")" ]
            expect "the file is told of" contains "$output" "files that it maps stay evictable"
        else
            expect "the file is locked" [ "$evictable" = 0 ]
            expect "there is nothing to tell" lacks "$output" evictable
        fi
    done
}

test_children() {
    env LD_PRELOAD="$library" dash -c 'dash -c "echo ready; read -r _"; true' <&8 >&9 2>/dev/null &
    parent=$!
    read -r _ <&9
    mlock status "$parent"
    expect "a locked child counts" contains "$output" 1/1
    expect "all are locked" [ "$status" = 0 ]
    child=$(pgrep -P "$parent")
    started="$started $child $parent"
    env LD_PRELOAD="$library" dash -c 'env -u LD_PRELOAD dash -c "echo ready; read -r _"; true' \
        <&8 >&9 2>/dev/null &
    parent=$!
    read -r _ <&9
    mlock status --json "$parent"
    expect "an unlocked child makes it fail" [ "$status" = 1 ]
    expect "and is named" [ "$(json "$parent" 'children[0].locked')" = false ]
    mlock status --no-children "$parent"
    expect "unless it is not to count" [ "$status" = 0 ]
    started="$started $(pgrep -P "$parent") $parent"
}

# What may not be seen does not count as locked.
test_unknown() {
    command -v setpriv >/dev/null && [ "$(id -u)" = 0 ] || return
    start_locked dash
    user='setpriv --reuid=65534 --regid=65534 --clear-groups'
    # shellcheck disable=SC2086 # several words
    output=$($user "$command" status --json "$!")
    status=$?
    expect "unknown is not locked" [ "$status" = 1 ]
    expect "it is a state" [ "$(json $! state)$(json $! locked)" = '"unknown"null' ]
    # shellcheck disable=SC2086 # several words
    output=$($user "$command" status "$!")
    expect "and in the table" contains "$output" " unknown "
    mlock status --quiet "$!"
    expect "the exit status alone" [ "$status:$output" = 0: ]
}

# What a running daemon has mapped, and what is installed under that name since.
test_build() {
    installed=$scratch/${library##*/}
    cp "$library" "$installed"
    start LD_PRELOAD="$installed" dash
    mlock status --json "$!"
    build=$(json $! library_build)
    expect "a build id" [ "${#build}" = 42 ]
    expect "the one installed" [ "$(json $! library_outdated)" = false ]
    # Another build: one byte of the id, behind the name of its note.
    cp "$library" "$installed.new"
    at=$(grep -obUa GNU "$installed.new" | head -n 1)
    printf '\377\376' | dd of="$installed.new" bs=1 seek=$((${at%%:*} + 4)) conv=notrunc 2>/dev/null
    mv "$installed.new" "$installed"
    mlock status --json "$!"
    expect "another is installed" [ "$(json $! library_outdated)" = true ]
    expect "what is mapped is the same" [ "$(json $! library_build)" = "$build" ]
    mlock status "$!"
    expect "a note of it" contains "$output" "runs another build of the library than the one installed"
    expect "locked all the same" [ "$status" = 0 ]
    mlock status --prometheus "$!"
    expect "a metric" has_line "$output" \
        "duende_mlock_library_outdated{pid=\"$!\",name=\"dash\"} 1"
    rm "$installed"
    mlock status --json "$!"
    expect "none is installed" [ "$(json $! library_outdated)" = null ]
    start dash
    mlock status --json "$!"
    expect "a process without it" [ "$(json $! library_build)$(json $! library_outdated)" = nullnull ]
}

# Names that would break JSON, metrics or a terminal
test_names() {
    dash=$(command -v dash)
    number=0
    for name in 'a"b\c' "$(printf 'a\nb\033[31m')" "$(printf 'a\377\303\251')" ') S 1 (' \
        '{},:[]' "$(printf 'a\\nb')"; do
        number=$((number + 1))
        ln -sf "$dash" "$scratch/$name"
        start_locked "$scratch/$name"
        mlock status --json "$!"
        case $number in
            3) wanted=$(printf 'a\357\277\275\303\251') ;;
            *) wanted=$name ;;
        esac
        expect "JSON has name $number" [ "$(json $! name | jq -r .)" = "$wanted" ]
        expect "what follows the name is read" [ "$(json $! locked)$(json $! threads)" = true1 ]
        mlock status "$!"
        expect "the table is of two lines" [ "$(printf '%s\n' "$output" | wc -l)" = 2 ]
        expect "and has no escapes" lacks "$output" "$(printf '\033')"
        mlock status "$name"
        expect "it is found by name" [ "$status" = 0 ]
        mlock status --prometheus "$!"
        expect "metrics have one line for it" \
            [ "$(printf '%s\n' "$output" | grep -c '^duende_mlock_locked{')" = 1 ]
    done
    expect "metrics end well" contains "$output" "$(printf 'name="a\\\\nb"} 1')"
}

# Processes that come and go while they are looked at
test_vanishing() {
    (while [ -e "$scratch/ready" ]; do /bin/true; /bin/true; done) &
    churn=$!
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        # shellcheck disable=SC2046 # PIDs
        mlock status --json $(cd /proc && echo [0-9]*)
        expect "nothing is said of what is gone: $errors" [ -z "$errors" ]
        expect "the JSON is whole" \
            [ "$(printf '%s' "$output" | jq 'map(.state) - ["locked", "partly", "unlocked", "unknown",
                "gone", "zombie", "kernel"] | length')" = 0 ]
    done
    kill "$churn"
    wait "$churn" 2>/dev/null
}

for _ in $(seq 100); do
    start_locked dash
    start dash
done
run_tests test_two_hundred test_exit_status
end_all
for test in test_kinds test_future test_data_file test_children test_unknown test_build test_names test_vanishing; do
    run_tests "$test"
    end_all
done
finish
