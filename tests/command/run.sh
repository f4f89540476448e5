#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "run" starts the command in its own place: same PID, arguments, environment and exit status, with
# the library first in LD_PRELOAD and the settings in the environment.
. "$(dirname "$0")/common.sh"
need_library

# A program that says all there is to say of how it was started.
probe=$scratch/probe
cat >"$probe" <<'PROBE'
#!/bin/sh
echo "pid $$"
echo "preload ${LD_PRELOAD%:}"
for argument; do echo "argument <$argument>"; done
grep VmLck /proc/self/status
env | sort | sed -n 's/^DUENDE/setting DUENDE/p'
exit "${PROBE_STATUS-0}"
PROBE
chmod +x "$probe"

run() {
    mlock run --library "$library" "$@"
}

test_place() {
    "$command" run --library "$library" "$probe" >"$scratch/output" 2>"$scratch/errors" &
    wait $!
    status=$? output=$(cat "$scratch/output") errors=$(cat "$scratch/errors")
    expect "the PID stays" has_line "$output" "pid $!"
    run "$probe" 'a b' '' "c
d" -x
    expect "arguments arrive" contains "$output" "argument <a b>
argument <>
argument <c
d>
argument <-x>"
    for number in 0 1 2 77 125; do
        PROBE_STATUS=$number
        export PROBE_STATUS
        run "$probe"
        expect "the exit status is the command's" [ "$status" = "$number" ]
    done
    unset PROBE_STATUS
}

test_lock() {
    run "$probe"
    expect "memory is locked" lacks "$output" "	       0 kB"
    expect "LD_PRELOAD is the library" has_line "$output" "preload $library"
    environment=LD_PRELOAD=libm.so.6
    run "$probe"
    expect "what LD_PRELOAD held stays" has_line "$output" "preload $library:libm.so.6"
    environment=LD_PRELOAD=libm.so.6:$library
    run "$probe"
    expect "the library is there once" has_line "$output" "preload libm.so.6:$library"
    environment=DUENDE_MLOCK_LIBRARY=$library
    mlock run "$probe"
    expect "the variable names the library" has_line "$output" "preload $library"
    expect "the variable goes no further" lacks "$output" DUENDE_MLOCK_LIBRARY
    environment=
    mkdir -p "$scratch/lib" && cp "$library" "$scratch/lib/" && cd "$scratch/lib" || exit
    mlock run --library "${library##*/}" "$probe"
    expect "a relative library is made absolute" \
        has_line "$output" "preload $scratch/lib/${library##*/}"
    cp "$command" "$library" "$scratch/lib/"
    output=$("$scratch/lib/${command##*/}" run "$probe" 2>&1)
    expect "the library beside the command is found" \
        has_line "$output" "preload $scratch/lib/${library##*/}"
    cd "$here" || exit
}

# The daemon's environment is as it was, even for names that this or another script could use.
test_environment() {
    names='status=1 name=2 file=3 library=4 reason=5 command=6 value=7 output=8 shell=9 size=10'
    # shellcheck disable=SC2086
    env -i PATH="$PATH" HOME=/ $names "$command" run --library "$library" --log off env |
        sort | grep -v -e '^_=' -e '^PWD=' -e '^SHLVL=' -e '^OLDPWD=' >"$scratch/after"
    # shellcheck disable=SC2086
    env -i PATH="$PATH" HOME=/ $names LD_PRELOAD="$library" DUENDE_MLOCK_LOG=off env |
        sort >"$scratch/expected"
    output=$(diff "$scratch/expected" "$scratch/after")
    expect "nothing else in the environment changes" [ -z "$output" ]
}

