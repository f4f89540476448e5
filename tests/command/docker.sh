#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "docker" prints a Dockerfile with the library, the settings and LD_PRELOAD last, and the flags.
. "$(dirname "$0")/common.sh"
need_library

all() {
    mlock docker --library "$library" --swap-device --only='a "b$' place/image:1.0
    expect "no diagnostics" [ "$status:$errors" = 0: ]
    preload=/usr/local/lib/libduende_mlock_preload.so
    expect "the instructions, and no others" [ "$(printf '%s\n' "$output" | grep -v '^#')" = \
        "FROM place/image:1.0
COPY libduende_mlock_preload.so $preload
ENV DUENDE_MLOCK_PROFILE=\"swap-device\"
ENV DUENDE_MLOCK_ONLY=\"a \\\"b\\\$\"
ENV LD_PRELOAD=$preload\${LD_PRELOAD:+:\$LD_PRELOAD}" ]
    expect "the flags" contains "$output" "--cap-add=IPC_LOCK --cap-add=SYS_RESOURCE \
--cap-add=SYS_NICE --ulimit memlock=-1:-1 --oom-score-adj=-1000 image-locked"
    expect "what to copy" contains "$output" "install -m 644 $library libduende_mlock_preload.so"
    expect "never setcap" lacks "$output" setcap
    mlock docker --library "$library" image
    expect "no more than it takes" contains "$output" \
        "docker run --cap-add=IPC_LOCK --ulimit memlock=-1:-1 --oom-score-adj=-900 image-locked"
}

# The second library, and a limit
store() {
    find_store_library || return
    mlock docker --library "$library" --store /dev/sdx --memory 512m image
    expect "no diagnostics" [ "$status:$errors" = 0: ]
    second=/usr/local/lib/libduende_mlock_store.so
    expect "it is copied" has_line "$output" "COPY libduende_mlock_store.so $second"
    expect "from here" has_line "$output" "#   install -m 644 $store libduende_mlock_store.so"
    expect "it is preloaded" has_line "$output" "ENV LD_PRELOAD=$preload:$second\${LD_PRELOAD:+:\$LD_PRELOAD}"
    expect "the variable" has_line "$output" 'ENV DUENDE_MLOCK_STORE="/dev/sdx"'
    expect "the limit, and no swap" contains "$output" "--memory=512m --memory-swap=512m image-locked"
    mlock docker --library "$library" --memory 5x image
    expect "no size" [ "$status" = 2 ]
    expect "is named" contains "$errors" "--memory takes a size such as 512m, not '5x'"
}

run_tests all store
finish
