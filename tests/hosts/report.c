// SPDX-License-Identifier: MIT OR Apache-2.0
// Says what main finds: errno, descriptors, signals, limits and memory; then maps a little more.
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "host.h"

static void report_descriptors(void) {
  for (int descriptor = 0; descriptor < 256; ++descriptor) {
    const int flags = fcntl(descriptor, F_GETFL);
    if (flags >= 0) {
      say("fd %d flags %#x %#x\n", descriptor, fcntl(descriptor, F_GETFD), flags);
    }
  }
}

int main(void) {
  const int found = errno;
  struct rlimit limit;
  say("errno %d\n", found);
  report_descriptors();
  expect(getrlimit(RLIMIT_MEMLOCK, &limit) == 0, "getrlimit");
  say("memlock %lld %lld\n", (long long)limit.rlim_cur, (long long)limit.rlim_max);
  copy_file("/proc/self/status");
  // MCL_FUTURE shows only now: in what is locked, or by a refusal for the limit.
  void* const more = mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  say("== mapped\nrefused %d\n", more == MAP_FAILED ? errno : 0);
  copy_file("/proc/self/status");
  return 0;
}
