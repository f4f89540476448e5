#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# The README's command lines as they stand there, with this build's library and command in place of
# the installed ones, and nbdkit on a socket of its own.
. "$(dirname "$0")/common.sh"
need_library
need_root
need nbdkit

cat >"$scratch/nbdkit" <<NBDKIT
#!/bin/sh
exec $(command -v nbdkit) --unix "\$PLACE/socket" --pidfile "\$PLACE/pid" "\$@"
NBDKIT
cat >"$scratch/duende-mlock" <<COMMAND
#!/bin/sh
DUENDE_MLOCK_LIBRARY=$library exec "$command" "\$@"
COMMAND
chmod +x "$scratch/nbdkit" "$scratch/duende-mlock"
PATH=$scratch:$PATH
daemon=
trap '[ -z "$daemon" ] || kill "$daemon"; rm -rf "$scratch"' EXIT

# line BEGINNING: the README's that begins like this
line() {
    "$here/../readme_block" sh "^$1|
$1" | grep "^$1" | sed "s|/usr/local/lib/libduende_mlock_preload.so|$library|"
}

# serve LINE: nbdkit, started by it; its PID in daemon
serve() {
    PLACE=$(mktemp -d "$scratch/place.XXXXXX")
    export PLACE
    sh -c "$1" 2>"$scratch/errors"
    status=$? errors=$(cat "$scratch/errors") tries=100
    # The one that was started ends before the one that serves is ready.
    until [ -s "$PLACE/pid" ] || [ $((tries -= 1)) = 0 ]; do sleep 0.1; done
    expect "$1: starts" [ -s "$PLACE/pid" ]
    daemon=$(cat "$PLACE/pid")
    expect "$1: says so" contains "$errors" ": locked ("
    expect "$1: is locked" [ "$(vmlck)" -gt 0 ]
}

vmlck() {
    sed -n 's/^VmLck:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status"
}

end_daemon() {
    kill "$daemon"
    daemon=
}

# say LINE: runs it; output, errors and status
say() {
    output=$(sh -c "$1" 2>"$scratch/errors")
    status=$? errors=$(cat "$scratch/errors")
}

test_preload() {
    serve "$(line LD_PRELOAD=)"
    end_daemon
}

test_command() {
    serve "$(line 'duende-mlock run')"
    say "$(line 'duende-mlock status')"
    expect "status: has it" contains "$output" "$daemon"
    say "$(line 'duende-mlock check')"
    expect "check: has an answer" [ "$status" -lt 2 ]
    expect "check: the program" contains "$output" "LD_PRELOAD reaches"
    end_daemon
    say "$(line 'duende-mlock docker')"
    expect "docker: a Dockerfile" contains "$output" "FROM debian:12"
    say "$(line 'duende-mlock kubernetes')"
    expect "kubernetes: a manifest" contains "$output" "kind: "
}

# In an image, as it would change this machine.
test_systemd() {
    root=$scratch/root
    mkdir -p "$root/usr/lib/systemd/system" "$root/usr/local/lib"
    cp "$library" "$root/usr/local/lib/"
    printf '[Service]\nExecStart=/usr/bin/nbd-server\n' >"$root/usr/lib/systemd/system/nbd-server.service"
    command_line=$(line 'duende-mlock systemd')
    say "${command_line%%#*} --root $root --library /usr/local/lib/${library##*/}"
    expect "systemd: installs it" [ "$status" = 0 ]
    expect "systemd: where it belongs" \
        grep -q '^Environment=.*LD_PRELOAD=' "$root"/etc/systemd/system/nbd-server.service.d/*.conf
}

test_preload
test_command
test_systemd
finish
