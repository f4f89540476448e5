#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What is there for monitoring, by the real things: promtool checks and tests the alert rules; node
# exporter and Prometheus scrape the metrics of two daemons, and the alert fires for the one that was
# started without the library; each query of the dashboard is answered.
. "$(dirname "$0")/../command/common.sh"
need jq promtool prometheus prometheus-node-exporter python3
need_library
monitoring=$(cd "$here/../../scripts/monitoring" && pwd)

mkfifo "$scratch/life" "$scratch/ready" "$scratch/tick"
exec 8<>"$scratch/life" 9<>"$scratch/ready"
started=''
end_all() {
    for process in $started; do
        kill "$process" 2>/dev/null
        wait "$process" 2>/dev/null
    done
}
trap 'end_all; rm -rf "$scratch"' EXIT

# until_true COMMAND...: it succeeds, within half a minute; it is polled, as neither of them tells
until_true() {
    deadline=$(($(date +%s) + 30))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        timeout 0.2 cat "$scratch/tick" # which nothing is written to
    done
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# daemon NAME [VARIABLE=VALUE...]: one that waits, by the kernel's name NAME
daemon() {
    name=$1
    shift
    ln -sf "$(command -v dash)" "$scratch/$name"
    env "$@" DUENDE_MLOCK_LOG=error "$scratch/$name" -c 'echo ready; read -r _' <&8 >&9 &
    started="$started $!"
    read -r _ <&9
}

# query EXPRESSION: what Prometheus answers
query() {
    promtool query instant "http://$prometheus" "$1"
}

# answers EXPRESSION TEXT: what it answers holds the text
answers() {
    contains "$(query "$1" 2>&1)" "$2"
}

test_rules() {
    output=$(promtool check rules "$monitoring/alerts.yml" 2>&1)
    status=$?
    expect "promtool has nothing against the rules" [ "$status" = 0 ]
    output=$(promtool test rules "$here/rules.yml" 2>&1)
    status=$?
    expect "each alert fires when it is to" [ "$status" = 0 ]
    sed -n 's/^ *- alert: //p' "$monitoring/alerts.yml" >"$scratch/names"
    while read -r alert; do
        expect "$alert is tested" grep -q "alertname: $alert\$" "$here/rules.yml"
    done <"$scratch/names"
    for part in summary action; do
        expect "each has its $part" [ "$(grep -c "^ *$part: " "$monitoring/alerts.yml")" = \
            "$(grep -c '^ *- alert: ' "$monitoring/alerts.yml")" ]
    done
}

test_units() {
    command -v systemd-analyze >/dev/null || return
    mkdir "$scratch/units"
    cp "$monitoring/duende-mlock-metrics.timer" "$scratch/units"
    sed "s|@COMMAND@|$command|" "$monitoring/duende-mlock-metrics.service" \
        >"$scratch/units/duende-mlock-metrics.service"
    output=$(systemd-analyze verify --man=no "$scratch"/units/* 2>&1 | grep duende-mlock-metrics)
    expect "systemd-analyze finds nothing in the units" [ -z "$output" ]
}

# As the service and the timer do; the alerts without their patience.
start_everything() {
    daemon mlock-with LD_PRELOAD="$library" DUENDE_MLOCK_FILES=all
    daemon mlock-without
    mkdir "$scratch/textfile"
    mlock status --prometheus --output "$scratch/textfile/duende_mlock.prom" mlock-with mlock-without
    expect "the metrics of both" [ "$status:$output$errors" = 1: ]
    expect "nothing beside them" [ "$(ls -A "$scratch/textfile")" = duende_mlock.prom ]
    exporter=127.0.0.1:$(free_port) prometheus=127.0.0.1:$(free_port)
    prometheus-node-exporter --web.listen-address="$exporter" --collector.disable-defaults \
        --collector.textfile --collector.textfile.directory="$scratch/textfile" --collector.stat \
        --collector.meminfo --collector.vmstat 2>"$scratch/exporter.log" &
    started="$started $!"
    sed 's/^\( *for: \).*/\10s/' "$monitoring/alerts.yml" >"$scratch/alerts.yml"
    cat >"$scratch/prometheus.yml" <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [$scratch/alerts.yml]
scrape_configs:
  - {job_name: node, static_configs: [{targets: ["$exporter"]}]}
YAML
    prometheus --config.file="$scratch/prometheus.yml" --web.listen-address="$prometheus" \
        --storage.tsdb.path="$scratch/tsdb" --log.level=warn 2>"$scratch/prometheus.log" &
    started="$started $!"
}

test_alerts() {
    firing='ALERTS{alertstate="firing"}'
    until_true answers "$firing" 'name="mlock-without"'
    output=$(query "$firing" 2>&1)
    expect "an alert for the one without the library" contains "$output" 'name="mlock-without"'
    expect "it is that one" contains "$output" 'alertname="DuendeMlockUnlocked"'
    expect "none for the one with it" lacks "$output" 'name="mlock-with"'
    expect "no other" [ "$(printf '%s\n' "$output" | grep -c alertname)" = 1 ]
    expect "whose state is known" answers 'duende_mlock_state{name="mlock-with"}' 'state="locked"'
}

test_dashboard() {
    dashboard=$monitoring/dashboard.json
    expect "panels do not share a number" \
        jq -e '[.panels[].id] | length == (unique | length)' "$dashboard" >"$scratch/jq"
    promtool query series --match '{__name__=~".+"}' "http://$prometheus" |
        sed -n 's/.*__name__="\([^"]*\)".*/\1/p' | sort -u >"$scratch/names"
    jq -r '.panels[].targets[].expr' "$dashboard" >"$scratch/queries"
    expect "it has queries" [ "$(wc -l <"$scratch/queries")" -gt 10 ]
    sed -n 's/^ *expr: //p' "$monitoring/alerts.yml" >>"$scratch/queries"
    while read -r line; do
        # As Grafana fills it in
        # shellcheck disable=SC2016  # Grafana's variables
        errors=$(query "$(printf '%s' "$line" |
            sed 's/\$__rate_interval/1m/g; s/\$instance/.+/g')" 2>&1 >/dev/null)
        expect "is answered: $line" [ -z "$errors" ]
        for name in $(printf '%s' "$line" | grep -oE '\b(duende_mlock|node)_[a-z_A-Z]+'); do
            expect "$name exists" grep -qx "$name" "$scratch/names"
        done
    done <"$scratch/queries"
}

run_tests test_rules test_units
start_everything
run_tests test_alerts test_dashboard
errors=$(cat "$scratch"/*.log)
finish
