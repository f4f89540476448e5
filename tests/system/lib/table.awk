# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The lines of run as a Markdown table: rows are scenarios, columns are
# settings, a cell is "bad of all".  `row_order` and `column_order` are the names in
# the order wanted.  Takes line.awk.

# The names of `order` that were seen, as a list; returns its length.
function arrange(order, seen, list,    all, i, n) {
	split(order, all, " ")
	for (i = 1; i in all; i++) if (all[i] in seen) list[++n] = all[i]
	return n
}

/^result=/ {
	result = value("result")
	if (result == "error" || result == "idle") { unusable++; next }
	row = value("scenario"); column = value("setting"); cell = row SUBSEP column
	seen_row[row] = seen_column[column] = 1
	kernels[row] = value("kernel")
	all[cell]++
	bad[cell] += row ~ /^fork/ ? !(value("vmlck_kib") > 0 && value("vmswap_kib") == 0) \
				   : result != "survived"
	died[cell] += result == "died"
}

END {
	rows = arrange(row_order, seen_row, row_name)
	columns = arrange(column_order, seen_column, column_name)
	head = "| scenario | kernel |"; rule = "|---|---|"
	for (c = 1; c <= columns; c++) { head = head " " column_name[c] " |"; rule = rule "---|" }
	print head; print rule
	for (r = 1; r <= rows; r++) {
		line = "| " row_name[r] " | " kernels[row_name[r]] " |"
		for (c = 1; c <= columns; c++) {
			cell = row_name[r] SUBSEP column_name[c]
			text = cell in all ? bad[cell] " of " all[cell] : ""
			if (died[cell]) text = text ", died " died[cell]
			line = line " " text " |"
		}
		print line
	}
	if (unusable) print unusable " runs could not be made or proved nothing" >"/dev/stderr"
}
