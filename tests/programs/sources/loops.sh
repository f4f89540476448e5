# SPDX-License-Identifier: MIT OR Apache-2.0
# What scripts do: substitutions, pipelines, subshells, background jobs, errors read as output.
total=0
i=0
while [ $i -lt 100 ]; do
	total=$((total + $(echo 1)))
	i=$((i + 1))
done
echo $total
i=0
while [ $i -lt 40 ]; do
	text=$(awk 'BEGIN { print 1 }' 2>&1)
	[ "$text" = 1 ] || echo "awk said $text"
	i=$((i + 1))
done
seq 1 100000 | sort -rn | head -n 1
for number in 1 2 3 4 5 6 7 8; do
	(exit $number) &
	wait $!
	echo $?
done
for number in $(seq 1 8); do
	sh -c "exit $number" 2>messages || echo $?
	cat messages
done
trap 'echo trapped' USR1
kill -USR1 $$
cat <<END | tr a-z A-Z
here
END