test_settings() {
    run --swap-device --populate --no-current --no-future --no-raise-limit --no-io-flusher \
        --realtime 7 --only=a:b --fork full --log=off --thread-stack 256K --arenas 2 \
        --best-effort --no-required -- env
    for setting in REQUIRED=0 PROFILE=swap-device ONFAULT=0 CURRENT=0 FUTURE=0 RAISE_LIMIT=0 \
        IO_FLUSHER=0 REALTIME=7 ONLY=a:b FORK=full LOG=off THREAD_STACK=256K ARENAS=2; do
        expect "$setting is set" has_line "$output" "DUENDE_MLOCK_$setting"
    done
    # Each alone, whatever the library can do here.
    for pair in --no-required:REQUIRED=0 --swap-device:PROFILE=swap-device \
        --populate:ONFAULT=0 --on-fault:ONFAULT=1 --current:CURRENT=1 --no-current:CURRENT=0 \
        --future:FUTURE=1 --no-future:FUTURE=0 --raise-limit:RAISE_LIMIT=1 \
        --no-raise-limit:RAISE_LIMIT=0 --io-flusher:IO_FLUSHER=1 --no-io-flusher:IO_FLUSHER=0 \
        --realtime=5:REALTIME=5 --only=env:ONLY=env --only='a b':ONLY='a b' --fork=off:FORK=off \
        --log=debug:LOG=debug --thread-stack=1M:THREAD_STACK=1M --arenas=1:ARENAS=1; do
        run "${pair%%:*}" env
        expect "${pair%%:*} sets ${pair#*:}" has_line "$output" "DUENDE_MLOCK_${pair#*:}"
    done
}

# The library's own table of variables, where the source is there
test_all_variables() {
    table=$here/../../preload/variables.inc
    [ -r "$table" ] || return
    mlock run --help
    names=$(sed -n 's/^VARIABLE(\([A-Z_]*\),.*/\1/p' "$table")
    for name in $names; do
        case $name in
            PROFILE) option=--swap-device ;;
            ONFAULT) option=--on-fault ;;
            STORE) continue ;; # of the second library
            *) option=$(printf '%s' "$name" | tr 'A-Z_' 'a-z-') ;;
        esac
        expect "there is an option for $name" contains "$output" "$option"
    done
}

# The second library, before which there is the first
test_store() {
    find_store_library || return
    environment=LD_PRELOAD=libm.so.6
    run --store /dev/sdx:/srv/disk env
    environment=
    expect "both are preloaded" contains "$output" "LD_PRELOAD=$library:$store:libm.so.6"
    expect "the variable" has_line "$output" "DUENDE_MLOCK_STORE=/dev/sdx:/srv/disk"
    environment=DUENDE_MLOCK_STORE=/srv/disk
    run env
    expect "the variable is enough" contains "$output" "LD_PRELOAD=$library:$store"
    environment=
    cp "$library" "$scratch/${library##*/}"
    mlock run --library "$scratch/${library##*/}" --store /srv/disk env
    expect "without it: not started" [ "$status:$output" = 125: ]
    expect "and why" contains "$errors" "its store would stay behind the page cache: there is no library $scratch/"
    cc -static -o "$scratch/static" "$here/filter.c" 2>/dev/null || return
    run --store /srv/disk "$scratch/static" refuse true
    expect "what it does not reach: not started" [ "$status" = 125 ]
    expect "and why" contains "$errors" "is linked statically"
    run --best-effort --store /srv/disk "$scratch/static" refuse true
    expect "but in best effort, with a warning" [ "$status" = 0 ]
    expect "a warning" contains "$errors" "its store would stay behind the page cache"
}

test_not_there() {
    run no-such-command-anywhere
    expect "not found is 127" [ "$status" = 127 ]
    run "$scratch/missing"
    expect "a path not found is 127" [ "$status" = 127 ]
    run "$scratch"
    expect "a folder is 126" [ "$status" = 126 ]
    : >"$scratch/plain"
    run "$scratch/plain"
    expect "not executable is 126" [ "$status" = 126 ]
    run "$scratch/no
such$(printf '\033')[31m"
    expect "names are printed without control characters" \
        contains "$errors" "$scratch/no?such?[31m: not found"
}

run_tests test_place test_lock test_environment test_settings test_all_variables test_store \
    test_not_there
finish
