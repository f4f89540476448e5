// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory of every kind: whether it is locked and resident here and in a forked child, and what
// each advice does to it. Says so in one line each.
#define _GNU_SOURCE  // memfd_create
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "host.h"

#define PAGES 16  // of a mapping; the first half is touched

// Of kernels newer than some C libraries.
#define ADVICE_COLD 20
#define ADVICE_PAGEOUT 21

struct kind {
  const char* name;
  int protection;
  int flags;
  const char* folder;  // of its file, that of the arguments where empty; none: no file
};

static const struct kind kKinds[] = {
    {"anonymous", PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL},
    {"anonymous-read-only", PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, NULL},
    {"shared-anonymous", PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, NULL},
    {"memfd", PROT_READ | PROT_WRITE, MAP_SHARED, "memfd"},
    {"private-memfd", PROT_READ | PROT_WRITE, MAP_PRIVATE, "memfd"},
    {"tmpfs", PROT_READ | PROT_WRITE, MAP_SHARED, "/dev/shm"},
    {"tmpfs-read-only", PROT_READ, MAP_SHARED, "/dev/shm"},
    {"file-private-writable", PROT_READ | PROT_WRITE, MAP_PRIVATE, ""},
    {"file-private", PROT_READ, MAP_PRIVATE, ""},
    {"file-shared", PROT_READ, MAP_SHARED, ""},
    {"file-shared-writable", PROT_READ | PROT_WRITE, MAP_SHARED, ""},
    {"file-executable", PROT_READ | PROT_EXEC, MAP_PRIVATE, ""},
};
enum { kKindCount = sizeof kKinds / sizeof *kKinds, kSharedFile = 9 };

static const struct {
  const char* name;
  int number;
} kAdvice[] = {
    {"DONTNEED", MADV_DONTNEED}, {"FREE", MADV_FREE},         {"COLD", ADVICE_COLD},
    {"PAGEOUT", ADVICE_PAGEOUT}, {"REMOVE", MADV_REMOVE},     {"WILLNEED", MADV_WILLNEED},
    {"NORMAL", MADV_NORMAL},     {"DONTFORK", MADV_DONTFORK}, {"unknown", 12345},
};

static size_t page_size;
static const char* work_folder;

/// Whether all mappings between the two addresses are locked, by VmFlags of smaps.
static int locked(const char* begin, size_t size) {
  char line[512];
  int inside = 0, all = 1, found = 0;
  FILE* const smaps = fopen("/proc/self/smaps", "re");
  expect(smaps != NULL, "smaps");
  while (fgets(line, sizeof line, smaps) != NULL) {
    unsigned long from, to;
    if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
      inside = from < (uintptr_t)begin + size && to > (uintptr_t)begin;
    } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      all &= strstr(line, " lo") != NULL;
      found = 1;
    }
  }
  fclose(smaps);
  return all && found;
}

/// Pages in this process's page tables, whoever else has them.
static size_t resident(const char* begin, size_t size) {
  size_t count = 0;
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  expect(pagemap >= 0, "pagemap");
  for (size_t page = 0; page < size / page_size; ++page) {
    uint64_t entry = 0;
    const off_t at = (off_t)(((uintptr_t)begin / page_size + page) * sizeof entry);
    expect(pread(pagemap, &entry, sizeof entry, at) == sizeof entry, "pagemap");
    count += entry >> 63;
  }
  close(pagemap);
  return count;
}

static int file_in(const char* folder) {
  char path[4096];
  char block[4096];
  if (strcmp(folder, "memfd") == 0) {
    strcpy(path, "kinds");
  } else {
    snprintf(path, sizeof path, "%s/kinds-XXXXXX", *folder != 0 ? folder : work_folder);
  }
  const int file = path[0] == '/' ? mkstemp(path) : memfd_create(path, 0);
  expect(file >= 0, "a file");
  if (path[0] == '/') {
    unlink(path);
  }
  memset(block, 'f', sizeof block);
  for (size_t written = 0; written < PAGES * page_size; written += sizeof block) {
    expect(write(file, block, sizeof block) == sizeof block, "write");
  }
  // Dirty pages could not be given back.
  expect(fsync(file) == 0, "fsync");
  return file;
}

