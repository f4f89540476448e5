// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory pressure and nothing else:  pressure MIB WORKERS
// It leaves the processors to everybody else: the memory it takes is what counts.
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "load.h"

int main(int argc, char** argv) {
  struct progress* progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  if (argc != 3 || progress == MAP_FAILED)
    return 2;
  if (nice(19) < 0)
    return 1;
  load_start(progress, atoi(argv[2]), atol(argv[1]), 1000);
  for (;;)
    pause();
}
