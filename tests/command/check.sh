#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "check" names what is in the way, really being in each situation: privileges, limits, namespaces,
# swap devices. A finding a line, a fix in each that is not ok.
. "$(dirname "$0")/common.sh"
need_library
need_root
need_for_all_users
need setpriv unshare nbdkit bash

# check_in WORDS [OPERAND]: the command, started by WORDS
check_in() {
    # shellcheck disable=SC2086 # several words
    output=$($1 "$command" check --library "$library" ${2+"$2"} 2>&1)
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

# Units that do not run, where systemd would look for them: what they would start with is told by their
# files, and by nothing of this shell.
in_unit_folder="unshare -m $scratch/in-unit-folder $scratch/units"
# shellcheck disable=SC2016 # for the script
printf '%s\n' '#!/bin/sh' 'mount --bind "$1" /etc/systemd/system && shift && exec "$@"' \
    >"$scratch/in-unit-folder"
chmod +x "$scratch/in-unit-folder"
mkdir "$scratch/units"

# check_unit WORDS LINE...: a unit of these lines that preloads the library, by a shell started by WORDS
check_unit() {
    words=$1
    shift
    printf '%s\n' '[Service]' 'ExecStart=-/bin/cat' "Environment=LD_PRELOAD=$library" "$@" \
        >"$scratch/units/unit.service"
    check_in "$in_unit_folder $words" unit.service
}

test_unit() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    check_unit '' LimitMEMLOCK=infinity
    expect "a good unit" [ "$status" = 0 ]
    expect_finding "which preloads it" "ok    unit: unit.service preloads the library"
    expect_finding "its program" "ok    program: LD_PRELOAD reaches /bin/cat"
    expect_finding "its limit" "ok    limit: RLIMIT_MEMLOCK is unlimited"
    check_unit "$user" LimitMEMLOCK=infinity
    expect "whoever asks" [ "$status" = 0 ]
    check_unit "prlimit --memlock=0:0 $user"
    expect_finding "root has capabilities" "ok    capability: CAP_IPC_LOCK is effective, and counts"
    expect_finding "the library is tried" "ok    library: $library is loaded"
    check_unit "$bare"
    expect_finding "whatever is left to who asks" "ok    capability: CAP_IPC_LOCK is effective, and"
    check_unit '' "#Environment=LD_PRELOAD=$library" Environment=
    expect_finding "an empty one begins anew" "FAIL  unit: unit.service does not preload the library"
    printf '%s\n' '[Service]' 'ExecStart=/bin/cat' "#Environment=LD_PRELOAD=$library" \
        >"$scratch/units/unit.service"
    check_in "$in_unit_folder" unit.service
    expect_finding "a comment does not preload" "FAIL  unit: unit.service does not preload the library"
    expect "it will not work" [ "$status" = 1 ]
    check_unit '' ExecStart= ExecStart=/nowhere/daemon
    expect_finding "no program" "FAIL  program: unit.service starts /nowhere/daemon, which is not"
}

# The limit, and what may go beyond it
test_unit_limit() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    for pair in 64K:65536 64M:67108864 8M:infinity:raise 1G:1073741824 65536:65536 0:0; do
        check_unit '' User=nobody "LimitMEMLOCK=${pair%:*}"
        case $pair in
            *raise) expect_finding "$pair" "ok    limit: RLIMIT_MEMLOCK is 8388608 bytes, but the" ;;
            0:0) expect_finding "$pair" "FAIL  limit: RLIMIT_MEMLOCK is 0: " ;;
            *) expect_finding "$pair" "FAIL  limit: RLIMIT_MEMLOCK is ${pair#*:} bytes at most" ;;
        esac
    done
    check_unit '' User=nobody
    expect_finding "the default" "FAIL  limit: RLIMIT_MEMLOCK is 8388608 bytes at most"
    expect_finding "a user" "FAIL  capability: CAP_IPC_LOCK is in the bounding set, but not effective"
    check_unit '' User=nobody AmbientCapabilities=CAP_IPC_LOCK
    expect_finding "an ambient one" "ok    capability: CAP_IPC_LOCK is effective"
    check_unit '' User=nobody AmbientCapabilities=CAP_IPC_LOCK CapabilityBoundingSet=CAP_CHOWN
    expect_finding "outside the set" "FAIL  capability: CAP_IPC_LOCK is not in the bounding set"
    for set in CAP_CHOWN '~CAP_IPC_LOCK' ''; do
        check_unit '' "CapabilityBoundingSet=$set"
        expect_finding "root within '$set'" "FAIL  capability: CAP_IPC_LOCK is not in the bounding"
    done
    for set in 'CAP_CHOWN CAP_IPC_LOCK' '~CAP_CHOWN' '~'; do
        check_unit '' "CapabilityBoundingSet=$set"
        expect_finding "root within '$set'" "ok    capability: CAP_IPC_LOCK is effective, and counts"
    done
    check_unit '' CapabilityBoundingSet=CAP_CHOWN CapabilityBoundingSet=CAP_IPC_LOCK
    expect_finding "sets add up" "ok    capability: CAP_IPC_LOCK is effective, and counts"
    check_unit '' PrivateUsers=yes
    expect_finding "a namespace" "FAIL  capability: CAP_IPC_LOCK is effective in a user namespace"
    check_unit '' PrivateUsers=yes LimitMEMLOCK=infinity
    expect "where the limit is enough" [ "$status" = 0 ]
}

