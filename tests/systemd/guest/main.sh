#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs in the guest, as a unit: starts every unit of `cases` with the drop-in that the command
# prints for it, looks at what became of it, and reports in the Test Anything Protocol.
set -u
units=/etc/systemd/system
data=/run/check          # what was seen: of each unit, and who warned
cores=/var/cores
patience=240             # seconds for all units to get where they are going
number=0
explained=
since=()

export PATH=/usr/local/bin:$PATH
. /exp/jobs/cases.bash
read_cases /exp/jobs/cases

# ---- report ----

# expect WHAT COMMAND...: one line of the report, about $unit.
expect() {
	local what=$1 verdict=ok
	shift
	number=$((number + 1))
	"$@" || verdict="not ok"
	echo "$verdict $number - $unit: $what"
	[ "$verdict" = ok ] && return
	printf '#   %s\n' "$*"
	[ "$explained" = "$unit" ] || explain
	return 1
}

# Once for a unit, all that there is to know.
explain() {
	local property
	explained=$unit
	sed '/^#/d; /^$/d; s/^/#   drop-in: /' "$units/$unit.d"/*.conf
	for property in "${properties[@]}"; do echo "#   show: $property=${state[$unit:$property]}"; done
	sed 's/^/#   library: /' "$data/$unit.library"
	tail -n 8 "$data/$unit.others" | sed 's/^/#   journal: /'
}

# ---- the units ----

prepare() {
	mkdir -p "$data" "$cores"
	chmod 1777 "$cores"
	echo "$cores/%p" >/proc/sys/kernel/core_pattern
	truncate -s 8M /var/tmp/disk
	chmod 666 /var/tmp/disk
	for unit in "${names[@]}"; do
		if printed_in_guest "$unit"; then write_drop_ins "$unit" duende-mlock systemd & fi
	done
	wait
	systemctl daemon-reload
}

# ---- what became of them ----

# All units at once, and no program for what bash can do, as each takes a while here.  What
# `systemctl show` has goes into `state`; what `journalctl -u` has, PRIORITY first, into UNIT.library
# and UNIT.others.
declare -A state
properties=(Id MainPID ExecMainPID ActiveState Result NRestarts LimitMEMLOCK User ControlGroup
	AmbientCapabilities CapabilityBoundingSet)

# A block of KEY=VALUE lines for each unit, and an empty line between them.
read_properties() {
	local key value
	local -A block=()
	while IFS='=' read -r key value; do
		if [ -n "$key" ]; then
			block[$key]=$value
			continue
		fi
		for key in "${!block[@]}"; do state[${block[Id]}:$key]=${block[$key]}; done
		block=()
	done < <(systemctl show "${names[@]}" "${properties[@]/#/--property=}" && echo)
}

read_states() {
	local unit
	read_properties
	for unit in "${names[@]}"; do : >"$data/$unit.library" && : >"$data/$unit.others"; done
	journalctl -q -b "${since[@]}" "${names[@]/#/--unit=}" -o json |
		jq -r 'select(.MESSAGE | type == "string") | [.UNIT // ._SYSTEMD_UNIT, .PRIORITY, .MESSAGE] | @tsv' |
		awk -v folder="$data/" -F '\t' '{
			file = folder $1 ($3 ~ /duende-mlock\[/ ? ".library" : ".others")
			print $2 " " $3 >>file
			close(file)
		}'
}

# Those that have warned, of what is looked at in the journal.
read_warnings() {
	journalctl -q -b "${since[@]}" -p warning -o json | jq -r '
		select(.MESSAGE | type == "string" and contains("duende-mlock["))
		| ._SYSTEMD_UNIT' | sort -u >"$data/warnings"
}

# of KEY: what `systemctl show` says of $unit.
of() { echo "${state[$unit:$1]}"; }

# A unit of Type=simple is active before the library has said anything.
is_settled() {
	local active=${state[$unit:ActiveState]}
	case ${outcome[$unit]} in
	dumped) [ "$active" = failed ] ;;
	aborted | rejected) [ "$active" = failed ] && [ -s "$data/$unit.library" ] ;;
	*) [ "$active" = failed ] || { [ "$active" = active ] && some_line locked; } ;;
	esac
}

settle() {
	until read_states && all_settled; do
		[ $SECONDS -lt $patience ] || return
		sleep 0.5
	done
}

all_settled() {
	for unit in "${names[@]}"; do is_settled || return; done
}

processes() {
	local group=${state[$unit:ControlGroup]}
	[ -z "$group" ] || cat "/sys/fs/cgroup$group/cgroup.procs"
}

locked_kib() { awk '/^VmLck:/ { print $2 }' "/proc/$1/status"; }

is_locked()   { [ "$(locked_kib "$1")" -gt 0 ]; }
is_unlocked() { [ "$(locked_kib "$1")" = 0 ]; }

# Every mapping that can be swapped out has the flag, and so have those of a file that is code.
has_locked_mappings() {
	awk '$1 ~ /^[0-9a-f]+-[0-9a-f]+$/ { name = $6; if ($2 ~ /x/) code[name] = 1 }
		FNR == NR { next }
		/^VmFlags:/ && name !~ /^\[(vvar|vdso|vsyscall)\]$/ && (name !~ /^\// || name in code) {
			mappings++
			if (!/ lo( |$)/) { if (unlocked++ < 3) print "#   unlocked: " name }
		}
		END { exit !mappings || unlocked }' "/proc/$1/smaps" "/proc/$1/smaps"
}

# all TEST PROCESS...
all() {
	local test=$1 process
	shift
	[ $# -gt 0 ] || return
	for process; do "$test" "$process" || return; done
}

# A connection, so that a server which forks for each has a child that serves; kept open.
connect() {
	local limit=$((SECONDS + 20)) before
	before=$(processes | wc -l)
	exec {connection}<>"/dev/tcp/127.0.0.1/$1" || return
	until [ "$(processes | wc -l)" -gt "$before" ]; do
		[ $SECONDS -lt $limit ] || return
		sleep 0.1
	done
}

# The flags of every thread, behind a name that may hold anything: PF_MEMALLOC_NOIO and
# PF_LOCAL_THROTTLE, SCHED_RR at priority 1.
is_reclaim_safe() {
	local stat fields
	for stat in "/proc/$1"/task/*/stat; do
		read -r -a fields <<<"$(sed 's/.*) //' "$stat")"
		[ $((fields[6] & 0x180000)) = $((0x180000)) ] || return
		[ "${fields[37]}:${fields[38]}" = 1:2 ] || return
	done
}

