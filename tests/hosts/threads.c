// SPDX-License-Identifier: MIT OR Apache-2.0
// Eight threads that live at once and hold memory: says how large their stacks are, how many heaps
// malloc has, and how much is locked. threads [BYTES]: with a stack size of the program's own.
#define _GNU_SOURCE  // pthread_getattr_np
#include <malloc.h>
#include <pthread.h>

#include "host.h"

enum { kThreads = 8 };

static pthread_barrier_t g_all_hold;
static pthread_barrier_t g_all_seen;

static size_t stack_of_thread(void) {
  pthread_attr_t attributes;
  size_t size = 0;
  expect(pthread_getattr_np(pthread_self(), &attributes) == 0, "pthread_getattr_np");
  expect(pthread_attr_getstacksize(&attributes, &size) == 0, "pthread_attr_getstacksize");
  pthread_attr_destroy(&attributes);
  return size;
}

static void* hold(void* size) {
  *(size_t*)size = stack_of_thread();
  char* const block = malloc(1000);
  expect(block != NULL, "malloc");
  memset(block, 1, 1000);
  pthread_barrier_wait(&g_all_hold);
  pthread_barrier_wait(&g_all_seen);
  free(block);
  return NULL;
}

/// glibc's own account; musl has one heap, and no such account.
static int count_heaps(void) {
#ifdef __GLIBC__
  char* text = NULL;
  size_t size = 0;
  FILE* const stream = open_memstream(&text, &size);
  expect(stream != NULL && malloc_info(0, stream) == 0 && fclose(stream) == 0, "malloc_info");
  int heaps = 0;
  for (const char* at = text; (at = strstr(at, "<heap nr=")) != NULL; ++at) {
    ++heaps;
  }
  free(text);
  return heaps;
#else
  return 1;
#endif
}

int main(int count, char** arguments) {
  pthread_t threads[kThreads];
  size_t sizes[kThreads];
  pthread_attr_t attributes;
  expect(pthread_attr_init(&attributes) == 0, "pthread_attr_init");
  if (count > 1) {
    const size_t own = strtoul(arguments[1], NULL, 10);
    expect(pthread_attr_setstacksize(&attributes, own) == 0, "pthread_attr_setstacksize");
  }
  pthread_barrier_init(&g_all_hold, NULL, kThreads + 1);
  pthread_barrier_init(&g_all_seen, NULL, kThreads + 1);
  for (int i = 0; i < kThreads; ++i) {
    pthread_attr_t* const own = count > 1 ? &attributes : NULL;
    expect(pthread_create(&threads[i], own, hold, &sizes[i]) == 0, "pthread_create");
  }
  pthread_barrier_wait(&g_all_hold);
  copy_file("/proc/self/status");
  say("heaps %d\n", count_heaps());
  pthread_barrier_wait(&g_all_seen);
  for (int i = 0; i < kThreads; ++i) {
    expect(pthread_join(threads[i], NULL) == 0, "pthread_join");
    say("stack %zu\n", sizes[i]);
  }
  return 0;
}
