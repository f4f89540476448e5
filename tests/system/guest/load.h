// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory pressure: processes that write and re-read more memory than there is.
#pragma once
#include <stdint.h>
#include <sys/types.h>

enum { kMaxWorkers = 16 };

// Shared with the workers; they write, the judge reads.
struct progress {
  struct {
    volatile uint64_t touched;  // pages written
    volatile uint64_t corrupt;  // pages that came back from swap changed
    uint64_t cache_line[6];
  } worker[kMaxWorkers];
};

// Starts a keeper, which starts `workers` processes that use `mib` in total and
// replaces each one that the out-of-memory killer takes.  A worker rests for `rest_us`
// after every few pages: 0 takes the processors too, not only the memory.
void load_start(struct progress* progress, int workers, long mib, unsigned rest_us);

uint64_t load_touched(const struct progress* progress);
uint64_t load_corrupt(const struct progress* progress);
