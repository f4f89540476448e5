-- SPDX-License-Identifier: MIT OR Apache-2.0
-- Compiled loops, garbage, children.
local sum = 0
for i = 1, 5e6 do sum = sum + i % 7 end
print(sum)
for _ = 1, 4 do
  local list = {}
  for i = 1, 50000 do list[i] = ('x'):rep(i % 50) .. i end
  collectgarbage()
end
print(os.execute('true'))
local pipe = io.popen('echo child 2>&1')
print(pipe:read('*a'))
pipe:close()
