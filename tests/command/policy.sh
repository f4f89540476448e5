#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# What "kubernetes --policy" and "--kustomize" print, by Kubernetes' own schema, an evaluator of its
# expressions, and kubectl's kustomize. The first two are of npm: scripts/setup npm.
. "$(dirname "$0")/common.sh"
need python3
python3 -c 'import yaml' 2>/dev/null || skip "python3 has no yaml module here"

for kind in --policy --kustomize; do
    mlock kubernetes "$kind" --store /dev/sdb
    expect "$kind: the second library" contains "$output" \
        /duende-mlock/libduende_mlock_preload.so:/duende-mlock/libduende_mlock_store.so
done

component=$scratch/components/duende-mlock
mkdir -p "$component"
mlock kubernetes --kustomize --name swap-server --container daemon --library-image duende-mlock:1 \
    --required --swap-device
expect "a component" [ "$status:$errors" = 0: ]
cp "$scratch/output" "$component/kustomization.yaml"
cat >"$scratch/kustomization.yaml" <<'YAML'
resources: [workloads.yaml]
components: [components/duende-mlock]
YAML
cat >"$scratch/workloads.yaml" <<'YAML'
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: swap-server}
spec:
  serviceName: swap-server
  selector: {matchLabels: {app: swap-server}}
  template:
    metadata: {labels: {app: swap-server}}
    spec:
      containers:
        - {name: helper, image: helper}
        - {name: daemon, image: daemon, env: [{name: A, value: b}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: other}
spec:
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec:
      containers: [{name: daemon, image: daemon}]
YAML

cat >"$scratch/examine.py" <<'EXAMINE'
import sys, yaml

def of(pod):
    [daemon] = [c for c in pod["containers"] if c["name"] == "daemon"]
    environment = {entry["name"]: entry["value"] for entry in daemon.get("env", [])}
    return daemon, environment

component = yaml.safe_load(open(sys.argv[1]))
assert component["kind"] == "Component"
[patch] = component["patches"]
assert patch["target"] == {"kind": "Deployment|DaemonSet|StatefulSet", "name": "swap-server"}
pod = yaml.safe_load(patch["patch"])["spec"]["template"]["spec"]
daemon, environment = of(pod)
wanted = {
    "LD_PRELOAD": "/duende-mlock/libduende_mlock_preload.so",
    "DUENDE_MLOCK_REQUIRED": "1",
    "DUENDE_MLOCK_PROFILE": "swap-device",
}
assert environment == wanted, environment
assert daemon["securityContext"]["capabilities"]["add"] == ["IPC_LOCK", "SYS_RESOURCE", "SYS_NICE"]
assert [c["image"] for c in pod["initContainers"]] == ["duende-mlock:1"]
if len(sys.argv) > 2:  # what kustomize has built
    workloads = {w["metadata"]["name"]: w for w in yaml.safe_load_all(open(sys.argv[2]))}
    assert workloads["swap-server"]["kind"] == "StatefulSet"
    pod = workloads["swap-server"]["spec"]["template"]["spec"]
    daemon, environment = of(pod)
    assert environment == {"A": "b", **wanted}, environment
    assert daemon["image"] == "daemon"
    [volume] = pod["volumes"]
    [init] = pod["initContainers"]
    assert daemon["volumeMounts"] == [
        {"name": volume["name"], "mountPath": "/duende-mlock", "readOnly": True}]
    [helper] = [c for c in pod["containers"] if c["name"] == "helper"]
    assert helper == {"name": "helper", "image": "helper"}
    other = workloads["other"]["spec"]["template"]["spec"]
    assert other == {"containers": [{"name": "daemon", "image": "daemon"}]}, other
EXAMINE
errors=$(python3 "$scratch/examine.py" "$component/kustomization.yaml" 2>&1)
expect "the component is as expected" [ -z "$errors" ]

# One that knows components: since 1.21.
if kubectl kustomize "$scratch" >"$scratch/built" 2>"$scratch/errors"; then
    errors=$(python3 "$scratch/examine.py" "$component/kustomization.yaml" "$scratch/built" 2>&1)
    expect "kustomize makes of it what is expected" [ -z "$errors" ]
else
    echo "note: no kubectl that knows components has built it: $(tail -n 1 "$scratch/errors")"
fi

mlock kubernetes --policy --library-image duende-mlock:1 --required --only='a"b\c'
expect "a policy" [ "$status:$errors" = 0: ]
errors=$(python3 -c 'import sys, yaml
[policy, binding] = yaml.safe_load_all(open(sys.argv[1]))
assert binding["spec"]["policyName"] == policy["metadata"]["name"]' "$scratch/output" 2>&1)
expect "it is YAML, and its binding names it" [ -z "$errors" ]
[ "$failures" = 0 ] || finish

modules=${XDG_CACHE_HOME:-${HOME:-}/.cache}/duende-mlock/npm/node_modules
command -v node >/dev/null || skip "the policy is not evaluated: there is no node here"
[ -d "$modules/@kubernetes/client-node" ] ||
    skip "the policy is not evaluated: scripts/setup npm installs what that takes"
output=$(NODE_PATH=$modules node "$here/policy.mjs" "$scratch/output" "$component/kustomization.yaml" 2>&1)
status=$?
expect "the policy does what it says" [ "$status" = 0 ]
finish
