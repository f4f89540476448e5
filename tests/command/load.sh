#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "attach" and "unlock", many times, while a program works for all it can: nothing that it does goes
# wrong, and no signal is lost.
#
# load.sh [TIMES [PROGRAM...]]: of signals, go, java, redis, postgresql
. "$(dirname "$0")/common.sh"
need_root
times=${1-200}
[ $# -lt 1 ] || shift
PATH=$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin)
mkfifo "$scratch/in" "$scratch/out"
started=''
trap '[ -z "$started" ] || kill $started 2>/dev/null; rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

without() {
    echo "without $1: there is no $2 here"
}

# attach_often PROGRAM PID [OPTION]
attach_often() {
    program=$1 wrong=0 count=0
    while [ "$count" -lt "$times" ] && kill -0 "$2"; do
        count=$((count + 1))
        mlock attach ${3+"$3"} "$2"
        [ "$status" = 0 ] && contains "$errors" ': locked (' || wrong=$((wrong + 1)) last=$errors
        mlock unlock ${3+"$3"} "$2"
        [ "$status" = 0 ] && lacks "$errors" 'not ' || wrong=$((wrong + 1)) last=$errors
    done
    errors=${last-}
    expect "$program: attached $times times" [ "$count:$wrong" = "$times:0" ]
}

# works_on PROGRAM COMMAND...: until its stdin ends; then it says whether all went well
works_on() {
    program=$1
    shift
    "$@" <"$scratch/in" >"$scratch/out" 2>&1 &
    started=$!
    exec 8>"$scratch/in" 9<"$scratch/out"
    read -r output <&9
    expect "$program: begins" [ "$output" = ready ]
    attach_often "$program" "$started"
    exec 8>&-
    output=$(cat <&9)
    wait "$started"
    expect "$program: ends well" [ "$?:$output" = 0:ok ]
    started=''
    exec 9<&-
}

test_signals() {
    command -v cc >/dev/null || { without signals cc && return; }
    cc -O1 -pthread -o "$scratch/signals" "$here/load/signals.c" || skip "signals.c cannot be built"
    works_on signals "$scratch/signals"
}

test_go() {
    command -v go >/dev/null || { without go go && return; }
    GOCACHE=$scratch/cache GO111MODULE=off CGO_ENABLED=0 \
        go build -o "$scratch/go" "$here/load/load.go" || skip "load.go cannot be built"
    works_on go "$scratch/go"
}

test_java() {
    command -v javac >/dev/null || { without java javac && return; }
    javac -d "$scratch" "$here/load/Load.java" || skip "Load.java cannot be built"
    works_on java java -Xmx64m -XX:-UsePerfData -cp "$scratch" Load
}

# until_told COMMAND...: again and again, as long as it succeeds; how often is in rounds
until_told() {
    (
        rounds=0
        while [ ! -e "$scratch/enough" ] && "$@" >"$scratch/said" 2>&1; do
            rounds=$((rounds + 1))
            echo "$rounds" >"$scratch/rounds"
        done
        [ -e "$scratch/enough" ]
    ) &
    load=$!
}
end_load() {
    : >"$scratch/enough"
    wait "$load"
    status=$? output=$(cat "$scratch/said")
    rm "$scratch/enough"
    rounds=$(cat "$scratch/rounds")
}

# await COMMAND...: what is started has to answer
await() {
    tries=1000
    until "$@" >"$scratch/said" 2>&1 || [ $((tries -= 1)) = 0 ]; do :; done
}

test_redis() {
    command -v redis-benchmark >/dev/null || { without redis redis-benchmark && return; }
    redis-server --port 0 --unixsocket "$scratch/redis" --save '' --daemonize no >"$scratch/log" 2>&1 &
    started=$!
    await redis-cli -s "$scratch/redis" ping
    until_told redis-benchmark -s "$scratch/redis" -q -n 5000 -c 10 -t incr
    attach_often redis "$started"
    end_load
    expect "redis: no error" [ "$status" = 0 ]
    output=$(redis-cli -s "$scratch/redis" get counter:__rand_int__)
    expect "redis: counts all of $rounds rounds" [ "$output" = $((rounds * 5000)) ]
    kill "$started"
    wait "$started"
    started=''
}

# By the capability, as its limit is what it may be anywhere.
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups \
    --inh-caps=+ipc_lock --ambient-caps=+ipc_lock env -C $scratch"

# shellcheck disable=SC2086 # several words
test_postgresql() {
    command -v postgres >/dev/null || { without postgresql postgres && return; }
    mkdir "$scratch/db" && chown postgres "$scratch/db"
    $as_postgres initdb -D "$scratch/db" >"$scratch/log" 2>&1 || skip "initdb: $(tail -n 1 "$scratch/log")"
    $as_postgres postgres -D "$scratch/db" -k "$scratch/db" -h '' >"$scratch/log" 2>&1 &
    started=$!
    await $as_postgres pgbench -h "$scratch/db" -q -i postgres
    until_told $as_postgres pgbench -n -h "$scratch/db" -c 4 -t 100 postgres
    attach_often postgresql "$started" --tree
    end_load
    expect "postgresql: no error" [ "$status" = 0 ]
    expect "postgresql: none has failed" contains "$output" 'number of failed transactions: 0'
    output=$($as_postgres psql -h "$scratch/db" -At postgres -c '
        select count(*) = '"$rounds"' * 400 and sum(delta) = (select sum(abalance) from pgbench_accounts)
            and sum(delta) = (select sum(bbalance) from pgbench_branches)
            and sum(delta) = (select sum(tbalance) from pgbench_tellers)
        from pgbench_history')
    expect "postgresql: each of $rounds rounds, and all sums" [ "$output" = t ]
    kill -INT "$started"
    wait "$started"
    started=''
}

[ $# -gt 0 ] || set -- signals go java redis postgresql
for program; do
    "test_$program"
    echo "$program: attached ${count-0} times"
done
finish
