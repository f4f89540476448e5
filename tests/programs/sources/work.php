<?php
// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory that is given back, a child process, a fork where there is one.
for ($round = 0; $round < 4; ++$round) {
    $list = range(0, 200000);
    $text = str_repeat('x', 8 << 20);
    echo count($list) + strlen($text), "\n";
    unset($list, $text);
    gc_mem_caches();
}
echo shell_exec('echo child 2>&1');
exec('true 2>&1', $lines, $status);
echo count($lines), ' ', $status, "\n";
if (function_exists('pcntl_fork')) {
    $child = pcntl_fork();
    if ($child === 0) {
        exit(3);
    }
    pcntl_waitpid($child, $status);
    echo pcntl_wexitstatus($status), "\n";
}