static char* map_kind(const struct kind* kind) {
  const int file = kind->folder != NULL ? file_in(kind->folder) : -1;
  char* const memory = mmap(NULL, PAGES * page_size, kind->protection, kind->flags, file, 0);
  expect(memory != MAP_FAILED, kind->name);
  if (file >= 0) {
    close(file);
  }
  return memory;
}

static void touch(volatile char* memory, size_t size, int write) {
  for (size_t at = 0; at < size; at += page_size) {
    if (write) {
      memory[at] = 'x';
    } else {
      (void)memory[at];
    }
  }
}

static void say_kind(const char* where, const char* name, const char* memory, size_t size) {
  say("%s %s locked %d resident %zu of %zu\n", where, name, locked(memory, size),
      resident(memory, size), size / page_size);
}

/// A child has locked its mappings itself, in the library's handler.
static void say_here_and_in_child(const char* name, const char* memory, size_t size) {
  say_kind("process", name, memory, size);
  const pid_t child = fork();
  if (child == 0) {
    say_kind("child", name, memory, size);
    _exit(0);
  }
  int status = 0;
  expect(child > 0 && waitpid(child, &status, 0) == child && status == 0, "fork");
}

static char* page_of(const void* address) {
  return (char*)((uintptr_t)address / page_size * page_size);
}

static void report_mapped(void) {
  for (size_t i = 0; i < kKindCount; ++i) {
    char* const memory = map_kind(&kKinds[i]);
    touch(memory, PAGES / 2 * page_size, kKinds[i].protection & PROT_WRITE);
    say_here_and_in_child(kKinds[i].name, memory, PAGES * page_size);
    munmap(memory, PAGES * page_size);
  }
}

static void report_heap(void) {
  const size_t size = PAGES * page_size;
  char* const small = malloc(size);
  expect(small != NULL, "malloc");
  memset(small, 1, size);
  say_here_and_in_child("heap", page_of(small) + page_size, size - 2 * page_size);
  char* const large = malloc(1 << 20);
  expect(large != NULL, "malloc");
  memset(large, 1, 1 << 20);
  say_here_and_in_child("large-heap", page_of(large) + page_size, size);
  free(large);
  free(small);
}

static void report_stack(const char* name) {
  char block[4096];
  memset(block, 1, sizeof block);
  say_here_and_in_child(name, page_of(block), page_size);
}

static void* report_thread_stack(void* name) {
  report_stack(name);
  return NULL;
}

static void report_library(const char* path) {
  void* const library = dlopen(path, RTLD_NOW);
  expect(library != NULL, "dlopen");
  const char* const constants = dlsym(library, "plugin_constants");
  char* const variables = dlsym(library, "plugin_variables");
  const size_t size = (PAGES - 2) * page_size;
  expect(constants != NULL && variables != NULL, "dlsym");
  say_here_and_in_child("library-constants", page_of(constants) + page_size, size);
  touch(page_of(variables) + page_size, size, 1);
  say_here_and_in_child("library-variables", page_of(variables) + page_size, size);
}

static void say_advice(const struct kind* kind, size_t index, const char* part, size_t from,
                       size_t pages) {
  const size_t size = PAGES * page_size;
  char* const memory = map_kind(kind);
  touch(memory, size, kind->protection & PROT_WRITE);
  const int before = locked(memory, size);
  errno = 0;
  const int answer = madvise(memory + from * page_size, pages * page_size, kAdvice[index].number);
  const int error = errno;
  const int after = locked(memory, size);
  const size_t left = resident(memory + from * page_size, pages * page_size);
  // Whether a page is gone that was freed lazily is up to the kernel.
  const int lazy = kAdvice[index].number == MADV_FREE;
  char content[3 * PAGES + 1] = "";
  for (size_t page = 0; page < PAGES && !lazy; ++page) {
    snprintf(content + 2 * page, 3, "%02x", (unsigned char)memory[page * page_size]);
  }
  say("advice %s %s %s answer %d %d content %s locked %d %d left %zu\n", kind->name,
      kAdvice[index].name, part, answer, error, content, before, after, left);
  munmap(memory, size);
}

