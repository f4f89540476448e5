#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "kubernetes" prints YAML with the fields it relies on: what the init container copies where is
# what the daemon's container preloads and probes.
. "$(dirname "$0")/common.sh"
need python3
python3 -c 'import yaml' 2>/dev/null || skip "python3 has no yaml module here"

cat >"$scratch/examine.py" <<'EXAMINE'
import sys, yaml

kind, name, image, capabilities, settings = sys.argv[1:]
manifest = yaml.safe_load(sys.stdin)
assert manifest["apiVersion"] == "apps/v1"
assert manifest["kind"] == kind
assert manifest["metadata"]["name"] == name
template = manifest["spec"]["template"]
assert manifest["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
pod = template["spec"]

[volume] = pod["volumes"]
assert "emptyDir" in volume
[init] = pod["initContainers"]
[init_mount] = init["volumeMounts"]
[daemon] = pod["containers"]
[mount] = daemon["volumeMounts"]
assert init_mount["name"] == mount["name"] == volume["name"]
assert mount["readOnly"] is True

command, verb, *library, target = init["command"]
assert verb == "install" and target == init_mount["mountPath"]
assert library in ([], ["--library", "/opt/other.so"])
inside = lambda path: mount["mountPath"] + "/" + path.rsplit("/", 1)[1]
environment = {entry["name"]: entry["value"] for entry in daemon["env"]}
assert all(isinstance(value, str) for value in environment.values())
assert environment.pop("LD_PRELOAD") == inside((library or ["/libduende_mlock_preload.so"])[-1])
assert environment == dict(word.split("=", 1) for word in settings.split("|") if word), environment

assert daemon["image"] == image
assert daemon["securityContext"]["runAsUser"] == 0
assert daemon["securityContext"]["capabilities"]["add"] == capabilities.split()
assert daemon["resources"]["requests"] == daemon["resources"]["limits"]
for probe in "startupProbe", "readinessProbe":
    assert daemon[probe]["exec"]["command"] == [inside(command), "status", "1"]
assert "livenessProbe" not in daemon
EXAMINE

# examine EXPECTED...: the output
examine() {
    errors=$errors$(printf '%s\n' "$output" | python3 "$scratch/examine.py" "$@" 2>&1)
    expect "the manifest is as expected: $*" [ -z "$errors" ]
}

all() {
    mlock kubernetes
    examine Deployment locked-daemon daemon IPC_LOCK DUENDE_MLOCK_FUTURE=1
    mlock kubernetes --daemonset --name swap-server --image place/server:2 --swap-device \
        --required --only='a"b\c' --arenas 1 --library /opt/other.so
    examine DaemonSet swap-server place/server:2 "IPC_LOCK SYS_RESOURCE SYS_NICE" \
        'DUENDE_MLOCK_PROFILE=swap-device|DUENDE_MLOCK_REQUIRED=1|DUENDE_MLOCK_ONLY=a"b\c|DUENDE_MLOCK_ARENAS=1|DUENDE_MLOCK_FUTURE=1'
    mlock kubernetes --no-future
    examine Deployment locked-daemon daemon IPC_LOCK DUENDE_MLOCK_FUTURE=0
}

run_tests all
finish
