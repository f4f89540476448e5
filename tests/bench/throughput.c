// SPDX-License-Identifier: MIT OR Apache-2.0
// Moves the whole of a file once, and prints the seconds that took:
// throughput FILE read|write sequential|random BLOCK THREADS FLAGS, where FLAGS are letters: d
// O_DIRECT, s O_DSYNC, f fdatasync(2) at the end. Memory is aligned with d alone, as a daemon's is.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int file, is_write, is_random, is_aligned, threads;
static size_t block, blocks;

static void* move(void* number) {
  char* const memory = aligned_alloc(4096, block + 4096);
  char* const bytes = memory + (is_aligned ? 0 : 16);
  memset(memory, 7, block + 4096);
  for (size_t i = (size_t)number; i < blocks; i += (size_t)threads) {
    // A prime that no power of two shares a factor with: each block once.
    const size_t place = is_random ? i * 7919 % blocks : i;
    const off_t offset = (off_t)(place * block);
    const ssize_t moved =
        is_write ? pwrite(file, bytes, block, offset) : pread(file, bytes, block, offset);
    if (moved != (ssize_t)block) {
      perror("throughput");
      exit(1);
    }
  }
  free(memory);
  return NULL;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char** arguments) {
  if (count != 7) {
    return 2;
  }
  pthread_t running[64];
  const char* const flags = arguments[6];
  is_write = strcmp(arguments[2], "write") == 0;
  is_random = strcmp(arguments[3], "random") == 0;
  is_aligned = strchr(flags, 'd') != NULL;
  block = (size_t)atol(arguments[4]);
  threads = atoi(arguments[5]);
  file = open(arguments[1],
              O_RDWR | (is_aligned ? O_DIRECT : 0) | (strchr(flags, 's') != NULL ? O_DSYNC : 0));
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0 || threads > 64) {
    perror(arguments[1]);
    return 1;
  }
  blocks = (size_t)status.st_size / block;
  const double start = now();
  for (long i = 0; i < threads; ++i) {
    pthread_create(&running[i], NULL, move, (void*)i);
  }
  for (int i = 0; i < threads; ++i) {
    pthread_join(running[i], NULL);
  }
  if (strchr(flags, 'f') != NULL && fdatasync(file) != 0) {
    perror("fdatasync");
    return 1;
  }
  printf("%.4f\n", now() - start);
  return 0;
}
