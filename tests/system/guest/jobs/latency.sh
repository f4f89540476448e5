# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=dash
#
# What locking buys where nothing deadlocks: redis, driven by its own benchmark
# tool, while the machine swaps (to a plain disk).  The client is locked in every
# setting, so that only the server's memory is under test.
socket=/run/redis.sock
client() { LD_PRELOAD=/exp/constructor_only.so "$@" 2>/dev/null; }
# counter FILE NAME: the number behind NAME.
counter() { awk -v name="$2" '$1 == name { print $2 }' "$1"; }
major_faults() { awk '{ print $12 }' "/proc/$server/stat"; }

mkswap /dev/vdb >/dev/null
swapon /dev/vdb || fail "swapon"
start redis-server --port 0 --unixsocket $socket --save '' --appendonly no &
attempt 50 redis-cli -s $socket ping || fail "redis-server does not answer"
# Random keys, three times as many as there are: 95 % of them exist afterwards.
client redis-benchmark -s $socket -t set -r "$KEYS" -n $((3 * KEYS)) -d 1024 -P 64 -q >/dev/null
server=$(processes redis-server | head -n 1)
report "note filled pid=$server $(memory_of "$server")"

/exp/pressure "$LOAD_MIB" "$LOAD_PROCS" &
sleep 10
report "note under load pid=$server $(memory_of "$server")"
out=$(counter /proc/vmstat pswpout) in=$(counter /proc/vmstat pswpin) faults=$(major_faults)
# One connection: requests do not queue behind each other, each is a sample of its
# own, and a processor is left to the load.
client redis-benchmark -s $socket -t get -c 1 -r "$KEYS" -n "$REQUESTS" >/run/benchmark
report "note after pid=$server $(memory_of "$server")"
# distribution: "PERCENT MILLISECONDS" lines, the share of requests within a time.
distribution() {
	awk '/percentile distribution/ { on = 1 } /Cumulative/ { on = 0 }
		on && $2 == "<=" { print $1 + 0, $3 }' /run/benchmark
}
distribution | while read -r point; do report "cdf $point"; done

# percentile P: the least time that P percent of the requests stay within.
percentile() { distribution | awk -v p="$1" '$1 >= p { print $2; exit }'; }
[ -n "$(percentile 100)" ] || fail "redis-benchmark measured nothing"
report "RESULT result=measured p50_ms=$(percentile 50) p99_ms=$(percentile 99)" \
	"p999_ms=$(percentile 99.9) max_ms=$(percentile 100)" \
	"major_faults=$(($(major_faults) - faults))" \
	"swapped_out_mib=$((($(counter /proc/vmstat pswpout) - out) / 256))" \
	"swapped_in_mib=$((($(counter /proc/vmstat pswpin) - in) / 256))" \
	"vmlck_kib=$(counter "/proc/$server/status" VmLck:) vmswap_kib=$(counter "/proc/$server/status" VmSwap:)"
quit
