#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs each libFuzzer target for SECONDS (10): fuzz.sh [SECONDS].
set -eu
here=$(dirname "$0")
root=$here/../..
duration=${1:-10}
compiler=${CLANGXX:-clang++}
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

compile() { # LIBFUZZER ARGUMENT...
  libfuzzer=$1
  shift
  "$compiler" -std=c++20 -g -O1 -fsanitize="$libfuzzer,address,undefined" \
    -fno-sanitize-recover=all -I "$root/include" -I "$root" "$@"
}

echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' \
  >"$work/probe.cpp"
if ! compile fuzzer "$work/probe.cpp" -o "$work/probe" 2>"$work/error"; then
  cat "$work/error"
  echo "skipped: needs $compiler with libFuzzer (Debian: clang, libclang-rt-14-dev)"
  exit 77
fi

# An archive, of which the constructor is never linked: it would lock the fuzzer. Without the wrappers,
# which have the names of libc's functions and would be.
for source in "$root"/preload/*.cpp; do
  [ "${source##*/}" != wrappers.cpp ] || continue
  compile fuzzer-no-link -c "$source" -o "$work/$(basename "$source" .cpp).o"
done
for parser in elf file process text unit; do
  compile fuzzer-no-link -c "$root/preload/command/$parser.cpp" -o "$work/$parser.o"
done
ar rcs "$work/shim.a" "$work"/*.o

for target in fuzz_settings fuzz_maps fuzz_command; do
  compile fuzzer "$here/$target.cpp" "$work/shim.a" -o "$work/$target"
  mkdir "$work/$target.corpus"
  if ! "$work/$target" -max_total_time="$duration" -max_len=8192 -timeout=5 -print_final_stats=1 \
    -dict="$here/$target.dict" -artifact_prefix="$work/" "$work/$target.corpus" \
    >"$work/log" 2>&1; then
    cat "$work/log"
    exit 1
  fi
  echo "$target: $(grep -o 'number_of_executed_units: .*' "$work/log")"
done
