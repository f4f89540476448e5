# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The reports of latency runs as one picture: how many requests were answered within which
# time.  The vertical axis is in nines, since the tail is what this is about.
#
#	gnuplot -e 'picture="FILE"; none="REPORT..."; lock="REPORT..."' cdf.gp
set terminal svg size 720,360 font "sans-serif,12" background "white"
set output picture
set xlabel "requests answered within (ms)"
set logscale x
set xrange [0.1:*]
set nonlinear y via -log10(1 - y / 100.) inverse 100 * (1 - 10 ** (-y))
set yrange [0:99.99]
set ytics ("0 %%" 0, "90 %%" 90, "99 %%" 99, "99.9 %%" 99.9, "99.99 %%" 99.99)
set grid
set key top left
points(report) = "<sed -n 's/^cdf //p' " . report
within(percent) = percent < 99.99 ? percent : 99.99
red = "#c0392b"
blue = "#2471a3"
plot keyentry with lines linecolor rgb red title "without the library", \
     keyentry with lines linecolor rgb blue title "locked", \
     for [report in none] points(report) using 2:(within($1)) with lines linecolor rgb red notitle, \
     for [report in lock] points(report) using 2:(within($1)) with lines linecolor rgb blue notitle
