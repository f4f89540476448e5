# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# One run of one scenario under one setting.
# Uses: here, work, library, lib/{common,pieces,machine}.bash.

# configure SCENARIO [KEY=VALUE...]: the settings of a guest, in `config`.
declare -A config
configure() {
	local name daemon load options option
	read -r name daemon load options < <(row "$here/scenarios" "$1") ||
		die "unknown scenario $1 (--list shows them)"
	shift
	config=(
		[JOB]=deadlock [DAEMON]=$daemon [DAEMON_FLAGS]='' [DAEMON_OPTIONS]='' [CLIENT_FLAGS]='' [COUNT]=1 [BY]='' [TRANSPORT]=unix [CODE]=disk
		[ARCHITECTURE]=amd64 [KERNEL]=default [RAM_MIB]=512 [DISK_MIB]=768
		[DISK_IOPS]=0              # requests a second, together read and written; 0: no bound
		[STORE_MIB]=128            # size of a store that is not a disk
		[RECLAIM_S]=0              # reclaim from the daemon this often under load, too
		[DAEMON_SWAP_MAX]=max                     # memory.swap.max of the daemon, from its start
		[DAEMON_MIN_MIB]=0 [DAEMON_LOW_MIB]=0 [DAEMON_MAX_MIB]=0    # memory.min and so on of the daemon
		[BESIDE]=''                               # what runs beside it: vmtouch, memlockd, earlyoom
		[LOAD_MIB]=320 [LOAD_MAX_MIB]=160 [LOAD_PROCS]=4
		[RUN_SECONDS]=30 [STALL_SECONDS]=30
		[CUT_FS]=device [CUT_SYNC]=''             # of the power cut
		[KEYS]=80000 [REQUESTS]=20000          # of the latency measurement
		[SWAPPINESS]=100 [MIN_FREE_KIB]='' [DIRTY_KIB]=''
		[MIN_TTL_MS]=''            # lru_gen/min_ttl_ms, with the multi-generational LRU switched on
	)
	case $load in
	contained) ;;
	global) config[LOAD_MAX_MIB]=0 config[LOAD_MIB]=$((config[RAM_MIB] + 64)) ;;
	brief) config[RUN_SECONDS]=10 ;;
	*) die "scenario $name: unknown load $load" ;;
	esac
	for option in $options "$@"; do
		[[ -v config[${option%%=*}] ]] || die "unknown option ${option%%=*}"
		config[${option%%=*}]=${option#*=}
	done
}

# make_payload FOLDER PRELOAD VARIABLE...: what this run alone brings into the guest.
make_payload() {
	local folder=$1 key
	mkdir -p "$folder"
	case $2 in
	-) ;;
	library | library+store)
		[ -f "$library" ] || die "no library at $library: build it first, or name it with --shim"
		cp "$library" "$folder/shim.so"
		[ "$2" = library ] || cp "$(store_library)" "$folder/store.so" ;;
	run | attach)
		cp "$(command_program)" "$folder/duende-mlock"
		cp "$library" "$folder/libduende_mlock_preload.so"
		config[BY]=$2 ;;
	constructor) cp "$programs/constructor_only.so" "$folder/shim.so" ;;
	esac
	shift 2
	[ $# = 0 ] || printf '%s\n' "$@" >"$folder/daemon.env"
	for key in "${!config[@]}"; do
		printf "%s='%s'\n" "$key" "${config[$key]}"
	done | sort >"$folder/config"
}

# store_library: the second library, which a build or an installation has by the first.
store_library() {
	local folder=${library%/*} file
	for file in "$folder/store/libduende_mlock_store.so" "$folder/libduende_mlock_store.so"; do
		[ ! -f "$file" ] || { echo "$file"; return; }
	done
	die "no libduende_mlock_store.so in $folder or $folder/store: build it first"
}

# command_program: the program, which a build has by the library, and an installation with the others.
command_program() {
	local folder=${library%/*} file
	for file in "$folder/command/duende-mlock" "$folder"/{,../,../../}bin/duende-mlock; do
		[ ! -x "$file" ] || { echo "$file"; return; }
	done
	die "no duende-mlock in $folder/command: build it first"
}

# fingerprint PRELOAD: which library a line is about; runs of another build are not
# to be counted with it.
fingerprint() {
	local other
	case $1 in
	library) sha256sum "$library" | cut -c 1-12 ;;
	run | attach)
		other=$(command_program) || return
		sha256sum "$other" | cut -c 1-12
		;;
	library+store)
		other=$(store_library) || return
		cat "$library" "$other" | sha256sum | cut -c 1-12
		;;
	*) echo "${1/#-/none}" ;;
	esac
}

# run_once SCENARIO SETTING NUMBER [--set KEY=VALUE | --env KEY=VALUE]...
#
# Leaves one line of key=value words in $line.
run_once() {
	local scenario=$1 setting=$2 number=$3 preload expected folder
	local -a options=() variables=() environment
	shift 3
	while [ $# -gt 0 ]; do
		case $1 in
		--set) options+=("$2") ;;
		--env) variables+=("$2") ;;
		esac
		shift 2
	done
	configure "$scenario" "${options[@]}"
	read -r _ preload expected environment < <(row "$here/settings" "$setting") ||
		die "unknown setting $setting (--list shows them)"
	# shellcheck disable=SC2128,SC2206  # one string, to be split
	environment=($environment "${variables[@]}")
	architecture=${config[ARCHITECTURE]}
	prepare make_pieces "${config[KERNEL]}"

	folder=$work/logs/$(date +%Y%m%d-%H%M%S)-$scenario-$setting-$$-$number
	make_payload "$folder/payload" "$preload" "${environment[@]}"
	boot_until_it_speaks "$folder" "${config[RAM_MIB]}" "${config[DISK_MIB]}" \
		$((config[RUN_SECONDS] * 3 / 2 + 150)) "${config[DISK_IOPS]}"
	line="$(verdict "$folder/report" "$expected") scenario=$scenario setting=$setting run=$number"
	line+=" library=$(fingerprint "$preload") kernel=$(cat "$kernel/version") wall_s=$SECONDS"
	line+=" set=\"${options[*]}\" env=\"${environment[*]}\" log=$folder"
}

# verdict REPORT EXPECTED: the guest's own words, unless it has none or was not
# in the state that the setting promises.
verdict() {
	local line want
	line=$(grep -a '^RESULT ' "$1" | tail -n 1 | cut -d ' ' -f 2- || true)
	if [ -z "$line" ]; then
		# The guest fell silent: under load a failure of the daemon, before it ours.
		if grep -aq '^beat' "$1"; then echo result=silent; else echo 'result=error why="the load never started"'; fi
		return
	fi
	# An error has its own cause, and other jobs than the deadlock say nothing of these.
	[[ $line == *io_flusher=* ]] || { echo "$line"; return; }
	for want in ${2//,/ }; do
		case $want in
		io_flusher) [[ $line == *io_flusher=1* ]] || { echo "result=error why=\"the daemon has no IO_FLUSHER\""; return; } ;;
		direct) grep -aq ': O_DIRECT, in blocks of ' "${1%/*}/daemon" || { echo "result=error why=\"the store is not opened with O_DIRECT\""; return; } ;;
		realtime) [[ $line != *realtime=0* ]] || { echo "result=error why=\"the daemon has no real-time priority\""; return; } ;;
		esac
	done
	echo "$line"
}
