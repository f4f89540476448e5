// SPDX-License-Identifier: MIT OR Apache-2.0
// Where it stops: what a lock and a fork cost a process with much of one thing.
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <csignal>

#include <duende/mlock.hpp>

#include "forks.hpp"

namespace {

using namespace duende::mlock::bench;

constexpr double kHurts = 10;  // ms that the library adds to one lock or fork
constexpr int kTimes = 5;

/// The measured process with what it has been given so far.
struct Subject {
  int pipe[2] = {};  // threads and children wait for its end
  std::vector<pid_t> children = {};

  Subject() { must(::pipe2(pipe, O_CLOEXEC) == 0, "pipe2"); }
  void wait_for_end() const {
    char byte;
    must(::read(pipe[0], &byte, 1) == 0, "waiting");
  }
};

void add_mappings(Subject&, int count) {
  const auto page = static_cast<std::size_t>(::getpagesize());
  for (int i = 0; i < count; i += 2) {
    // Every other page is read-only, so that no two become one.
    void* const two = ::mmap(nullptr, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(two != MAP_FAILED && ::mprotect(two, page, PROT_READ | PROT_WRITE) == 0, "mmap");
    *static_cast<char*>(two) = 1;
  }
}

struct ThreadStart {
  const Subject* subject;
  sem_t running;
};

void* run_thread(void* argument) {
  ThreadStart& start = *static_cast<ThreadStart*>(argument);
  const Subject& subject = *start.subject;
  void* const volatile block = std::malloc(64);  // as threads do, which gives them heaps
  ::sem_post(&start.running);
  subject.wait_for_end();
  std::free(block);
  return nullptr;
}

void add_threads(Subject& subject, int count) {
  for (int i = 0; i < count; ++i) {
    ThreadStart start = {&subject, {}};
    ::sem_init(&start.running, 0, 0);
    pthread_t thread;
    must(::pthread_create(&thread, nullptr, run_thread, &start) == 0, "pthread_create");
    ::pthread_detach(thread);
    while (::sem_wait(&start.running) != 0) {
    }
  }
}

void reserve(Subject&, int gibibytes) {
  const std::size_t size = static_cast<std::size_t>(gibibytes) * 1024 * kMebibyte;
  must(::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
           MAP_FAILED,
       "mmap");
}

void add_heap(Subject&, int mebibytes) {
  (void)touched_memory(static_cast<std::size_t>(mebibytes) * kMebibyte);
}

void add_children(Subject& subject, int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(subject.pipe[1]);
      subject.wait_for_end();
      ::_exit(0);
    }
    must(child > 0, "fork");
    subject.children.push_back(child);
  }
}

struct Load {
  const char* name;
  const char* title;
  std::vector<int> points;
  void (*grow)(Subject&, int by);
  double mebibytes;  // for one unit
};

const Load kLoads[] = {
    {"mappings", "mappings", {100, 1000, 10000, 30000, 60000}, add_mappings, 0.004},
    {"threads", "threads", {10, 50, 100, 250, 500}, add_threads, 0.1},
    {"reserved", "GiB reserved (PROT_NONE)", {1, 4, 16, 64}, reserve, 0},
    {"heap", "MiB of heap, touched", {64, 256, 1024, 2048, 4096}, add_heap, 1},
    {"children", "children alive", {1, 10, 100, 300, 1000}, add_children, 1},
};

/// MiB of it and its children: what is resident or the child's alone, and the page tables.
[[nodiscard]] double memory_of(const Subject& subject) {
  double sum = own_mebibytes("status", "VmRSS:") + own_mebibytes("status", "VmPTE:");
  for (const pid_t child : subject.children) {
    const std::string folder = "/proc/" + std::to_string(child);
    sum += (number_in(folder + "/smaps_rollup", "Private_Dirty:") +
            number_in(folder + "/status", "VmPTE:")) /
           1024;
  }
  return sum;
}