static void report_advice(void) {
  for (size_t i = 0; i < kKindCount; ++i) {
    for (size_t advice = 0; advice < sizeof kAdvice / sizeof *kAdvice; ++advice) {
      say_advice(&kKinds[i], advice, "all", 0, PAGES);
      say_advice(&kKinds[i], advice, "middle", 3, 2);
    }
  }
}

/// Calls that the kernel refuses, or takes in parts, whatever is locked.
static void report_odd_calls(void) {
  const size_t size = PAGES * page_size;
  char* const memory = map_kind(&kKinds[0]);
  touch(memory, size, 1);
  munmap(memory + 4 * page_size, page_size);
  expect(mprotect(memory + 8 * page_size, page_size, PROT_NONE) == 0, "mprotect");
  const struct {
    const char* name;
    char* at;
    size_t size;
  } calls[] = {
      {"hole", memory, size},
      {"no-access", memory + 8 * page_size, 2 * page_size},
      {"unaligned", memory + 1, page_size},
      {"part-of-a-page", memory, 1},
      {"empty", memory, 0},
      {"wrapping", memory, (size_t)-1},
      {"null", NULL, page_size},
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; ++i) {
    const int before = locked(memory + 5 * page_size, page_size);
    errno = 0;
    const int answer = madvise(calls[i].at, calls[i].size, MADV_DONTNEED);
    const int error = errno;
    errno = 0;
    const int posix = posix_madvise(calls[i].at, calls[i].size, POSIX_MADV_DONTNEED);
    const int unchanged = errno == 0;
    say("call %s answer %d %d posix %d %d content %02x%02x locked %d %d\n", calls[i].name, answer,
        error, posix, unchanged, (unsigned char)memory[0], (unsigned char)memory[10 * page_size],
        before, locked(memory + 5 * page_size, page_size));
    touch(memory, 4 * page_size, 1);
    touch(memory + 9 * page_size, 7 * page_size, 1);
  }
}

/// What the program itself has locked stays so, and what replaces a part is of its own kind.
static void report_own(void) {
  const size_t size = PAGES * page_size;
  const struct kind* const shared = &kKinds[kSharedFile];
  struct kind map_locked = *shared;
  map_locked.flags |= MAP_LOCKED;
  say_kind("process", "own-map-locked", map_kind(&map_locked), size);
  char* const memory = map_kind(shared);
  expect(mlock(memory, size) == 0, "mlock");
  say_kind("process", "own-mlock", memory, size);

  char* const file = map_kind(shared);
  char* const part = mmap(file + page_size, page_size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  expect(part == file + page_size, "MAP_FIXED");
  say_here_and_in_child("anonymous-in-file", part, page_size);
  say_here_and_in_child("file-around-anonymous", part + page_size, size - 2 * page_size);
}

static void report_kinds(const char* plugin) {
  report_mapped();
  report_own();
  report_heap();
  report_stack("stack");
  pthread_t thread;
  expect(pthread_create(&thread, NULL, report_thread_stack, (void*)"thread-stack") == 0, "thread");
  pthread_join(thread, NULL);
  if (plugin != NULL) {
    report_library(plugin);
  }
}

/// kinds FOLDER advice, or kinds FOLDER locked [PLUGIN]; FOLDER of a file system on a disk.
int main(int argc, char** argv) {
  expect(argc > 2, "usage: kinds FOLDER advice|locked [PLUGIN]");
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  work_folder = argv[1];
  if (strcmp(argv[2], "locked") == 0) {
    report_kinds(argv[3]);
  } else {
    report_advice();
    report_odd_calls();
  }
  return 0;
}
