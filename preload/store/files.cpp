// SPDX-License-Identifier: MIT OR Apache-2.0
#include "files.hpp"

#include <linux/fs.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <bit>
#include <cerrno>

#include <duende/mlock/detail/kernel.hpp>

#include "buffers.hpp"
#include "kernel.hpp"
#include "passages.hpp"
#include "report.hpp"

namespace duende::mlock::store {

constinit std::atomic<std::uint8_t>* g_descriptors = nullptr;

namespace {

using preload::Line;
using preload::LogLevel;

struct Files {
  Monitor opening;
  char paths[4096] = {};  // each with a NUL at its end
  File files[kMaxFiles];
  unsigned count = 0;
  bool required = false;
};
constinit Files g_files;

/// Why a store is not what was asked for.
struct Obstacle {
  std::string_view what;  // empty: none
  int error = 0;
  std::string_view fix;
};

/// Its name, harmless to a terminal and a log.
void begin_line(Line& line, const File& file) noexcept {
  line << "store ";
  for (const char byte : std::string_view(file.path)) {
    line << (byte < ' ' || byte > '~' ? '?' : byte);
  }
  line << ": ";
}

void tell(const File& file, const Obstacle& obstacle) noexcept {
  Line line;
  begin_line(line, file);
  line << obstacle.what;
  if (obstacle.error != 0) {
    line << " (errno " << obstacle.error
         << (obstacle.error == EINVAL   ? ", EINVAL"
             : obstacle.error == ENOMEM ? ", ENOMEM"
             : obstacle.error == EPERM  ? ", EPERM"
             : obstacle.error == EIO    ? ", EIO"
                                        : "")
         << ')';
  }
  if (!obstacle.fix.empty()) {
    line << "; fix: " << obstacle.fix;
  }
  report(g_files.required ? LogLevel::error : LogLevel::warn, line);
  if (g_files.required) {
    preload::abort_daemon();
  }
}

/// The file that a descriptor leads to, whatever name it was opened by; or null.
File* identify(int descriptor) noexcept {
  struct stat opened;
  if (preload::system_call(SYS_fstat, descriptor, &opened) != 0) {
    return nullptr;
  }
  const mode_t kind = opened.st_mode & S_IFMT;
  if (kind != S_IFREG && kind != S_IFBLK) {
    return nullptr;
  }
  for (unsigned i = 0; i < g_files.count; ++i) {
    File& file = g_files.files[i];
    struct stat named;
    if (preload::system_call(SYS_newfstatat, AT_FDCWD, file.path, &named, 0) != 0 ||
        (named.st_mode & S_IFMT) != kind) {
      continue;
    }
    const bool same = kind == S_IFBLK
                          ? named.st_rdev == opened.st_rdev
                          : named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
    if (same) {
      file.regular |= kind == S_IFREG;
      return &file;
    }
  }
  return nullptr;
}

bool is_memory(int descriptor) noexcept {
  constexpr long kTmpfs = 0x01021994;
  constexpr long kRamfs = 0x858458F6;
  struct statfs system;
  return preload::system_call(SYS_fstatfs, descriptor, &system) == 0 &&
         (system.f_type == kTmpfs || system.f_type == kRamfs);
}

/// What offsets and sizes must be multiples of; 0: there is no such thing.
std::size_t block_size(int descriptor, bool regular) noexcept {
  // As of Linux 6.1, which headers of before lack.
  constexpr unsigned kStatxDioAlign = 0x2000;
  struct {
    std::uint32_t mask;
    std::uint32_t before[37];
    std::uint32_t memory_align;
    std::uint32_t offset_align;
    std::uint32_t after[24];
  } status = {};
  static_assert(sizeof status == 256 && offsetof(decltype(status), memory_align) == 0x98);
  constexpr int kEmptyPath = 0x1000;
  if (preload::system_call(SYS_statx, descriptor, "", kEmptyPath, kStatxDioAlign, &status) == 0 &&
      (status.mask & kStatxDioAlign) != 0) {
    return status.offset_align > status.memory_align ? status.offset_align : status.memory_align;
  }
  int logical = 0;
  return !regular && preload::system_call(SYS_ioctl, descriptor, BLKSSZGET, &logical) == 0
             ? static_cast<std::size_t>(logical)
             : 4096;
}

/// Reads the first block, so that what is said of it is true.
int try_to_read(int descriptor, std::size_t block) noexcept {
  const Buffer buffer;
  const iovec vector = {buffer.bytes(), block};
  const int access = status_flags(descriptor) & O_ACCMODE;
  const bool readable = access == O_RDONLY || access == O_RDWR;
  return !readable || move(Direction::in, descriptor, &vector, 1, 0, 0) >= 0 ? 0 : errno;
}

constexpr std::string_view kOtherFile = "a block device, or a file on ext4 or xfs";

Obstacle make_direct(int descriptor, int flags, std::size_t& block, bool regular) noexcept {
  if (regular && is_memory(descriptor)) {  // where /dev is one, its devices are none
    return {"through the page cache: tmpfs has nothing else", 0, kOtherFile};
  }
  if (!make_buffers()) {
    return {"through the page cache: no memory for buffers", errno, "more memory"};
  }
  if (!set_status_flags(descriptor, flags | O_DIRECT)) {
    return {"through the page cache: its file system refuses O_DIRECT", errno, kOtherFile};
  }
  block = block_size(descriptor, regular);
  const bool usable = std::has_single_bit(block) && block <= Buffer::kSize / 2;
  const int error = usable ? try_to_read(descriptor, block) : EINVAL;
  if (error != 0) {
    (void)set_status_flags(descriptor, flags);
    return {"through the page cache: its file system refuses O_DIRECT", error, kOtherFile};
  }
  return {};
}

bool lock_for(const File& file) noexcept {
  const int error = lock_buffers();
  if (error != 0) {
    tell(file, {"its buffers are not locked", error, "4 MiB more of RLIMIT_MEMLOCK"});
  }
  return error == 0;
}

/// Once for each name: a daemon may open its store for every client.
void tell_of_store(File& file) noexcept {
  const bool locked = lock_for(file);
  Line line;
  begin_line(line, file);
  line << "O_DIRECT, in blocks of " << file.block << " bytes, by way of "
       << kBuffers * Buffer::kSize / 1024 << " KiB of " << (locked ? "locked " : "") << "buffers";
  report(LogLevel::info, line);
}

bool adopt_known(int descriptor, File& file, int flags, std::uint8_t asked) noexcept {
  std::size_t block = 0;
  const bool was_direct = (flags & O_DIRECT) != 0;
  const Obstacle obstacle =
      descriptor >= kMaxDescriptors
          ? Obstacle{"through the page cache: more than 65536 descriptors are open", 0, {}}
          : make_direct(descriptor, flags, block, file.regular);
  if (!obstacle.what.empty()) {
    if (was_direct) {
      (void)set_status_flags(descriptor, flags);  // as the daemon asked
    }
    if (!file.told || g_files.required) {
      tell(file, obstacle);
    }
    file.told = true;
    return false;
  }
  file.block = block > file.block ? block : file.block;
  if (!file.told) {
    tell_of_store(file);
  }
  file.told = true;
  g_descriptors[descriptor].store(static_cast<std::uint8_t>((file.number + 1) | asked),
                                  std::memory_order_relaxed);
  return true;
}

/// Of every descriptor that is open; O_PATH is no way to a file's contents.
bool adopt_any(int descriptor, std::uint8_t asked) noexcept {
  const detail::ErrnoGuard guard;
  const SignalsBlocked blocked;
  const int flags = status_flags(descriptor);
  File* const file = flags == -1 || (flags & O_PATH) != 0 ? nullptr : identify(descriptor);
  if (file == nullptr) {
    return false;
  }
  const Held held(g_files.opening);
  if (file->stood_back) {
    return asked == 0 && (flags & O_DIRECT) != 0 && set_status_flags(descriptor, flags & ~O_DIRECT);
  }
  return adopt_known(descriptor, *file, flags, asked);
}

}  // namespace

bool name_files(std::string_view paths, bool required) noexcept {
  g_files.required = required;
  if (paths.size() >= sizeof g_files.paths) {
    return false;
  }
  char* next = g_files.paths;
  bool begins = true;
  for (const char byte : paths) {
    if (begins) {
      if (g_files.count == kMaxFiles) {
        return false;
      }
      File& file = g_files.files[g_files.count];
      file.path = next;
      file.number = g_files.count++;
    }
    begins = byte == ':';
    *next++ = begins ? '\0' : byte;
  }
  void* const table =
      ::mmap(nullptr, kMaxDescriptors, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (table != MAP_FAILED) {
    g_descriptors = static_cast<std::atomic<std::uint8_t>*>(table);
  }
  return table != MAP_FAILED;
}

File& file_of(std::uint8_t entry) noexcept {
  return g_files.files[(entry & (kMaxFiles * 2 - 1)) - 1];
}

void adopt(int descriptor, int flags) noexcept {
  if (g_descriptors != nullptr && descriptor >= 0) {
    forget(descriptor);
    (void)adopt_any(descriptor, (flags & O_DIRECT) != 0 ? kAsked : 0);
  }
}

bool adopt_late(int descriptor) noexcept {
  const detail::ErrnoGuard guard;
  const int flags = g_descriptors == nullptr ? -1 : status_flags(descriptor);
  return flags != -1 && (flags & O_DIRECT) != 0 && adopt_any(descriptor, 0);
}

void adopt_inherited() noexcept {
  constexpr int kMost = 1024;
  constexpr int kAtOnce = 128;
  for (int first = 0; first < kMost; first += kAtOnce) {
    pollfd descriptors[kAtOnce];
    for (int i = 0; i < kAtOnce; ++i) {
      descriptors[i] = {first + i, 0, 0};
    }
    const timespec at_once = {};
    preload::system_call(SYS_ppoll, descriptors, kAtOnce, &at_once, nullptr, 8L);
    for (const pollfd& descriptor : descriptors) {
      if ((descriptor.revents & POLLNVAL) == 0) {
        (void)adopt_any(descriptor.fd, 0);
      }
    }
  }
}

void forget(int descriptor) noexcept {
  if (entry_of(descriptor) != 0) {
    g_descriptors[descriptor].store(0, std::memory_order_relaxed);
  }
}

void duplicate(int original, int copy) noexcept {
  const std::uint8_t entry = entry_of(original);
  if (g_descriptors != nullptr && copy >= 0 && copy < kMaxDescriptors && entry_of(copy) != entry) {
    g_descriptors[copy].store(entry, std::memory_order_relaxed);
  }
}

void stand_back(int descriptor, std::string_view why) noexcept {
  const File* const file = store_of(descriptor);
  const int flags = status_flags(descriptor);
  if (file != nullptr && flags != -1 && (flags & O_DIRECT) != 0) {
    const detail::ErrnoGuard guard;
    const SignalsBlocked blocked;
    const Passage passage(file->number, 0, 0, Use::alone);
    (void)set_status_flags(descriptor, flags & ~O_DIRECT);
    tell(*file, {why, 0, {}});
  }
  forget(descriptor);
}

void stand_back(File& file, std::string_view why) noexcept {
  const detail::ErrnoGuard guard;
  const SignalsBlocked blocked;
  const Held held(g_files.opening);
  const Passage passage(file.number, 0, 0, Use::alone);
  file.stood_back = true;
  for (int i = 0; i < kMaxDescriptors; ++i) {
    if (store_of(i) == &file) {
      const int flags = status_flags(i);
      (void)(flags != -1 && set_status_flags(i, flags & ~O_DIRECT));
      forget(i);
    }
  }
  tell(file, {why, 0, {}});
}

void forget_files() noexcept {
  g_files.opening.reset();
  const File* served = nullptr;
  for (File& file : g_files.files) {
    file.position.reset();
    served = file.block != 0 ? &file : served;
  }
  if (served != nullptr) {
    forget_buffers();
    (void)lock_for(*served);
  }
}

}  // namespace duende::mlock::store