# ---- outcomes ----

is()      { [ "${state[$unit:$1]}" = "$2" ]; }
is_user() { [ "$(awk '/^Uid:/ { print $2 }' "/proc/$(of MainPID)/status")" = "$(id -u "$1")" ]; }

# every_line PATTERN: there are some, and each has it.
every_line() { [ -s "$data/$unit.library" ] && ! grep -qvE "$1" "$data/$unit.library"; }
some_line()  { grep -qE "$1" "$data/$unit.library"; }
no_prefix()  { every_line '^[0-7] duende-mlock\[[0-9]+\] [^ ]+: '; }

among_warnings()     { grep -qxF "$unit" "$data/warnings"; }
not_among_warnings() { ! among_warnings; }

has_core() { [ -e "$cores/$1" ]; }
no_core()  { ! has_core "$1"; }

runs() {
	expect "is active" is ActiveState active
	expect "was not restarted" is NRestarts 0
	expect "has no <N> before the message" no_prefix
	[ -z "$(of User)" ] || expect "runs as $(of User)" is_user "$(of User)"
}

# Every process of the unit, its main one and its children.
runs_locked() {
	local port processes
	runs
	port=$(port_of "$unit")
	[ -z "$port" ] || expect "forks a child that serves" connect "$port"
	mapfile -t processes < <(processes)
	expect "VmLck of ${#processes[@]} processes" all is_locked "${processes[@]}"
	expect "VmFlags of ${#processes[@]} processes" all has_locked_mappings "${processes[@]}"
}

