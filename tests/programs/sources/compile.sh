# SPDX-License-Identifier: MIT OR Apache-2.0
# compile.sh COMPILER SOURCE: compiles, links, runs.
$1 -O2 -Wall -o program "$2" || exit
messages=$($1 -Wall -c -o object.o "$2" 2>&1)
echo "messages '$messages'"
./program
echo "exit status $?"
echo 'int main(void) { return undeclared; }' >wrong.c
$1 -c wrong.c
echo "exit status $?"
