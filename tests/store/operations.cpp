// SPDX-License-Identifier: MIT OR Apache-2.0
// Random operations on a file by many threads at once, compared byte for byte with a model:
// operations FILE COUNT THREADS SEED. Leaves the model in FILE.model.
//
// The file is cut into stripes that begin and end within blocks, each of one thread, so that a
// block's neighbours write to it at the same time. What changes the size, or crosses stripes, comes
// alone.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kStripe = 1531;
constexpr std::size_t kMost = std::size_t{3} << 20;
constexpr std::size_t kLongest = 700000;  // more than two of the library's buffers
constexpr std::size_t kPage = 4096;

std::string g_path;
std::vector<char> g_model;  // its size is the file's
std::shared_mutex g_alone;
std::atomic<long> g_left;
int g_descriptors[3];  // the second a duplicate of the first

[[noreturn]] void fail(const char* what, std::size_t offset, std::size_t size, long answer) {
  std::fprintf(stderr, "%s of %zu bytes at %zu: %ld, %s\n", what, size, offset, answer,
               std::strerror(errno));
  std::_Exit(1);
}

void expect(bool holds, const char* what, std::size_t offset, std::size_t size, long answer) {
  if (!holds) {
    fail(what, offset, size, answer);
  }
}

class Worker {
 public:
  Worker(unsigned number, unsigned threads, unsigned seed)
      : number_(number), threads_(threads), random_(seed * 1000 + number) {
    own_ = open(g_path.c_str(), O_RDWR | O_CLOEXEC);
    expect(own_ >= 0, "open", 0, 0, own_);
    bytes_.resize(kPage + kLongest + kPage);
  }
  ~Worker() { close(own_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void work() {
    while (g_left.fetch_sub(1) > 0) {
      if (below(200) == 0) {
        const std::unique_lock alone(g_alone);
        operate_alone();
      } else {
        const std::shared_lock beside_others(g_alone);
        operate();
      }
    }
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }
  [[nodiscard]] int any() { return below(2) == 0 ? own_ : g_descriptors[below(3)]; }

  /// Now and then whole blocks, in memory that is aligned to them as well.
  char* memory() {
    void* start = bytes_.data();
    std::size_t room = bytes_.size();
    std::align(kPage, kLongest + kPage, start, room);
    return static_cast<char*>(start) + (below(2) == 0 ? 0 : below(kPage));
  }

  void operate() {
    const std::size_t stripes = g_model.size() / kStripe + 1;
    // Often next to where the others are, and up to the very border.
    const std::size_t mine = number_ + threads_ * below(below(2) == 0 ? 2 : stripes / threads_ + 1);
    const std::size_t begin = mine * kStripe + (below(2) == 0 ? 0 : below(kStripe));
    const std::size_t end = std::min((mine + 1) * kStripe, g_model.size());
    if (begin < end) {
      transfer(begin, below(2) == 0 ? end - begin : 1 + below(end - begin));
    }
  }

  void transfer(std::size_t offset, std::size_t size) {
    char* const bytes = memory();
    if (below(16) == 0) {
      punch(offset, size, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    } else if (below(2) == 0) {
      read_somehow(bytes, offset, size);
      expect(std::memcmp(bytes, &g_model[offset], size) == 0, "what was read", offset, size, 0);
    } else {
      fill(bytes, size);
      write_somehow(bytes, offset, size);
      std::memcpy(&g_model[offset], bytes, size);
    }
  }

  void fill(char* bytes, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      bytes[i] = static_cast<char>(i % 8 == 0 ? random_() : bytes[i - 1] * 5 + 1);
    }
  }

  void read_somehow(char* bytes, std::size_t offset, std::size_t size) {
    const auto at = static_cast<off_t>(offset);
    const std::size_t half = size / 2;
    const iovec two[] = {{bytes, half}, {bytes + half, size - half}};
    ssize_t got = 0;
    switch (below(5)) {
      case 0: got = preadv(any(), two, 2, at); break;
      case 1: got = preadv2(any(), two, 2, at, 0); break;
      case 2:
        lseek(own_, at, SEEK_SET);
        got = read(own_, bytes, size);
        expect(lseek(own_, 0, SEEK_CUR) == at + got, "position", offset, size, got);
        break;
      case 3:
        lseek(own_, at, SEEK_SET);
        got = readv(own_, two, 2);
        break;
      default: got = pread(any(), bytes, size, at); break;
    }
    expect(got == static_cast<ssize_t>(size), "read", offset, size, got);
  }

  void write_somehow(const char* bytes, std::size_t offset, std::size_t size) {
    const auto at = static_cast<off_t>(offset);
    const std::size_t half = size / 2;
    char* const from = const_cast<char*>(bytes);
    const iovec two[] = {{from, half}, {from + half, size - half}};
    ssize_t put = 0;
    switch (below(6)) {
      case 0: put = pwritev(any(), two, 2, at); break;
      case 1: put = pwritev2(any(), two, 2, at, below(8) == 0 ? RWF_DSYNC : 0); break;
      case 2:
        lseek(own_, at, SEEK_SET);
        put = write(own_, bytes, size);
        expect(lseek(own_, 0, SEEK_CUR) == at + put, "position", offset, size, put);
        break;
      case 3:
        lseek(own_, at, SEEK_SET);
        put = writev(own_, two, 2);
        break;
      default: put = pwrite(any(), bytes, size, at); break;
    }
    expect(put == static_cast<ssize_t>(size), "write", offset, size, put);
  }

  void operate_alone() {
    const std::size_t offset = below(kMost);
    const std::size_t size = 1 + below(below(8) == 0 ? kLongest : 20000);
    switch (below(9)) {
      case 0: resize(below(4) == 0 ? offset & ~std::size_t{4095} : offset); break;
      case 1: punch(offset, size, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE); break;
      case 2: punch(offset, size, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE); break;
      case 3: append(size); break;
      case 4: map(); break;
      case 5: send(offset); break;
      case 6:
        expect((below(2) == 0 ? fsync(any()) : fdatasync(any())) == 0, "sync", 0, 0, -1);
        break;
      default: write_anywhere(std::min(offset, kMost - size), size);
    }
    if (g_model.size() < kMost / 2) {
      resize(kMost - below(3000));
    }
    const off_t end = lseek(any(), 0, SEEK_END);
    expect(end == static_cast<off_t>(g_model.size()), "size", g_model.size(), 0, end);
    read_end();
  }

  void resize(std::size_t size) {
    expect(ftruncate(any(), static_cast<off_t>(size)) == 0, "ftruncate", size, 0, -1);
    g_model.resize(size);
  }

  void punch(std::size_t offset, std::size_t size, int mode) {
    const int result = fallocate(any(), mode, static_cast<off_t>(offset), static_cast<off_t>(size));
    if (result == -1 && errno == EOPNOTSUPP) {
      return;
    }
    expect(result == 0, "fallocate", offset, size, result);
    const std::size_t end = std::min(offset + size, g_model.size());
    if (offset < end) {
      std::fill(g_model.begin() + static_cast<long>(offset),
                g_model.begin() + static_cast<long>(end), '\0');
    }
  }

  void append(std::size_t size) {
    if (g_model.size() + size > kMost) {
      return;
    }
    const int end = open(g_path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    char* const bytes = memory();
    fill(bytes, size);
    const ssize_t put = write(end, bytes, size);
    expect(put == static_cast<ssize_t>(size), "append", g_model.size(), size, put);
    close(end);
    g_model.insert(g_model.end(), bytes, bytes + size);
  }

  void map() {
    void* const mapped = mmap(nullptr, g_model.size(), PROT_READ, MAP_PRIVATE, any(), 0);
    expect(mapped != MAP_FAILED, "mmap", 0, g_model.size(), -1);
    expect(std::memcmp(mapped, g_model.data(), g_model.size()) == 0, "mapping", 0, g_model.size(),
           0);
    munmap(mapped, g_model.size());
  }

  void send(std::size_t offset) {
    if (offset >= g_model.size()) {
      return;
    }
    int ends[2];
    expect(pipe(ends) == 0, "pipe", 0, 0, -1);
    auto at = static_cast<off_t>(offset);
    const std::size_t size = std::min<std::size_t>(30000, g_model.size() - offset);
    const ssize_t sent = below(2) == 0 ? sendfile(ends[1], any(), &at, size)
                                       : splice(any(), &at, ends[1], nullptr, size, 0);
    expect(sent > 0 && at == static_cast<off_t>(offset) + sent, "sendfile", offset, size, sent);
    std::vector<char> got(static_cast<std::size_t>(sent));
    expect(read(ends[0], got.data(), got.size()) == sent, "pipe", offset, size, sent);
    expect(std::memcmp(got.data(), &g_model[offset], got.size()) == 0, "sent", offset, size, sent);
    // And back, to another place.
    expect(write(ends[1], got.data(), got.size()) == sent, "pipe", offset, size, sent);
    auto target = static_cast<off_t>(below(g_model.size() - got.size() + 1));
    const auto begin = static_cast<std::size_t>(target);
    const ssize_t back = splice(ends[0], nullptr, any(), &target, got.size(), 0);
    expect(back > 0, "splice", begin, got.size(), back);
    std::memcpy(&g_model[begin], got.data(), static_cast<std::size_t>(back));
    close(ends[0]);
    close(ends[1]);
  }

  void write_anywhere(std::size_t offset, std::size_t size) {
    char* const bytes = memory();
    fill(bytes, size);
    write_somehow(bytes, offset, size);
    g_model.resize(std::max(g_model.size(), offset + size));
    std::memcpy(&g_model[offset], bytes, size);
    read_somehow(bytes, offset, size);
    expect(std::memcmp(bytes, &g_model[offset], size) == 0, "just written", offset, size, 0);
  }

  /// Beyond the end there is nothing, and up to it all.
  void read_end() {
    char* const bytes = memory();
    const std::size_t before = std::min(g_model.size(), below(9000));
    const std::size_t offset = g_model.size() - before;
    const ssize_t got = pread(any(), bytes, before + 5000, static_cast<off_t>(offset));
    expect(got == static_cast<ssize_t>(before), "read at the end", offset, before + 5000, got);
    expect(std::memcmp(bytes, g_model.data() + offset, before) == 0, "the end", offset, before,
           got);
  }

  unsigned number_;
  unsigned threads_;
  std::minstd_rand random_;
  int own_ = -1;
  std::vector<char> bytes_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fputs("usage: operations FILE COUNT THREADS SEED\n", stderr);
    return 2;
  }
  g_path = arguments[1];
  g_left = std::atol(arguments[2]);
  const auto threads = static_cast<unsigned>(std::atoi(arguments[3]));
  g_descriptors[0] = open(g_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_descriptors[1] = dup(g_descriptors[0]);
  g_descriptors[2] = open(g_path.c_str(), O_RDWR | O_CLOEXEC);
  g_model.reserve(kMost + kLongest);
  g_model.resize(kMost - 1234);
  if (ftruncate(g_descriptors[0], static_cast<off_t>(g_model.size())) != 0) {
    return 1;
  }
  std::vector<std::thread> workers;
  for (unsigned i = 0; i < threads; ++i) {
    workers.emplace_back(
        [=] { Worker(i, threads, static_cast<unsigned>(std::atoi(arguments[4]))).work(); });
  }
  for (auto& worker : workers) {
    worker.join();
  }
  std::ofstream(g_path + ".model", std::ios::binary)
      .write(g_model.data(), static_cast<std::streamsize>(g_model.size()));
  return 0;
}
