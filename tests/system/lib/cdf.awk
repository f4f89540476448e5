# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The reports of latency runs as one SVG: how many requests were answered within
# which time.  Both axes are logarithmic, the vertical one in nines, since the
# tail is what this is about.  Usage: awk -f cdf.awk SETTING=FILE...

function log10(x) { return log(x) / log(10) }
function x_of(ms) { return left + (log10(ms < 0.1 ? 0.1 : ms > 1000 ? 1000 : ms) + 1) * width / decades }
function y_of(percent,    nines) {
	nines = percent >= 99.99 ? 4 : -log10(1 - percent / 100)
	return top + height - nines * height / 4
}
function text(x, y, anchor, words) {
	printf "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor, words
}
function gridline(x1, y1, x2, y2) {
	printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ccc\"/>\n", x1, y1, x2, y2
}

BEGIN {
	left = 60; top = 20; width = 600; height = 280; decades = 4
	colour["none"] = "#c0392b"; colour["lock"] = "#2471a3"
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"", left + width + 20, top + height + 50
	print " font-family=\"sans-serif\" font-size=\"12\">"
	print "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
	split("0.1 ms|1 ms|10 ms|100 ms|1 s", times, "|")
	for (i = 0; i <= decades; i++) {
		x = left + i * width / decades
		gridline(x, top, x, top + height)
		text(x, top + height + 16, "middle", times[i + 1])
	}
	split("0 90 99 99.9 99.99", percents, " ")
	for (i = 1; i <= 5; i++) {
		y = top + height - (i - 1) * height / 4
		gridline(left, y, left + width, y)
		text(left - 6, y + 4, "end", percents[i] "%")
	}
	text(left + width / 2, top + height + 38, "middle", "requests answered within")
	for (i = 1; i < ARGC; i++) {
		setting = ARGV[i]; sub(/=.*/, "", setting)
		file = ARGV[i]; sub(/^[^=]*=/, "", file)
		points = ""
		while ((getline line <file) > 0)
			if (split(line, part, " ") == 3 && part[1] == "cdf")
				points = points sprintf("%.1f,%.1f ", x_of(part[3]), y_of(part[2]))
		close(file)
		printf "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"%s\"/>\n", colour[setting], points
		if (!(setting in named)) {
			named[setting] = 1
			printf "<g fill=\"%s\">", colour[setting]
			text(left + 10, top + 16 * ++count, "start", setting == "none" ? "without the library" : "locked")
			print "</g>"
		}
	}
	print "</svg>"
}
