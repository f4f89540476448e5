# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The lines of run as a Markdown table: rows are scenarios, columns are
# settings, a cell is "bad of all".

# The value of key=value in this line.
function value(key,    field) {
	if (!match($0, "(^| )" key "=[^ ]*")) return ""
	field = substr($0, RSTART, RLENGTH)
	sub(/^[^=]*=/, "", field)
	return field
}

function remember(list, name, seen) {
	if (!(name in seen)) { seen[name] = 1; list[++list[0]] = name }
}

/^result=/ {
	result = value("result")
	if (result == "error" || result == "idle") { unusable++; next }
	row = value("scenario"); column = value("setting"); cell = row SUBSEP column
	remember(rows, row, seen_row)
	remember(columns, column, seen_column)
	kernels[row] = value("kernel")
	all[cell]++
	bad[cell] += row ~ /^fork/ ? !(value("vmlck_kib") > 0 && value("vmswap_kib") == 0) \
				   : result != "survived"
	died[cell] += result == "died"
}

END {
	head = "| scenario | kernel |"; rule = "|---|---|"
	for (c = 1; c <= columns[0]; c++) { head = head " " columns[c] " |"; rule = rule "---|" }
	print head; print rule
	for (r = 1; r <= rows[0]; r++) {
		line = "| " rows[r] " | " kernels[rows[r]] " |"
		for (c = 1; c <= columns[0]; c++) {
			cell = rows[r] SUBSEP columns[c]
			text = cell in all ? bad[cell] " of " all[cell] : ""
			if (died[cell]) text = text ", died " died[cell]
			line = line " " text " |"
		}
		print line
	}
	if (unusable) print unusable " runs could not be made or proved nothing" >"/dev/stderr"
}
