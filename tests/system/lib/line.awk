# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The words of a line that run prints.

# The value of key=value in this line.
function value(key,    field) {
	if (!match($0, "(^| )" key "=[^ ]*")) return ""
	field = substr($0, RSTART, RLENGTH)
	sub(/^[^=]*=/, "", field)
	return field
}