# Those that fork for each connection.
port_of() {
	case $1 in
	nbd-server.service) echo 10809 ;;
	children-root.service) echo 10810 ;;
	esac
}

locked() {
	runs_locked
	expect "LimitMEMLOCK" is LimitMEMLOCK infinity
	expect "says so at info" every_line '^6 .*: locked \('
	expect "is not among the warnings" not_among_warnings
}

reclaim() {
	locked
	expect "IO flusher and SCHED_RR in each thread" all is_reclaim_safe "$(of MainPID)"
}

# Locked, but not all that was asked for.
partly() {
	runs_locked
	expect "says what is missing at warn" some_line '^4 .* does not hold'
	expect "says that it is locked at info" some_line '^6 .*: locked \('
	expect "is among the warnings" among_warnings
}

# The stack grows from an unlocked page, and what comes later is not locked.
exempt() {
	local processes
	runs
	mapfile -t processes < <(processes)
	expect "VmLck of ${#processes[@]} processes" all is_locked "${processes[@]}"
	expect "LimitMEMLOCK" is LimitMEMLOCK 8388608
	expect "says so at info" every_line '^6 .*: locked \('
	expect "is not among the warnings" not_among_warnings
}

refused() {
	local processes
	runs
	mapfile -t processes < <(processes)
	expect "is not locked" all is_unlocked "${processes[@]}"
	expect "says so at warn" every_line '^4 .*: not locked: '
	expect "is among the warnings" among_warnings
}

# Neither the lock nor what else was asked for.
nothing() {
	local processes
	runs
	mapfile -t processes < <(processes)
	expect "is not locked" all is_unlocked "${processes[@]}"
	expect "says so at warn" every_line '^4 .*(: not locked: |does not hold)'
	expect "is among the warnings" among_warnings
}

# Active but unlocked, which is what the start is made to fail for.
rejected() {
	expect "has failed" is ActiveState failed
	expect "by its ExecStartPost=" is Result exit-code
	expect "says so at warn" some_line '^4 .*: not locked: '
}

# systemd's own word is "code=killed, status=6/ABRT".
aborted() {
	local process
	expect "has failed" is ActiveState failed
	expect "by a signal" is Result signal
	expect "says why at error" some_line '^3 .*DUENDE_MLOCK_REQUIRED is on'
	expect "has no <N> before the message" no_prefix
	expect "is among the warnings" among_warnings
	expect "status=6/ABRT" ends_in_abort killed
	process=$(sed -n 's/^3 duende-mlock\[\([0-9]*\)\].*/\1/p;q' "$data/$unit.library")
	expect "left no core file" no_core "$process"
}

ends_in_abort() {
	grep -qE "process exited, code=$1, status=6/ABRT" "$data/$unit.others"
}

dumped() {
	expect "status=6/ABRT" ends_in_abort dumped
	expect "left a core file" has_core "$(of ExecMainPID)"
}

check() {
	"${outcome[$unit]%%>*}"
	[ -z "${words[$unit]}" ] || expect "says: ${words[$unit]//%u/$unit}" some_line "${words[$unit]//%u/${unit//./\\.}}"
}

# ---- fixes ----

# Only what comes from now on.
look_anew() { since=(--after-cursor="$(journalctl -q -b -n 0 --show-cursor | sed -n 's/^-- cursor: //p')"); }

# What the lines of $unit name as the fix, as lines of a [Service] section.
fixes() {
	sed -nE 's/.*; fix: ([A-Za-z]+=[^ ,]*)(, beside what is there| in the \[Service\] section of .*)$/\1/p' \
		"$data/$unit.library" | sort -u
}

