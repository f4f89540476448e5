// SPDX-License-Identifier: MIT OR Apache-2.0
// What was answered by fdatasync(2) is on the device, when the power goes.
//
//	power_cut FILE SIZE_MIB SECONDS [nosync]
//
// Four threads, each in a quarter of FILE, write ranges of any offset and size, and then have them
// synced; or, with nosync, only say so: a store that is not synced has to lose something, or the
// cut was none.  After SECONDS, /exp/jobs/power-cut.sh cuts the device off, which goes on
// answering; what is left is read back by way of it, and compared.
//
// At the end one "RESULT" line:
//	held    each byte is the last that was synced, or of a write after that
//	lost    some are not: lost_bytes=
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "referee.h"

enum { kThreads = 4, kPending = 8, kLongest = 40000 };

struct write {
  size_t begin, size;
  unsigned char byte;
};

struct quarter {
  size_t begin, size;
  unsigned char* synced;           // what has to be there, but for:
  struct write pending[kPending];  // written since, and there or not
  unsigned pending_count;
  unsigned long synced_count;
  unsigned seed;
  pthread_t thread;
};

static int store;
static bool sync_them = true;
static atomic_bool cut;

static void fail(const char* what) {
  char line[256];
  snprintf(line, sizeof line, "RESULT result=error why=\"%s: %s\"\n", what, strerror(errno));
  say(line);
  switch_off();
}

static void settle(struct quarter* q) {
  for (unsigned i = 0; i < q->pending_count; i++)
    memset(q->synced + q->pending[i].begin, q->pending[i].byte, q->pending[i].size);
  q->pending_count = 0;
  q->synced_count++;
}

static void write_some(struct quarter* q) {
  static _Thread_local unsigned char data[kLongest];
  struct write* const w = &q->pending[q->pending_count];
  w->size = 1 + rand_r(&q->seed) % kLongest;
  w->begin = (size_t)rand_r(&q->seed) % (q->size - w->size);
  w->byte = 1 + rand_r(&q->seed) % 255;
  memset(data, w->byte, w->size);
  q->pending_count++;
  if (pwrite(store, data, w->size, q->begin + w->begin) != (ssize_t)w->size && !cut)
    fail("a write");
}

static void* work(void* context) {
  struct quarter* const q = context;
  for (;;) {
    while (q->pending_count < kPending && (q->pending_count == 0 || rand_r(&q->seed) % 4 != 0))
      write_some(q);
    if (sync_them && fdatasync(store) != 0 && !cut)
      fail("fdatasync");
    // What was answered after the power went counts for nothing, nor do writes since.
    if (cut)
      break;
    settle(q);
  }
  return NULL;
}

static size_t lost_of(const struct quarter* q, const unsigned char* found) {
  size_t lost = 0;
  for (size_t i = 0; i < q->size; i++) {
    bool right = found[i] == q->synced[i];
    for (unsigned w = 0; w < q->pending_count && !right; w++)
      right = i - q->pending[w].begin < q->pending[w].size && found[i] == q->pending[w].byte;
    lost += !right;
  }
  return lost;
}

static void run(const char* step) {
  int status = 0;
  const pid_t child = fork();

  if (child == 0) {
    unsetenv("LD_PRELOAD");
    execl("/exp/busybox/sh", "sh", "/exp/jobs/power-cut.sh", step, NULL);
    _exit(127);
  }
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
    fail(step);
}

static size_t read_back(const char* file, const struct quarter quarters[], size_t size) {
  unsigned char* const found = malloc(size);
  const int again = open(file, O_RDONLY | O_CLOEXEC);
  size_t lost = 0;
  for (size_t done = 0; done < size;) {
    const ssize_t count = pread(again, found + done, size - done, done);
    if (count <= 0)
      fail("reading back");
    done += count;
  }
  for (int i = 0; i < kThreads; i++)
    lost += lost_of(&quarters[i], found + quarters[i].begin);
  return lost;
}

int main(int count, char** arguments) {
  static struct quarter quarters[kThreads];
  const size_t size = (size_t)atoi(arguments[2]) << 20;
  unsigned long synced = 0;
  char line[128];

  sync_them = count == 4;  // FILE, SIZE_MIB and SECONDS alone
  report_open();
  store = open(arguments[1], O_RDWR | O_CLOEXEC);
  if (store < 0)
    fail(arguments[1]);
  for (int i = 0; i < kThreads; i++) {
    quarters[i] =
        (struct quarter){.begin = i * size / kThreads, .size = size / kThreads, .seed = i};
    quarters[i].synced = calloc(1, quarters[i].size);
    pthread_create(&quarters[i].thread, NULL, work, &quarters[i]);
  }
  sleep(atoi(arguments[3]));
  cut = true;
  run("cut");
  for (int i = 0; i < kThreads; i++) {
    pthread_join(quarters[i].thread, NULL);
    synced += quarters[i].synced_count;
  }
  close(store);
  run("restore");

  const size_t lost = read_back(arguments[1], quarters, size);
  snprintf(line, sizeof line, "RESULT result=%s synced=%lu lost_bytes=%zu\n",
           lost == 0 ? "held" : "lost", synced, lost);
  say(line);
  switch_off();
}
