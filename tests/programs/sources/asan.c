// SPDX-License-Identifier: MIT OR Apache-2.0
// Memory of every kind under AddressSanitizer, and with an argument a fault that it finds.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void* work(void* ignored) {
  for (int i = 0; i < 2000; ++i) {
    char* const block = malloc((size_t)i * 10 + 1);
    memset(block, i, (size_t)i * 10 + 1);
    free(block);
  }
  return ignored;
}

int main(int argc, char** argv) {
  (void)argv;
  pthread_t threads[4];
  for (int i = 0; i < 4; ++i) {
    pthread_create(&threads[i], NULL, work, NULL);
  }
  for (int i = 0; i < 4; ++i) {
    pthread_join(threads[i], NULL);
  }
  char* const memory =
      mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(memory, 1, 1 << 20);
  printf("advice %d %d\n", madvise(memory, 1 << 20, MADV_DONTNEED), memory[4096]);
  printf("user %d\n", setuid(65534));
  fflush(stdout);
  if (fork() == 0) {
    work(NULL);
    _exit(3);
  }
  int status = 0;
  wait(&status);
  printf("child %d\n", WEXITSTATUS(status));
  fflush(stdout);
  char* const block = malloc(10);
  const int fault = block[argc > 1 ? 10 : 0] & 1;
  free(block);
  return fault & 0;
}
