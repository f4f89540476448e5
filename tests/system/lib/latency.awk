# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The lines of latency as a Markdown table: medians without the library and locked, and
# what the lock leaves of the first.  Takes line.awk.

function remember(column, key) { all[setting, column, runs[setting]] = value(key) }

# The median of a column; the lower one of two.
function median(setting, column,    n, i, j, x, sorted) {
	n = runs[setting]
	for (i = 1; i <= n; i++) {
		x = all[setting, column, i] + 0
		for (j = i; j > 1 && sorted[j - 1] > x; j--) sorted[j] = sorted[j - 1]
		sorted[j] = x
	}
	return sorted[int((n + 1) / 2)]
}

BEGIN {
	columns = split("p50_ms p99_ms p999_ms max_ms major_faults swapped_in_mib swapped_out_mib", keys, " ")
	times = 4    # of these columns; the others are counts
}

{
	setting = value("setting")
	runs[setting]++
	for (c = 1; c <= columns; c++) remember(c, keys[c])
}

END {
	print "| median of " runs["lock"] " runs | p50 | p99 | p99.9 | worst | major faults | MiB swapped in | and out |"
	print "|---|---|---|---|---|---|---|---|"
	split("none lock", settings, " ")
	for (s = 1; s <= 2; s++) {
		line = "| " (s == 1 ? "without the library" : "locked") " |"
		for (c = 1; c <= columns; c++)
			line = line sprintf(c <= times ? " %.1f ms |" : " %d |", median(settings[s], c))
		print line
	}
	line = "| ratio |"
	for (c = 1; c <= times; c++)
		line = line sprintf(" %.2f |", median("lock", c) / median("none", c))
	print line " | | |"
}