# mend UNIT...: does what their lines say and starts them again, until no line says anything.
mend() {
	local round unit left names=("$@")
	for round in 1 2 3 4 5 6; do
		left=()
		for unit in "${names[@]}"; do
			[ -n "$(fixes)" ] || continue
			{ echo "[Service]" && fixes; } >"$units/$unit.d/70-fix-$round.conf"
			left+=("$unit")
		done
		[ ${#left[@]} -gt 0 ] || return 0
		systemctl daemon-reload
		look_anew
		systemctl restart --no-block "${left[@]}"
		names=("${left[@]}")
		settle
		echo "# mended ${#left[@]} units, round $round, after $SECONDS s"
	done
}

# Each unit whose outcome has a second part, `>` between: that is what the fixes make of it.
check_fixes() {
	local unit broken=()
	for unit in "${names[@]}"; do [[ ${outcome[$unit]} != *\>* ]] || broken+=("$unit"); done
	patience=$((SECONDS + 240))
	mend "${broken[@]}"
	read_warnings
	for unit in "${broken[@]}"; do
		"${outcome[$unit]##*>}"
	done
}

# ---- duende-mlock check ----

# main UNIT, as it is said in the table
main() { echo "${state[$1:MainPID]}"; }

# A process in a group that has less than it: what it had before is charged to another one.
small() {
	local group=/sys/fs/cgroup/small
	sleep infinity &
	mkdir "$group"
	echo $! >"$group/cgroup.procs"
	echo 64K >"$group/memory.max"
	small=$!
}

nobody() { setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; }
root()   { "$@"; }
# shellcheck disable=SC2016 # for the other shell
swap()   { unshare --mount sh -c 'mount --bind /run/check/swaps /proc/swaps && exec "$@"' sh "$@"; }

# start_checks: all at once; what the N-th says is in check.N, its status in status.N
start_checks() {
	local how subject count=0 operand
	printf '%s\n' "Filename Type Size Used Priority" "/dev/nbd0 partition 1024 0 -2" >"$data/swaps"
	small
	while IFS='|' read -r how subject _; do
		count=$((count + 1))
		subject=$(strip "$subject")
		case $subject in
		main*) operand=$(main "${subject#main }") ;;
		small) operand=$small ;;
		*) operand=$subject ;;
		esac
		{
			"$(strip "$how")" duende-mlock check "$operand" >"$data/check.$count" 2>&1
			echo $? >"$data/status.$count"
		} &
		checks+=($!)
	done < <(grep -vE '^(#|$)' /exp/jobs/checks)
}

judge_checks() {
	local how subject status patterns count=0 file
	wait "${checks[@]}"
	while IFS='|' read -r how subject status patterns; do
		count=$((count + 1)) file=$data/check.$count
		unit="check $(strip "$subject") as $(strip "$how")" explained=$unit
		expect "status $status" [ "$(cat "$data/status.$count")" = "$status" ]
		while read -r pattern; do
			expect "$pattern" grep -qE "^$pattern" "$file" || sed 's/^/#   says: /' "$file"
		done <<<"${patterns//;;/$'\n'}"
	done < <(grep -vE '^(#|$)' /exp/jobs/checks)
}

# ---- programs that LD_PRELOAD does not reach, started by a user under Yama ----

check_table() {
	unit=table explained=table
	expect "kernel.yama.ptrace_scope can be set" [ -w /proc/sys/kernel/yama/ptrace_scope ]
	DUENDE_MLOCK_LIBRARY=/usr/local/lib/libduende_mlock_preload.so \
		DUENDE_MLOCK_COMMAND=/usr/local/bin/duende-mlock TMPDIR=/run \
		sh /exp/table/table.sh --built /exp/table/programs user </dev/null >"$data/table" 2>&1
	expect "each is locked before its first instruction, or not started" [ $? = 0 ] ||
		grep -A4 FAILED "$data/table" | sed 's/^/#   /'
	expect "that is, in both scopes" grep -qE '^[1-9][0-9]{2,} checks, 0 failed$' "$data/table"
	echo "# $(tail -n 1 "$data/table")"
}

SECONDS=0
prepare
echo "# prepared after $SECONDS s: $(uname -r), $(systemctl --version | sed q)"
systemctl start --no-block "${names[@]}"
settle
echo "# settled after $SECONDS s"
read_warnings
for unit in "${names[@]}"; do check; done
echo "# checked after $SECONDS s"
check_fixes
echo "# mended after $SECONDS s"
checks=()
start_checks
judge_checks
echo "# asked after $SECONDS s"
check_table
echo "# done after $SECONDS s"
echo "1..$number"
