// SPDX-License-Identifier: MIT OR Apache-2.0
// Gives root up, in the way its first argument says, and then does what the second says.
// dropper WAY[+keep] work|forked|again|again-forked|grow|vfork|threads|worker|exact;
// WAY is a name in `drop`.
#define _GNU_SOURCE  // setresuid, vfork
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "workload.h"

// linux/capability.h, which musl's compiler does not find.
enum { kCapIpcLock = 14, kVersion3 = 0x20080522, kSets = 2 };
struct CapabilityHeader {
  unsigned version;
  int process;
};
struct CapabilitySet {
  unsigned effective;
  unsigned permitted;
  unsigned inheritable;
};
int capset(struct CapabilityHeader* header, const struct CapabilitySet* sets);
int capget(struct CapabilityHeader* header, struct CapabilitySet* sets);

enum { kUser = 65534, kPage = 64 * 1024 };

static int drop_capability(int permitted_too) {
  struct CapabilityHeader header = {kVersion3, 0};
  struct CapabilitySet sets[kSets];
  expect(capget(&header, sets) == 0, "capget");
  sets[0].effective &= ~(1U << kCapIpcLock);
  if (permitted_too) {
    sets[0].permitted &= ~(1U << kCapIpcLock);
  }
  return capset(&header, sets);
}

/// Into the user namespace of a child, which this process may enter as its parent.
static int enter_namespace(void) {
  int ready[2];
  char byte = 0;
  expect(pipe(ready) == 0, "pipe");
  const pid_t child = fork();
  if (child == 0) {
    expect(unshare(CLONE_NEWUSER) == 0, "unshare");
    expect(write(ready[1], &byte, 1) == 1, "write");
    pause();
  }
  expect(read(ready[0], &byte, 1) == 1, "read");
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", (int)child);
  const int file = open(path, O_RDONLY);
  const int result = setns(file, CLONE_NEWUSER);
  const int error = errno;
  close(file);
  close(ready[0]);
  close(ready[1]);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  errno = error;
  return result;
}

static int lower_limit(int (*set)(int, const struct rlimit*)) {
  const struct rlimit low = {64 * 1024, 64 * 1024};
  return set(RLIMIT_MEMLOCK, &low);
}

static int by_setrlimit(int resource, const struct rlimit* limit) {
  return setrlimit(resource, limit);
}
static int by_prlimit(int resource, const struct rlimit* limit) {
  return prlimit(getpid(), resource, limit, NULL);
}

static int drop(const char* way, uid_t user) {
  if (strcmp(way, "syscall-setuid") == 0) {
    return (int)syscall(SYS_setuid, user);
  }
  if (strcmp(way, "syscall-setreuid") == 0) {
    return (int)syscall(SYS_setreuid, user, user);
  }
  if (strcmp(way, "syscall-setresuid") == 0) {
    return (int)syscall(SYS_setresuid, user, user, user);
  }
  if (strcmp(way, "syscall-unshare") == 0) {
    return (int)syscall(SYS_unshare, CLONE_NEWUSER);
  }
  if (strcmp(way, "instruction") == 0) {
    return raw_setresuid(user);
  }
  if (strcmp(way, "unshare") == 0) {
    return unshare(CLONE_NEWUSER);
  }
  if (strcmp(way, "setns") == 0) {
    return enter_namespace();
  }
  if (strcmp(way, "setrlimit") == 0) {
    return lower_limit(by_setrlimit) != 0 ? -1 : setuid(user);
  }
  if (strcmp(way, "prlimit") == 0) {
    return lower_limit(by_prlimit) != 0 ? -1 : setuid(user);
  }
  if (strcmp(way, "chroot") == 0) {
    return chroot("/etc") != 0 || chdir("/") != 0 ? -1 : setuid(user);
  }
  if (strcmp(way, "descriptors") == 0) {
    const struct rlimit none = {3, 3};
    return setrlimit(RLIMIT_NOFILE, &none) != 0 ? -1 : setuid(user);
  }
  if (strcmp(way, "setuid") == 0) {
    return setuid(user);
  }
  if (strcmp(way, "seteuid") == 0) {
    return seteuid(user);
  }
  if (strcmp(way, "setreuid") == 0) {
    return setreuid(user, user);
  }
  if (strcmp(way, "setresuid") == 0) {
    return setresuid(user, user, user);
  }
  expect(strncmp(way, "capset-", 7) == 0, "a way to drop");
  return drop_capability(strcmp(way, "capset-permitted") == 0);
}

static void drop_or_fail(const char* way) {
  errno = 77;
  expect(drop(way, kUser) == 0, way);
  say("errno %d\n", errno);
}

static void wait_for(pid_t child) {
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
  say("child %#x\n", (unsigned)status);
}