test_unit_surroundings() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    for filter in '~@memlock' '~mlockall' '~@system-service:EPERM' '@basic-io' \
        'read write:EPERM @file-system'; do
        check_unit '' "SystemCallFilter=$filter"
        expect_finding "$filter" "FAIL  seccomp: SystemCallFilter= of unit.service refuses mlockall"
        check_unit '' "SystemCallFilter=$filter" SystemCallFilter=@memlock
        expect_finding "$filter, extended" "ok    seccomp: no filter that is known to refuse mlockall"
    done
    for filter in @system-service '~@privileged' 'read mlockall:EPERM' ''; do
        check_unit '' "SystemCallFilter=$filter"
        expect_finding "'$filter'" "ok    seccomp: no filter that is known to refuse mlockall"
    done
    check_unit '' 'SystemCallFilter=~@memlock' SystemCallFilter=
    expect_finding "taken back" "ok    seccomp: no filter that is known to refuse mlockall"
    check_unit '' SystemCallFilter=@system-service 'SystemCallFilter=~@memlock @resources'
    expect_finding "taken out" "FAIL  seccomp: SystemCallFilter= of unit.service refuses mlockall"
    check_unit '' MemoryMax=32M
    expect_finding "a memory limit" "ok    memory: memory.max is 32768 KiB, which has to hold all"
    check_unit '' MemoryMax=infinity
    expect_finding "none" "ok    memory: no cgroup limits it"
}

# What a unit's program is really started with.
test_unit_environment() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    no="FAIL  unit: unit.service does not preload the library"
    yes="ok    unit: unit.service preloads the library"
    printf 'A=b\nLD_PRELOAD=/usr/lib/other.so\n' >"$scratch/units/environment"
    check_unit '' "EnvironmentFile=-$scratch/units/environment"
    expect_finding "a file counts for more" "$no; fix: name the library in LD_PRELOAD of $scratch/units/environment"
    printf '# comment\nLD_PRELOAD="%s"\n' "$library" >"$scratch/units/environment"
    check_unit '' Environment= "EnvironmentFile=$scratch/units/environment"
    expect_finding "a file names it" "$yes"
    check_unit '' EnvironmentFile="$scratch/units/environment" EnvironmentFile=
    expect_finding "a file that is taken back" "$yes"
    check_unit '' UnsetEnvironment=LD_PRELOAD
    expect_finding "taken away" "$no"
    check_unit '' "UnsetEnvironment=LD_PRELOAD=/other"
    expect_finding "another value taken away" "$yes"
    check_unit '' Environment=LD_PRELOAD=/usr/lib/other.so
    expect_finding "replaced" "$no"
    check_unit '' 'Environment="A=b c" "LD_PRELOAD=/no/such/%p/libduende_mlock_preload.so"'
    expect_finding "a specifier" "FAIL  unit: unit.service preloads /no/such/unit/libduende_mlock_preload.so, which is not there"
    check_unit '' RootDirectory=/no/such/root
    expect_finding "a root folder" "FAIL  program: unit.service starts /no/such/root/bin/cat, which is not there"
    expect_finding "a root folder" "FAIL  unit: unit.service preloads /no/such/root$library, which is not there"
}

# Where systemd runs, what it says counts, and not what is in the folders. Here one that says so.
test_systemd_is_asked() {
    mkdir "$scratch/asked" && cat >"$scratch/asked/systemctl" <<SYSTEMCTL
#!/bin/sh
case "\$*" in
    "cat --no-pager -- unit.service")
        printf '%s\n' '# /lib/systemd/system/unit.service' '[Service]' 'ExecStart=/bin/cat' \\
            LimitMEMLOCK=infinity PassEnvironment=LD_PRELOAD '' \\
            '# /etc/systemd/system/unit.service.d/50-duende-mlock.conf' '[Service]' LimitMEMLOCK=0
        ;;
    show-environment) echo "LD_PRELOAD=$library" ;;
    *) exit 1 ;;
esac
SYSTEMCTL
    # shellcheck disable=SC2016 # for the script
    printf '%s\n' '#!/bin/sh' 'mount -t tmpfs none /run && mkdir -p /run/systemd/system || exit 99' \
        'PATH=$1:$PATH && shift && exec "$@"' >"$scratch/where-systemd-runs"
    chmod +x "$scratch/asked/systemctl" "$scratch/where-systemd-runs"
    with="unshare -m $scratch/where-systemd-runs $scratch/asked"
    # shellcheck disable=SC2086 # several words
    $with true 2>/dev/null || return
    check_in "$with $bare" unit.service
    expect_finding "what systemd passes on" "ok    unit: unit.service preloads the library"
    expect_finding "its drop-in" "warn  limit: RLIMIT_MEMLOCK is 0"
    # shellcheck disable=SC2086 # several words
    output=$($with "$command" systemd --library "$library" unit 2>&1)
    expect "the drop-in is of a unit that is there" lacks "$output" "there is no unit"
}

