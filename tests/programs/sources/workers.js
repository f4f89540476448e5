// SPDX-License-Identifier: MIT OR Apache-2.0
// Isolates in threads of their own, each with a heap that comes and goes.
'use strict';
const { Worker, isMainThread, parentPort } = require('worker_threads');

if (isMainThread) {
  const answers = [];
  for (let i = 0; i < 3; ++i) {
    new Worker(__filename).on('message', (answer) => answers.push(answer));
  }
  process.on('exit', () => console.log(answers.join(' ')));
} else {
  const lists = Array.from({ length: 50000 }, (_, i) => [i]);
  parentPort.postMessage(lists.reduce((total, list) => total + list[0], 0));
}