/// A mapping of its own, whose neighbours have other rights; told by its address.
static char* map(const char* name) {
  char* const block = mmap(NULL, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(block != MAP_FAILED, "mmap");
  expect(munmap(block + kPage, kPage) == 0, "munmap");
  void* const middle = mmap(block + kPage, kPage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  expect(middle == block + kPage, "mmap of the middle");
  memset(middle, 1, kPage);
  say("mapped %s %lx\n", name, (unsigned long)middle);
  return middle;
}

/// As /proc shows this process, opened while it can be.
static int g_status = -1;
static int g_smaps = -1;

static void copy(int file) {
  char block[4096];
  for (ssize_t count; (count = read(file, block, sizeof block)) > 0;) {
    put(block, (size_t)count);
  }
}

static void work(const char* way, int fork_first) {
  if (!fork_first) {
    drop_or_fail(way);
  }
  const pid_t child = fork();
  if (child == 0) {
    if (fork_first) {
      drop_or_fail(way);
    }
    use_memory();
    if (access("/proc/self/status", R_OK) == 0 && strcmp(way, "descriptors") != 0) {
      copy_file("/proc/self/status");
    }
    _exit(0);
  }
  wait_for(child);
  say("== parent\n");
  use_memory();
  map("later");
  copy(g_smaps);
  copy(g_status);
}

/// There and back.
static void regain(const char* way) {
  drop_or_fail(way);
  map("between");
  say("== dropped\n");
  copy_file("/proc/self/smaps");
  expect(seteuid(0) == 0, "seteuid back");
  say("== back\n");
  map("afterwards");
  copy_file("/proc/self/smaps");
}

/// Back and forth, with a stack that grows on either side.
static void grow(const char* way) {
  for (int mib = 1; mib < 8; ++mib) {
    drop_or_fail(way);
    say("dropped %d\n", recurse(mib * 16 - 8));
    allocate();
    expect(seteuid(0) == 0, "seteuid back");
    say("back %d\n", recurse(mib * 16));
    allocate();
  }
  copy_file("/proc/self/status");
}

static void drop_in_vfork(const char* way) {
  char* const arguments[] = {"true", NULL};
  char* const environment[] = {NULL};
  const pid_t child = vfork();
  if (child == 0) {
    if (drop(way, kUser) == 0) {
      execve("/bin/true", arguments, environment);
    }
    _exit(94);
  }
  wait_for(child);
  map("afterwards");
  copy_file("/proc/self/smaps");
}

static int g_release[2];

static void* wait_for_end(void* unused) {
  (void)unused;
  char byte;
  (void)!read(g_release[0], &byte, 1);
  return NULL;
}

/// Each thread's identity, as the kernel has it.
static void drop_with_threads(const char* way) {
  pthread_t threads[kThreads];
  expect(pipe(g_release) == 0, "pipe");
  for (int i = 0; i < kThreads; ++i) {
    expect(pthread_create(&threads[i], NULL, wait_for_end, NULL) == 0, "pthread_create");
  }
  drop_or_fail(way);
  DIR* const tasks = opendir("/proc/self/task");
  expect(tasks != NULL, "opendir");
  for (const struct dirent* task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] != '.') {
      char path[300];
      snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
      copy_file(path);
    }
  }
  closedir(tasks);
  close(g_release[1]);
  for (int i = 0; i < kThreads; ++i) {
    expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
  }
}

static pthread_barrier_t g_turn;

static void* drop_for_itself(void* way) {
  drop_or_fail(way);
  pthread_barrier_wait(&g_turn);
  pthread_barrier_wait(&g_turn);  // the other thread has been to another user and back
  allocate();
  return NULL;
}

/// One thread drops for itself, another goes to another user and back: both get memory.
static void drop_in_worker(const char* way) {
  pthread_t worker;
  expect(pthread_barrier_init(&g_turn, NULL, 2) == 0, "barrier");
  expect(pthread_create(&worker, NULL, drop_for_itself, (void*)way) == 0, "pthread_create");
  pthread_barrier_wait(&g_turn);
  expect(seteuid(kUser) == 0 && seteuid(0) == 0, "seteuid");
  pthread_barrier_wait(&g_turn);
  expect(pthread_join(worker, NULL) == 0, "pthread_join");
  use_memory();
  map("later");
  copy_file("/proc/self/smaps");
  copy_file("/proc/self/status");
}

static void tell(const char* call, int result) { say("%s %d %d\n", call, result, errno); }

/// Results and errno of calls that fail, and of such that change nothing.
static void call_exactly(void) {
  const uid_t none = (uid_t)-1;
  struct CapabilityHeader header = {0x12345678, 0};
  struct CapabilitySet all[kSets] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}};
  errno = 77;
  tell("setuid(-1)", setuid(none));
  tell("seteuid(-1)", seteuid(none));
  errno = 77;
  tell("setreuid(-1, -1)", setreuid(none, none));
  tell("setresuid(-1, -1, -1)", setresuid(none, none, none));
  tell("setuid(1)", getuid() == 0 ? 0 : setuid(1));
  tell("seteuid(0)", seteuid(0));
  tell("setreuid(0, 0)", setreuid(0, 0));
  tell("setresuid(0, 0, 0)", setresuid(0, 0, 0));
  tell("setuid(own)", setuid(getuid()));
  tell("capset of another version", capset(&header, all));
  say("version %#x\n", header.version);
  header.process = 1;
  tell("capset of another process", capset(&header, all));
  header.process = 0;
  tell("capset of everything", capset(&header, all));
  tell("capset of nothing", capset(&header, NULL));
}

int main(int count, char** arguments) {
  expect(count == 3, "two arguments");
  char* const keep = strstr(arguments[1], "+keep");
  if (keep != NULL) {
    *keep = '\0';
    expect(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0, "PR_SET_KEEPCAPS");
  }
  g_status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  g_smaps = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
  const char* const way = arguments[1];
  const char* const what = arguments[2];
  if (strcmp(what, "again") == 0) {
    regain(way);
  } else if (strcmp(what, "again-forked") == 0) {
    drop_or_fail(way);
    expect(seteuid(0) == 0, "seteuid back");
    work(way, 1);
  } else if (strcmp(what, "grow") == 0) {
    grow(way);
  } else if (strcmp(what, "vfork") == 0) {
    drop_in_vfork(way);
  } else if (strcmp(what, "threads") == 0) {
    drop_with_threads(way);
  } else if (strcmp(what, "worker") == 0) {
    drop_in_worker(way);
  } else if (strcmp(what, "exact") == 0) {
    call_exactly();
  } else {
    expect(strcmp(what, "work") == 0 || strcmp(what, "forked") == 0, "something to do");
    work(way, what[0] == 'f');
  }
  return 0;
}
