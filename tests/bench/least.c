// SPDX-License-Identifier: MIT OR Apache-2.0
// The least that locks from outside what it executes: memory shared with the tracer until then,
// four stops, mlockall, and nothing that is checked. For x86-64; elsewhere it only executes.
#define _GNU_SOURCE
#include <unistd.h>

#if defined(__x86_64__)
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static char middle_stack[16384] __attribute__((aligned(16)));
static char tracer_stack[65536] __attribute__((aligned(16)));
static int seized;
static pid_t launcher;

static void go_on(enum __ptrace_request how) {
  int status = 0;
  ptrace(how, launcher, NULL, NULL);
  waitpid(launcher, &status, __WALL);
}

static long copy(void* to, unsigned long from, unsigned long size) {
  const struct iovec here = {to, size};
  const struct iovec there = {(void*)from, size};
  return process_vm_readv(launcher, &here, 1, &there, 1, 0);
}

// A syscall instruction of the vdso, whose place is in the auxiliary vector, behind the
// environment.
static unsigned long find_instruction(unsigned long stack) {
  static unsigned long words[1024];
  static char code[8192];
  copy(words, stack, sizeof words);
  const unsigned long* word = words + words[0] + 2;
  while (*word != 0) {
    ++word;
  }
  for (++word; word[0] != AT_SYSINFO_EHDR; word += 2) {
  }
  const long size = copy(code, word[1], sizeof code);
  const char* const found = memmem(code, (size_t)size, "\x0f\x05", 2);
  return word[1] + (unsigned long)(found - code);
}

static int trace(void* unused) {
  int status = 0;
  ptrace(PTRACE_SEIZE, launcher, NULL, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
  __atomic_store_n(&seized, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &seized, FUTEX_WAKE, 1, NULL, NULL, 0);
  waitpid(launcher, &status, __WALL);  // PTRACE_EVENT_EXEC
  go_on(PTRACE_SYSCALL);               // the end of execve
  struct user_regs_struct own;
  ptrace(PTRACE_GETREGS, launcher, NULL, &own);
  struct user_regs_struct call = own;
  call.rip = find_instruction(own.rsp);
  call.rax = SYS_mlockall;
  call.orig_rax = (unsigned long)-1;
  call.rdi = MCL_CURRENT | MCL_ONFAULT;
  ptrace(PTRACE_SETREGS, launcher, NULL, &call);
  go_on(PTRACE_SYSCALL);
  go_on(PTRACE_SYSCALL);
  ptrace(PTRACE_SETREGS, launcher, NULL, &own);
  ptrace(PTRACE_DETACH, launcher, NULL, NULL);
  (void)unused;
  _exit(0);
}

static int start_tracer(void* unused) {
  clone(trace, tracer_stack + sizeof tracer_stack, CLONE_VM, unused);
  _exit(0);
}

static void have_it_locked(void) {
  launcher = getpid();
  const pid_t middle =
      clone(start_tracer, middle_stack + sizeof middle_stack, CLONE_VM | CLONE_VFORK, NULL);
  waitpid(middle, NULL, __WALL);
  while (__atomic_load_n(&seized, __ATOMIC_SEQ_CST) == 0) {
    syscall(SYS_futex, &seized, FUTEX_WAIT, 0, NULL, NULL, 0);
  }
}
#else
static void have_it_locked(void) {}
#endif

int main(int argc, char** argv) {
  (void)argc;
  have_it_locked();
  execv(argv[1], argv + 1);
  return 127;
}
