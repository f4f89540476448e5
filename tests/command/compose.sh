#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck disable=SC2016 # dollar signs are meant
# "compose" and "podman" print what their programs take: where those are, in their own opinion.
. "$(dirname "$0")/common.sh"
need_library
need python3
python3 -c 'import yaml' 2>/dev/null || skip "python3 has no yaml module here"

cat >"$scratch/examine.py" <<'EXAMINE'
import sys, yaml

library, capabilities, score, settings = sys.argv[1:]
[(name, service)] = yaml.safe_load(sys.stdin)["services"].items()
assert name == "server"
assert service["cap_add"] == capabilities.split()
assert service["ulimits"]["memlock"] == {"soft": -1, "hard": -1}
assert service["oom_score_adj"] == int(score)
[volume] = service["volumes"]
path = "/usr/local/lib/libduende_mlock_preload.so"
assert volume == library + ":" + path + ":ro", volume
environment = service["environment"]
assert environment.pop("LD_PRELOAD") == path
assert environment == dict(word.split("=", 1) for word in settings.split("|") if word), environment
EXAMINE

# examine EXPECTED...: the output
examine() {
    errors=$errors$(printf '%s\n' "$output" | python3 "$scratch/examine.py" "$library" "$@" 2>&1)
    expect "the override is as expected: $*" [ -z "$errors" ]
}

test_compose() {
    mlock compose --library "$library" server
    examine IPC_LOCK -900 ''
    mlock compose --library "$library" --swap-device --only='a"b$c' server
    examine "IPC_LOCK SYS_RESOURCE SYS_NICE" -1000 \
        'DUENDE_MLOCK_PROFILE=swap-device|DUENDE_MLOCK_ONLY=a"b$$c'
    command -v docker-compose >/dev/null || return
    printf '%s\n' 'version: "2.4"' 'services:' '  server: {image: "image:1"}' >"$scratch/compose.yaml"
    { echo 'version: "2.4"' && printf '%s\n' "$output"; } >"$scratch/locked.yaml"
    output=$(docker-compose -f "$scratch/compose.yaml" -f "$scratch/locked.yaml" config 2>&1)
    expect "docker-compose takes it" [ "$?" = 0 ]
    expect "with the image" contains "$output" "image: image:1"
    expect "and its capability" contains "$output" SYS_NICE
}

# The second library, and a limit
test_more() {
    find_store_library || return
    second=/usr/local/lib/libduende_mlock_store.so
    mlock compose --library "$library" --store /dev/sdx --memory 512m server
    for line in "      - \"$store:$second:ro\"" '    mem_limit: 512m' '    memswap_limit: 512m' \
        "      LD_PRELOAD: \"${second%_store.so}_preload.so:$second\"" '      DUENDE_MLOCK_STORE: "/dev/sdx"'; do
        expect "the override has $line" has_line "$output" "$line"
    done
    mlock podman --library "$library" --store /dev/sdx --memory 512m image
    for line in "Volume=$store:$second:ro" 'Environment="DUENDE_MLOCK_STORE=/dev/sdx"' \
        'PodmanArgs=--ulimit memlock=-1:-1 --oom-score-adj=-900 --memory=512m --memory-swap=512m'; do
        expect "the unit has $line" has_line "$output" "$line"
    done
    expect "the flags" contains "$output" "--memory=512m --memory-swap=512m --volume $library:"
    mlock kubernetes --store /dev/sdx
    expect "the manifest" contains "$output" \
        'value: "/duende-mlock/libduende_mlock_preload.so:/duende-mlock/libduende_mlock_store.so"'
}

test_podman() {
    mlock podman --library "$library" --required --only='a b' place/image:1.0
    expect "no diagnostics" [ "$status:$errors" = 0: ]
    expect "the flags" contains "$output" \
        "podman run --cap-add=IPC_LOCK --ulimit memlock=-1:-1 --oom-score-adj=-900 --volume $library:"
    for line in '[Container]' Image=place/image:1.0 AddCapability=CAP_IPC_LOCK LimitMEMLOCK=infinity \
        'Environment="DUENDE_MLOCK_ONLY=a b"' \
        Environment=LD_PRELOAD=/usr/local/lib/libduende_mlock_preload.so; do
        expect "the unit has $line" has_line "$output" "$line"
    done
    quadlet=/usr/libexec/podman/quadlet
    [ -x "$quadlet" ] || return
    mkdir "$scratch/quadlet"
    printf '%s\n' "$output" >"$scratch/quadlet/image.container"
    output=$(QUADLET_UNIT_DIRS=$scratch/quadlet "$quadlet" --dryrun 2>&1)
    expect "quadlet takes it" contains "$output" --cap-add
}

# What a container needs, in a folder; and nothing else has to be there to use it.
test_install() {
    mlock install --library "$library" "$scratch/volume/deep"
    expect "no diagnostics" [ "$status:$errors" = 0: ]
    expect "the library" cmp -s "$library" "$scratch/volume/deep/${library##*/}"
    expect "the command" [ -x "$scratch/volume/deep/duende-mlock" ]
    find_store_library && more=1 || more=0
    expect "and no more" [ "$(find "$scratch/volume/deep" | wc -l)" = $((3 + more)) ]
    mlock install --library "$library" "$scratch/volume/deep"
    expect "once more" [ "$status" = 0 ]
    mlock install --library "$scratch/none.so" "$scratch/volume"
    expect "without a library" [ "$status" = 1 ]
    mlock install --library "$library" /proc/no/such
    expect "where nothing can be written" [ "$status" = 1 ]
    [ "$(id -u)" = 0 ] || return
    output=$(chroot "$scratch/volume/deep" /duende-mlock docker image 2>"$scratch/errors")
    status=$? errors=$(cat "$scratch/errors")
    expect "it runs without anything else, and finds the library" [ "$status:$errors" = 0: ]
}

run_tests test_compose test_more test_podman test_install
finish
