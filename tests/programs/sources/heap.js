// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory that V8 takes and gives back, its own threads, a child process, WebAssembly.
'use strict';
const { execFileSync } = require('child_process');
const zlib = require('zlib');

let sum = 0;
for (let round = 0; round < 4; ++round) {
  const kept = [];
  for (let i = 0; i < 20000; ++i) kept.push({ index: i, text: 'x'.repeat(i % 64) });
  const block = Buffer.alloc(8 << 20, round);
  sum += kept.reduce((total, one) => total + one.text.length, 0) + block[block.length - 1];
  global.gc();
}
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1024 });
memory.grow(64);
const packed = zlib.gzipSync(Buffer.alloc(1 << 20, 'abc'));
console.log(sum, memory.buffer.byteLength, zlib.gunzipSync(packed).length);
console.log(execFileSync('sh', ['-c', 'echo child 2>&1']).toString().trim());
zlib.gzip(Buffer.alloc(1 << 20), (error, data) => console.log(error, data.length > 0));