# A server of swap, and where it keeps what it serves
test_store() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    behind="serves swap from a store behind the page cache"
    for line in 'nbdkit file /dev/sdx' '/usr/sbin/nbdkit -f /lib/nbdkit-file-plugin.so x' \
        'nbd-server -d' 'qemu-nbd -f raw x' 'qemu-nbd --cache=writeback x'; do
        check_unit '' Environment=DUENDE_MLOCK_PROFILE=swap-device ExecStart= "ExecStart=$line"
        expect_finding "$line" "warn  store: "
        expect "$line: why" contains "$output" "$behind"
    done
    for line in 'nbdkit memory 1M' 'qemu-nbd --cache=none x' 'qemu-nbd -t --cache none x' 'qemu-nbd -n x' \
        'redis-server file'; do
        check_unit '' Environment=DUENDE_MLOCK_PROFILE=swap-device ExecStart= "ExecStart=$line"
        expect "$line: nothing" lacks "$output" "$behind"
    done
    check_unit '' ExecStart= 'ExecStart=nbd-server -d'
    expect "none that serves no swap" lacks "$output" "$behind"
    check_unit '' Environment=DUENDE_MLOCK_PROFILE=swap-device ExecStart= 'ExecStart=nbd-server -d' \
        "Environment=LD_PRELOAD=$library:/lib/libduende_mlock_store.so DUENDE_MLOCK_STORE=/dev/sdx"
    expect_finding "with the second library" "ok    store: nbd-server keeps it past the page cache"
}

test_all_units() {
    # shellcheck disable=SC2086 # several words
    $in_unit_folder true 2>/dev/null || return
    printf '%s\n' '[Service]' 'ExecStart=/bin/cat' "Environment=LD_PRELOAD=$library" LimitMEMLOCK=infinity \
        >"$scratch/units/good.service"
    printf '%s\n' '[Service]' 'ExecStart=/bin/cat' >"$scratch/units/other.service"
    rm -f "$scratch/units/unit.service"
    check_in "$in_unit_folder" --all
    expect "each that preloads it" contains "$output" good.service
    expect "and no other" lacks "$output" other.service
    expect "all are good" [ "$status" = 0 ]
    printf '%s\n' '[Service]' 'ExecStart=/bin/cat' "Environment=LD_PRELOAD=/gone/${library##*/}" \
        >"$scratch/units/gone.service"
    check_in "$in_unit_folder" --all
    expect "one whose library is gone" [ "$status" = 1 ]
    expect "is named" contains "$output" "preloads /gone/${library##*/}, which is not there"
    rm "$scratch/units/good.service" "$scratch/units/gone.service" "$scratch/units/other.service"
}

# What runs may have been replaced, or not be this user's to look at.
test_other_process() {
    cp "$(command -v sed)" "$scratch/renewed" # cat may be one program of many names
    mkfifo "$scratch/input"
    LD_PRELOAD=$library DUENDE_MLOCK_LOG=off "$scratch/renewed" p <"$scratch/input" &
    server=$!
    exec 9>"$scratch/input"
    check_in '' "$server"
    expect_finding "a program" "ok    program: LD_PRELOAD reaches $scratch/renewed"
    rm "$scratch/renewed"
    check_in '' "$server"
    expect_finding "that was replaced" "ok    program: LD_PRELOAD reaches $scratch/renewed
"
    check_in "$user" "$server"
    expect_finding "of another user" "warn  program: that of $server cannot be read by this user; fix"
    expect_finding "which may be locked" "warn  process: what $server has loaded cannot be seen"
    exec 9>&-
    wait "$server"
    server=
    rm "$scratch/input"
    check_in '' 2
    kernel=$(sed -n 's/^Kthread:[[:space:]]*//p' /proc/2/status 2>/dev/null)
    [ "$kernel" != 1 ] || expect "a kernel thread" [ "$status" = 2 ]
}

# Processes that end while they are looked at, each a little later. They are bash's, which other than
# dash does not leave them as zombies meanwhile.
test_vanishing() {
    for time in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        # shellcheck disable=SC2016 # for bash
        output=$(bash -c 'sleep "$0" >/dev/null & "$@" $!' "$(printf '0.%02d' "$time")" \
            "$command" check --library "$library" 2>&1)
        expect "nothing but findings, or that there is no such process" [ -z "$(printf '%s\n' "$output" |
            grep -v -e '^ok ' -e '^warn ' -e '^FAIL ' -e '^duende-mlock: .*there is no such process' \
                -e '^duende-mlock: process [0-9]* has ended' -e '^Try: ')" ]
    done
}

run_tests test_vanishing test_privileges test_library_and_program test_process test_unit test_unit_limit \
    test_unit_surroundings test_unit_environment test_systemd_is_asked test_store test_all_units \
    test_other_process
finish
