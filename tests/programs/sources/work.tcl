# SPDX-License-Identifier: MIT OR Apache-2.0
# exec takes anything that a child writes to stderr for an error.
exec true
# The shell's own echo, as another may be larger than a user's limit, and be told of.
puts [exec sh -c {echo child}]
puts [exec sh -c {awk 'BEGIN { print 3 }'}]
puts [catch {exec sh -c {echo trouble >&2}} message]
puts $message
for {set i 0} {$i < 20} {incr i} { exec true }
set list {}
for {set i 0} {$i < 50000} {incr i} { lappend list [string repeat x [expr {$i % 50}]] }
puts [llength $list]
