# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# The table of cases, and the files that systemd reads of each.  Uses: units, the folder for these.

declare -A from lines options override outcome words
names=()

# strip TEXT: without the space around it.
strip() {
	local text=$1
	text=${text#"${text%%[![:space:]]*}"}
	echo "${text%"${text##*[![:space:]]}"}"
}

# read_cases FILE
read_cases() {
	local name base added chosen later result pattern
	while IFS='|' read -r name base added chosen later result pattern; do
		name=$(strip "$name").service
		names+=("$name")
		from[$name]=$(strip "$base") lines[$name]=$(strip "$added") options[$name]=$chosen
		override[$name]=$later outcome[$name]=$result words[$name]=$pattern
	done < <(grep -vE '^(#|$)' "$1")
}

# unit_lines TEXT: one a line; @NAME stands for those of the file NAME beside this one.
unit_lines() {
	local line
	while read -r line; do
		case $line in
		@*) grep -vE '^(#|$)' "${BASH_SOURCE[0]%/*}/${line#@}" ;;
		*) echo "$line" ;;
		esac
	done < <(tr ';' '\n' <<<"$1")
}

# Printing takes seconds in the guest, so it is done there only where it depends on the guest: for
# units that are not ours, and where the drop-in names the command's own path.
printed_in_guest() {
	[ "${from[$1]}" = - ] || [[ ${override[$1]} == *%post* ]]
}

# write_unit NAME DAEMONS: a copy of one of the DAEMONS, if it is not Debian's own.
write_unit() {
	local file=$units/$1
	[ "${from[$1]}" != - ] || return 0
	[[ $1 != *@* ]] || file=$units/${1%%@*}@.service
	{ cat "$2/${from[$1]}.service" && unit_lines "${lines[$1]}"; } >"$file"
}

# write_drop_ins NAME PRINT...: what the command PRINT prints for the unit, or the README, and what
# overrides it.
write_drop_ins() {
	local name=$1 folder=$units/$1.d printed=$units/$1.d/50-duende-mlock.conf post
	shift
	[ "${options[$name]}" != - ] || return 0
	mkdir -p "$folder"
	if [ "${options[$name]}" = %readme ]; then
		"$here/../readme_block" ini >"$printed"
	else
		# shellcheck disable=SC2086  # several options
		"$@" ${options[$name]} "$name" >"$printed"
	fi
	[ -n "${override[$name]}" ] || return 0
	post=$(sed -n 's/^#\(ExecStartPost=\)/\1/p' "$printed")
	{
		echo '[Service]'
		unit_lines "${override[$name]}" | sed "s|^%post\$|$post|"
	} >"$folder/60-override.conf"
}
