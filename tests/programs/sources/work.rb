# SPDX-License-Identifier: MIT OR Apache-2.0
# Garbage, compaction, threads, fibers with stacks of their own, children.
4.times do
  Array.new(50_000) { |i| 'x' * (i % 100) }
  GC.start
end
GC.compact if GC.respond_to?(:compact)
puts Array.new(10) { |i| Thread.new { ('a' * 1_000_000).size + i } }.sum(&:value)
puts Array.new(500) { |i| Fiber.new { Fiber.yield i } }.sum(&:resume)
puts `echo child 2>&1`
puts Process.wait2(fork { exit!(3) })[1].exitstatus
puts IO.popen(%w[sh -c true], err: %i[child out], &:read).inspect
