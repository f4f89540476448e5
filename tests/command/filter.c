// SPDX-License-Identifier: MIT OR Apache-2.0
// filter kill|refuse|no-ptrace COMMAND...: mlockall, or ptrace, is not to be had by it.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char** argv) {
  const unsigned call = argc > 2 && strcmp(argv[1], "no-ptrace") == 0 ? SYS_ptrace : SYS_mlockall;
  const unsigned what = argc > 2 && strcmp(argv[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS
                                                                 : SECCOMP_RET_ERRNO | EPERM;
  const unsigned in_32_bits = 152;  // mlockall of i386
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_I386, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, in_32_bits, 2, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, what),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {sizeof code / sizeof *code, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
  return execvp(argv[2], argv + 2);
}
