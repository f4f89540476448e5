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
	library = value("library")
	if (build != "" && library !~ "^(" build ")$" && library !~ /^(none|constructor)$/) { others++; next }
	if (result == "error" || result == "idle") { unusable++; next }
	row = value("scenario"); column = value("setting"); cell = row SUBSEP column
	seen_row[row] = seen_column[column] = 1
	kernels[row] = value("kernel")
	all[cell]++
	gone = result ~ /^(died|silent|stuck)$/
	locked = value("vmlck_kib") + 0 > 0 && value("vmswap_kib") "" == "0"
	bad[cell] += row ~ /^fork/ ? gone || !locked : result != "survived"
	if (gone) ends[cell, result]++
}

END {
	rows = arrange(row_order, seen_row, row_name)
	columns = arrange(column_order, seen_column, column_name)
	split("died silent stuck", way, " ")
	head = "| scenario | kernel |"; rule = "|---|---|"
	for (c = 1; c <= columns; c++) { head = head " " column_name[c] " |"; rule = rule "---|" }
	print head; print rule
	for (r = 1; r <= rows; r++) {
		line = "| " row_name[r] " | " kernels[row_name[r]] " |"
		for (c = 1; c <= columns; c++) {
			cell = row_name[r] SUBSEP column_name[c]
			text = cell in all ? bad[cell] " of " all[cell] : ""
			for (i = 1; i <= 3; i++)
				if ((cell, way[i]) in ends) text = text ", " way[i] " " ends[cell, way[i]]
			line = line " " text " |"
		}
		print line
	}
	if (others) print others " runs were of another build of the library" >"/dev/stderr"
	if (unusable) print unusable " runs could not be made or proved nothing" >"/dev/stderr"
}
