#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Help is on stdout with status 0; whatever is wrong with the command line is said on stderr, with
# status 2, and points to the help.
. "$(dirname "$0")/common.sh"

# usage_error ARGUMENT...
usage_error() {
    mlock "$@"
    expect "usage error: $*" [ "$status" = 2 ]
    expect "nothing on stdout: $*" [ -z "$output" ]
    expect "points to the help: $*" contains "$errors" --help
}

all() {
    for subcommand in run attach unlock status check explain systemd docker compose podman kubernetes \
        install completion; do
        mlock "$subcommand" --help
        expect "$subcommand has help" [ "$status:$errors" = 0: ]
        expect "in lines of 80 columns" [ -z "$(printf '%s\n' "$output" | grep -E '.{81}')" ]
        expect "its help is its own" contains "$output" "Usage: duende-mlock $subcommand"
        usage_error "$subcommand" --no-such-option
    done
    mlock --help
    expect "the command has help" [ "$status:$errors" = 0: ]
    expect "of 80 columns" [ -z "$(printf '%s\n' "$output" | grep -E '.{81}')" ]
    mlock help
    expect "also by that name" contains "$output" "  explain  "
    usage_error
    usage_error no-such-subcommand
    for subcommand in run attach unlock systemd docker compose podman install; do
        usage_error "$subcommand"
    done
    usage_error check one two
    usage_error systemd --install --remove one
    usage_error systemd --dry-run one
    usage_error systemd --list one
    usage_error systemd --all-services one
    usage_error systemd --all-services --install
    usage_error systemd 'a b'
    usage_error systemd foo.socket
    usage_error docker 'a b'
    usage_error kubernetes operand
    usage_error compose 'a b'
    usage_error podman 'a b'
    usage_error completion csh
    expect "completion: what it takes" contains "$errors" "takes bash, zsh or fish, not 'csh'"
    usage_error check --all true
    usage_error run --on-fault --populate true
    usage_error status --watch 0
    expect "--watch: what it takes" contains "$errors" "--watch: takes 1 to 86400 seconds, not '0'"
    usage_error kubernetes --name Upper
    usage_error kubernetes --policy --kustomize
    usage_error check no-such-command-anywhere
    for option in fork=never log=loud realtime=100 realtime=-1 realtime=x arenas=0 arenas=x only= \
        thread-stack=0 thread-stack=1T thread-stack=K; do
        usage_error run "--$option" true
        usage_error run "--${option%%=*}" "${option#*=}" true
    done
    for option in fork log realtime arenas only thread-stack library; do
        usage_error run "--$option"
    done
}

run_tests all
finish
