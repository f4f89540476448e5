// SPDX-License-Identifier: MIT OR Apache-2.0
// The library hands on the arguments of variadic functions. Where these come in another place than
// those of other functions differs between processors, and so it is asked of each.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  char name[16] = "", magic[3] = "";
  const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

  if (prctl(PR_SET_NAME, "arguments?", 0L, 0L, 0L) != 0 ||
      prctl(PR_GET_NAME, name, 0L, 0L, 0L) != 0 || strcmp(name, "arguments?") != 0) {
    printf("prctl: the name is \"%.16s\", not \"arguments?\"\n", name);
    return 1;
  }
  if (syscall(SYS_pread64, program, magic, sizeof magic, 1L) != sizeof magic ||
      memcmp(magic, "ELF", sizeof magic) != 0) {
    printf("syscall: pread64 has read \"%.3s\", not \"ELF\"\n", magic);
    return 1;
  }
  return 0;
}
