# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `scripts/bench --scale` prints, as curves: time above, memory below.
#
#	gnuplot -e 'table="FILE"; picture="FILE"' scale.gp
set terminal svg size 1080,460 font "sans-serif,11" background "white"
set output picture
set multiplot layout 2,5 margins 0.07,0.98,0.08,0.83 spacing 0.045,0.14
set logscale xy
set format x "%.0s%c"
set format y "%g"
set xtics 10
set mxtics 1
set mytics 1
set grid
unset key
titles = "mappings threads reserved heap children"
heads = "'mappings' 'threads' 'GiB reserved' 'MiB of heap' 'children alive'"
# Of all blocks, the rows of the one whose heading has this word.
rows(word) = "<awk '/ lock ms / { here = / " . word . "/ } here && NF == 9' " . table
red = "#c0392b"
blue = "#2471a3"
grey = "#7f8c8d"
set label 1 "fork, without the library" at screen 0.07,0.96 textcolor rgb grey
set label 2 "fork, with it" at screen 0.27,0.96 textcolor rgb blue
set label 3 "a lock of what is there (the header API)" at screen 0.39,0.96 textcolor rgb red
do for [i = 1:5] {
	set title word(heads, i)
	set ylabel i == 1 ? "ms" : ""
	if (i > 1) { unset label }
	plot [][0.05:300] rows(word(titles, i)) using 1:5 with lines linecolor rgb grey, \
		"" using 1:6 with lines linecolor rgb blue, \
		"" using 1:2 with lines linecolor rgb red
}
unset title
do for [i = 1:5] {
	set ylabel i == 1 ? "MiB" : ""
	plot [][1:10000] rows(word(titles, i)) using 1:7 with lines linecolor rgb grey, \
		"" using 1:8 with lines linecolor rgb blue
}
unset multiplot
