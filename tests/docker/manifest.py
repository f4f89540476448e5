# SPDX-License-Identifier: MIT OR Apache-2.0
"""Turns the manifest on stdin into shell variables: what of it a container engine can be told."""
import shlex
import sys

import yaml

pod = yaml.safe_load(sys.stdin)["spec"]["template"]["spec"]
[init] = pod["initContainers"]
[daemon] = pod["containers"]
[init_mount] = init["volumeMounts"]
[mount] = daemon["volumeMounts"]
security = daemon["securityContext"]
units = {"Mi": "m", "Gi": "g"}
memory = daemon["resources"]["limits"]["memory"]
size = pod["volumes"][0]["emptyDir"]["sizeLimit"]

flags = ["--memory=" + memory[:-2] + units[memory[-2:]]]
flags += ["--user=%d" % security["runAsUser"]]
flags += ["--cap-add=" + name for name in security["capabilities"]["add"]]
environment = ["--env=%s=%s" % (entry["name"], entry["value"]) for entry in daemon["env"]]

variables = {
    "init_image": init["image"],
    "init_command": init["command"],
    "init_mount": init_mount["mountPath"],
    "daemon_image": daemon["image"],
    "daemon_mount": mount["mountPath"] + (":ro" if mount.get("readOnly") else ""),
    "daemon_flags": flags,
    "daemon_environment": environment,
    "probe": daemon["startupProbe"]["exec"]["command"],
    "volume_mebibytes": size.removesuffix("Mi"),
}
for name, value in variables.items():
    words = value if isinstance(value, list) else [value]
    print("%s=(%s)" % (name, " ".join(map(shlex.quote, words))))
