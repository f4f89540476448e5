// SPDX-License-Identifier: MIT OR Apache-2.0
// Starts a command as a supervisor does, and says what that sees of it, while it waits and once it
// has ended, for table.sh: witness here|init close|signal COMMAND...
// The command is to print its /proc/self/status, to read from its stdin, and to exit. With `init`,
// it is process 1 of a namespace.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t heard;
static void hear(int signal) {
  (void)signal;
  ++heard;
}

static void must(int good, const char* what) {
  if (!good) {
    perror(what);
    exit(1);
  }
}

static pid_t start(int init, char** command, const int in[2], const int out[2]) {
  const int spaces = init ? CLONE_NEWPID | CLONE_NEWNS : 0;
  const pid_t child = (pid_t)syscall(SYS_clone, spaces | SIGCHLD, 0, 0, 0, 0);
  must(child >= 0, "clone");
  if (child == 0) {
    // Not all that is mounted: the / of a chroot need not be a mount point.
    must(!init || (mount("none", "/proc", NULL, MS_PRIVATE, NULL) == 0 &&
                   mount("proc", "/proc", "proc", 0, NULL) == 0),
         "mount");
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    syscall(SYS_close_range, 3, ~0U, 0);  // what whoever runs the test has open
    execvp(command[0], command);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  return child;
}

// All of a status, up to its last line; empty if the program has ended without a word.
static void read_words(int from, char* words, size_t size) {
  size_t filled = 0;
  ssize_t count = 1;
  while (count > 0 && strstr(words, "nonvoluntary_ctxt_switches") == NULL) {
    count = read(from, words + filled, size - 1 - filled);
    filled += count > 0 ? (size_t)count : 0;
    words[filled] = '\0';
  }
}

static FILE* open_in_proc(pid_t pid, const char* name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return fopen(path, "re");
}

static long field(const char* status, const char* key) {
  const char* const line = strstr(status, key);
  return line == NULL ? -1 : strtol(line + strlen(key), NULL, 10);
}

static long field_of(pid_t pid, const char* key) {
  char status[8192];
  FILE* const file = open_in_proc(pid, "status");
  const size_t size = file == NULL ? 0 : fread(status, 1, sizeof status - 1, file);
  status[size] = '\0';
  return field(status, key);
}

// Open files, but for the first three. -1: they are not to be seen, as of a program that is setuid.
static int count_files(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR* const folder = opendir(path);
  int count = -1;
  for (struct dirent* entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
    count = (count < 0 ? 0 : count) + (atoi(entry->d_name) > 2);
  }
  return count;
}

// Of process 1, the tracer stays, as one that has ended and that nobody hears of.
static int count_children(pid_t pid, int init) {
  char name[64];
  snprintf(name, sizeof name, "task/%d/children", pid);
  FILE* const file = open_in_proc(pid, name);
  int count = 0;
  for (int child; file != NULL && fscanf(file, "%d", &child) == 1;) {
    FILE* const comm = open_in_proc(child, "comm");
    const int named = comm != NULL && fgets(name, sizeof name, comm) != NULL;
    count += init && named && strcmp(name, "duende-tracer\n") == 0 ? 0 : 1;
  }
  return count;
}

int main(int argc, char** argv) {
  must(argc > 3, "witness here|init close|signal COMMAND...");
  const int init = strcmp(argv[1], "init") == 0;
  const struct sigaction action = {.sa_handler = hear, .sa_flags = SA_RESTART};
  sigaction(SIGCHLD, &action, NULL);
  int in[2];
  int out[2];
  must(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0, "pipe2");
  const pid_t child = start(init, argv + 3, in, out);
  char words[8192] = "";
  read_words(out[0], words, sizeof words);
  if (words[0] != '\0') {
    must(strstr(words, "SigBlk:\t0000000000000000") != NULL, "no signal is blocked");
    printf("%s, %s PID, %d files, %d children, tracer %ld, ",
           field(words, "VmLck:") > 0 ? "locked" : "unlocked",
           field(words, "\nPid:") == (init ? 1 : child) ? "same" : "other", count_files(child),
           count_children(child, init), field_of(child, "TracerPid:"));
    // What process 1 has no handler for, it is not told.
    must(argv[2][0] == 'c' || kill(child, init ? SIGKILL : SIGTERM) == 0, "kill");
  }
  close(in[1]);
  int status = 0;
  must(waitpid(child, &status, 0) == child, "waitpid");
  must(waitpid(-1, NULL, __WALL | WNOHANG) < 0 && errno == ECHILD, "no other child");
  printf("%s %d, %d SIGCHLD\n", WIFEXITED(status) ? "exit" : "signal",
         WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), (int)heard);
}
