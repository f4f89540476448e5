// SPDX-License-Identifier: MIT OR Apache-2.0
// Waits in one way or another, between "ready" and a line that says how the wait has ended, for
// attach.sh to stop it meanwhile: waits KIND
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t signals;
static void count(int signal) {
  (void)signal;
  ++signals;
}

static long milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(const char* text) {
  if (write(STDOUT_FILENO, text, strlen(text)) < 0) {
    exit(1);
  }
}

// Waits for a byte, or the end, on stdin.
static int for_poll(void) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  return poll(&input, 1, -1);
}
static int for_select(void) {
  fd_set set;
  FD_ZERO(&set);
  FD_SET(0, &set);
  return select(1, &set, NULL, NULL, NULL);
}
static int for_read(void) {
  char byte;
  return (int)read(0, &byte, 1);
}
static int for_epoll(void) {
  struct epoll_event event = {.events = EPOLLIN};
  const int set = epoll_create1(0);
  epoll_ctl(set, EPOLL_CTL_ADD, 0, &event);
  return epoll_wait(set, &event, 1, -1);
}
static int for_child(void) {
  const pid_t child = fork();
  if (child == 0) {
    for_read();
    _exit(7);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : -1;
}
static void* wake(void* semaphore) {
  for_read();
  struct sembuf up = {.sem_op = 1};
  semop(*(int*)semaphore, &up, 1);
  return NULL;
}
static int for_semaphore(void) {
  int semaphore = semget(IPC_PRIVATE, 1, 0600);
  pthread_t waker;
  pthread_create(&waker, NULL, wake, &semaphore);
  struct sembuf down = {.sem_op = -1};
  const int answer = semop(semaphore, &down, 1);
  semctl(semaphore, 0, IPC_RMID);
  return answer;
}
static int for_futex(void) {
  pthread_t other;
  pthread_create(&other, NULL, (void* (*)(void*))for_read, NULL);
  return pthread_join(other, NULL);
}

// Waits for SIGUSR1.
static int for_pause(void) { return pause(); }
static int for_sigwait(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  return sigwaitinfo(&set, NULL) == SIGUSR1 ? 0 : -1;
}

// Waits for time to pass: 0 if it took as long as it should.
static int for_time(void) {
  const long begin = milliseconds();
  const struct timespec time = {.tv_sec = 2, .tv_nsec = 0};
  const int answer = nanosleep(&time, NULL);
  const long took = milliseconds() - begin;
  return answer == 0 && took >= 2000 && took < 10000 ? 0 : -1;
}

// Computes, while a timer interrupts, until there is something on stdin: 0 if nothing went wrong.
static int for_loop(void) {
  signal(SIGALRM, count);
  const struct itimerval often = {{0, 1000}, {0, 1000}};
  setitimer(ITIMER_REAL, &often, NULL);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  int wrong = 0;
  for (unsigned long round = 0; round % 1000 != 0 || poll(&input, 1, 0) <= 0; ++round) {
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 1000; ++i) {
      sum += i * round;
    }
    wrong += sum != 499500 * round;
  }
  return wrong == 0 && signals > 10 ? 0 : -1;
}

// Under a filter that kills for mlockall.
static int filtered(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mlockall, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog filter = {4, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    return 77;
  }
  return for_poll();
}

static const struct {
  const char* name;
  int (*wait)(void);
} kinds[] = {
    {"poll", for_poll},   {"select", for_select}, {"read", for_read},
    {"epoll", for_epoll}, {"child", for_child},   {"semaphore", for_semaphore},
    {"futex", for_futex}, {"pause", for_pause},   {"sigwait", for_sigwait},
    {"time", for_time},   {"loop", for_loop},     {"filtered", filtered},
};

int main(int argc, char** argv) {
  signal(SIGUSR1, count);
  for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof *kinds; ++i) {
    if (strcmp(argv[1], kinds[i].name) == 0) {
      say("ready\n");
      errno = 0;
      const int answer = kinds[i].wait();
      char line[64];
      snprintf(line, sizeof line, "%d %d\n", answer, answer < 0 ? errno : 0);
      say(line);
      return 0;
    }
  }
  return 2;
}