/// The API's lock, as a daemon would call it that has grown already; unlocked again.
[[nodiscard]] double milliseconds_to_lock() {
  const auto config = duende::mlock::MlockConfig::builder().onfault(true).build();
  Samples samples;
  for (int i = 0; i < kTimes; ++i) {
    bool locked = false;
    samples.add(time_of([&] {
      const auto result = duende::mlock::lock_with_config(config);
      locked = result.has_value() && result->is_locked();
    }));
    must(locked, "locking (as root, or with a higher memlock limit?)");
    must(duende::mlock::unlock_all().has_value(), "unlocking");
  }
  return samples.minimum() / 1000;
}

/// What the measured process prints for each point.
enum Number { kGrowth, kMemory, kCharged, kFork, kCopied, kLock, kNumbers };

int measure(const Load& load, bool preloaded) {
  Subject subject;
  const Forks forks;
  int size = 0;
  for (const int point : load.points) {
    const auto growth = time_of([&] { load.grow(subject, point - size); });
    size = point;
    const double memory = memory_of(subject);
    const double charged = own_mebibytes("status", "VmLck:");
    const ForkCost cost = forks.measure(kTimes, preloaded);
    const double lock = preloaded ? 0 : milliseconds_to_lock();
    std::printf("%f %f %f %f %f %f\n", growth.count() / 1000, memory, charged,
                cost.microseconds / 1000, cost.copied, lock);
  }
  std::fflush(stdout);
  ::close(subject.pipe[1]);
  for (const pid_t child : subject.children) {
    must(::waitpid(child, nullptr, 0) == child, "waitpid");
  }
  ::_exit(0);
}

void tell_what_hurts(const Load& load, const char* what, const std::vector<double>& added) {
  const auto hurting = std::ranges::find_if(added, [](double ms) { return ms > kHurts; });
  if (hurting == added.end()) {
    std::printf("  %s never takes %.0f ms more\n", what, kHurts);
  } else {
    std::printf("  %s takes %.0f ms more at %d\n", what, *hurting,
                load.points[static_cast<std::size_t>(hurting - added.begin())]);
  }
}

void compare(const Load& load, const std::string& library) {
  const Way ways[] = {{"no library"}, {"library", true}};
  const std::string arguments = std::string("--measure ") + load.name;
  const auto without = numbers_of(ways[0], library, arguments);
  const auto with = numbers_of(ways[1], library, arguments);
  std::printf("\n%26s %8s %11s %11s %10s %11s %11s %10s %10s\n", load.title, "lock ms", "grow ms",
              "with", "fork ms", "with", "memory MiB", "with", "VmLck MiB");
  std::vector<double> lock_added, fork_added;
  for (std::size_t row = 0; row < load.points.size(); ++row) {
    const double* const a = &without[row * kNumbers];
    const double* const b = &with[row * kNumbers];
    std::printf("%26d %8.2f %11.2f %11.2f %10.2f %11.2f %11.1f %10.1f %10.0f\n", load.points[row],
                a[kLock], a[kGrowth], b[kGrowth], a[kFork], b[kFork], a[kMemory], b[kMemory],
                b[kCharged]);
    lock_added.push_back(a[kLock]);
    fork_added.push_back(b[kFork] - a[kFork]);
  }
  tell_what_hurts(load, "a lock", lock_added);
  tell_what_hurts(load, "a fork", fork_added);
}

}  // namespace

/// scale LIBRARY
int main(int argc, char** argv) {
  must(argc == 2 || argc == 3, "usage: scale LIBRARY");
  if (argc == 2) {
    std::printf(
        "lock: the API's on-fault lock of what is there; grow: to get there, and fork: until the\n"
        "child runs, with: the library preloaded; memory: resident, page tables and the "
        "children's\n"
        "own. Minimum of %d, growth once.\n",
        kTimes);
  }
  for (const Load& load : kLoads) {
    if (argc == 3 && load.name == std::string(argv[2])) {
      return measure(load, std::getenv("LD_PRELOAD") != nullptr);
    }
    if (argc == 3) {
      continue;
    }
    if (!affordable(load.points.back() * load.mebibytes)) {
      std::printf("\n%s: not measured, for it does not fit into half of what is free\n",
                  load.title);
      continue;
    }
    compare(load, argv[1]);
  }
}
