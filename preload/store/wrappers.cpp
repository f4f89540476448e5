// SPDX-License-Identifier: MIT OR Apache-2.0
// What is exported: each function asks whether its descriptor is a store, and is libc's otherwise.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

#include <duende/mlock/detail/kernel.hpp>

#include "copy.hpp"
#include "files.hpp"
#include "next.hpp"
#include "passages.hpp"
#include "transfer.hpp"

namespace duende::mlock::store {

namespace {

template <class Next>
ssize_t serve(Direction direction, const Request& request, Next next) {
  for (bool late = false;; late = true) {
    File* const file = store_of(request.descriptor);
    if (file != nullptr) {
      if (const auto result = transfer(*file, direction, request)) {
        return *result;
      }
    }
    const ssize_t result = next();
    if (result >= 0 || errno != EINVAL || late || !adopt_late(request.descriptor)) {
      return result;
    }
  }
}

/// At an offset, where -1 is none.
template <class Next>
ssize_t serve_at(Direction direction, const Request& request, Next next) {
  return request.offset < 0 ? next() : serve(direction, request, next);
}

/// A call that moves the file's end, or its blocks, comes beside nothing else. By number, as a
/// cancellation inside would leave the others waiting.
template <class Next, class ByNumber>
int change(int descriptor, Next next, ByNumber by_number) {
  const File* const file = store_of(descriptor);
  if (file == nullptr) {
    return next();
  }
  const SignalsBlocked blocked;
  const Passage passage(file->number, 0, 0, Use::alone);
  return static_cast<int>(by_number());
}

int set_flags(int descriptor, long flags) noexcept {
  const SignalsBlocked blocked;
  const Passage passage(store_of(descriptor)->number, 0, 0, Use::alone);
  const bool direct = (status_flags(descriptor) & O_DIRECT) != 0;
  const bool asked = (flags & O_DIRECT) != 0;
  if (!set_status_flags(descriptor, static_cast<int>(flags) | (direct ? O_DIRECT : 0))) {
    return -1;
  }
  const auto entry = static_cast<std::uint8_t>(entry_of(descriptor) & ~kAsked);
  g_descriptors[descriptor].store(static_cast<std::uint8_t>(entry | (asked ? kAsked : 0)),
                                  std::memory_order_relaxed);
  return 0;
}

void forget_all(unsigned first, unsigned last) noexcept {
  for (unsigned i = first; i <= last && i < static_cast<unsigned>(kMaxDescriptors); ++i) {
    forget(static_cast<int>(i));
  }
}

bool is_store(int descriptor) noexcept { return store_of(descriptor) != nullptr; }

/// To a way that takes no request which is not aligned; who asked for O_DIRECT knows that.
void leave_to_others(int descriptor) noexcept {
  const std::uint8_t entry = entry_of(descriptor);
  if (entry != 0 && (entry & kAsked) == 0) {
    stand_back(descriptor, "through the page cache from now on: the daemon uses asynchronous I/O");
  }
}

constexpr int kSpliceNonblock = 2;
constexpr unsigned kCloseRangeCloexec = 4;
constexpr std::size_t kPipeBuf = 4096;

iovec vector_of(const void* bytes, std::size_t size) noexcept {
  return {const_cast<void*>(bytes), size};
}

}  // namespace

}  // namespace duende::mlock::store

using namespace duende::mlock::store;

// Under names of their own, as the headers of C libraries differ in what they declare and how.
#define EXPORT(result, name, parameters)                                               \
  extern "C" [[gnu::visibility("default")]] result store_##name parameters asm(#name); \
  result store_##name parameters
#define ALIAS(other, name)                 \
  extern "C" [[gnu::visibility("default"), \
               gnu::alias(#name)]] decltype(store_##name) store_##other asm(#other);
#define MODE_OF(flags)                                           \
  mode_t mode = 0;                                               \
  if (((flags) & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) != 0) { \
    va_list rest;                                                \
    va_start(rest, flags);                                       \
    mode = va_arg(rest, mode_t);                                 \
    va_end(rest);                                                \
  }

EXPORT(int, open, (const char* path, int flags, ...)) {
  MODE_OF(flags)
  const int descriptor = next<int(const char*, int, ...)>(Name::open)(path, flags, mode);
  adopt(descriptor, flags);
  return descriptor;
}

EXPORT(int, openat, (int folder, const char* path, int flags, ...)) {
  MODE_OF(flags)
  const int descriptor =
      next<int(int, const char*, int, ...)>(Name::openat)(folder, path, flags, mode);
  adopt(descriptor, flags);
  return descriptor;
}

EXPORT(int, creat, (const char* path, mode_t mode)) {
  const int descriptor = next<int(const char*, mode_t)>(Name::creat)(path, mode);
  adopt(descriptor, 0);
  return descriptor;
}

EXPORT(int, __open_2, (const char* path, int flags)) {
  const int descriptor = next<int(const char*, int)>(Name::__open_2)(path, flags);
  adopt(descriptor, flags);
  return descriptor;
}

EXPORT(int, __openat_2, (int folder, const char* path, int flags)) {
  const int descriptor = next<int(int, const char*, int)>(Name::__openat_2)(folder, path, flags);
  adopt(descriptor, flags);
  return descriptor;
}

EXPORT(int, close, (int descriptor)) {
  forget(descriptor);
  return next<int(int)>(Name::close)(descriptor);
}

EXPORT(int, close_range, (unsigned first, unsigned last, int flags)) {
  const int result = next<int(unsigned, unsigned, int)>(Name::close_range)(first, last, flags);
  if (result == 0 && (static_cast<unsigned>(flags) & kCloseRangeCloexec) == 0) {
    forget_all(first, last);
  }
  return result;
}

EXPORT(void, closefrom, (int first)) {
  forget_all(first < 0 ? 0 : static_cast<unsigned>(first), kMaxDescriptors);
  next<void(int)>(Name::closefrom)(first);
}

EXPORT(int, dup, (int original)) {
  const int copy = next<int(int)>(Name::dup)(original);
  duplicate(original, copy);
  return copy;
}

EXPORT(int, dup2, (int original, int wanted)) {
  const int copy = next<int(int, int)>(Name::dup2)(original, wanted);
  duplicate(original, copy);
  return copy;
}

EXPORT(int, dup3, (int original, int wanted, int flags)) {
  const int copy = next<int(int, int, int)>(Name::dup3)(original, wanted, flags);
  duplicate(original, copy);
  return copy;
}

EXPORT(int, fcntl, (int descriptor, int operation, ...)) {
  va_list rest;
  va_start(rest, operation);
  const long argument = va_arg(rest, long);
  va_end(rest);
  const std::uint8_t entry = entry_of(descriptor);
  if (operation == F_SETFL && entry != 0) {
    return set_flags(descriptor, argument);
  }
  const int result = next<int(int, int, ...)>(Name::fcntl)(descriptor, operation, argument);
  if (operation == F_DUPFD || operation == F_DUPFD_CLOEXEC) {
    duplicate(descriptor, result);
  }
  const bool hidden = operation == F_GETFL && result != -1 && entry != 0 && (entry & kAsked) == 0;
  return hidden ? result & ~O_DIRECT : result;
}

/// stdio reads and writes by names that nobody can stand in front of.
EXPORT(void*, fdopen, (int descriptor, const char* mode)) {
  if (is_store(descriptor)) {
    stand_back(descriptor, "through the page cache from now on: the daemon calls fdopen(3)");
  }
  return next<void*(int, const char*)>(Name::fdopen)(descriptor, mode);
}

EXPORT(ssize_t, read, (int descriptor, void* bytes, std::size_t size)) {
  const iovec vector = vector_of(bytes, size);
  return serve(Direction::in, {descriptor, &vector, 1, -1, 0}, [&] {
    return next<ssize_t(int, void*, std::size_t)>(Name::read)(descriptor, bytes, size);
  });
}

EXPORT(ssize_t, write, (int descriptor, const void* bytes, std::size_t size)) {
  const iovec vector = vector_of(bytes, size);
  return serve(Direction::out, {descriptor, &vector, 1, -1, 0}, [&] {
    return next<ssize_t(int, const void*, std::size_t)>(Name::write)(descriptor, bytes, size);
  });
}

EXPORT(ssize_t, pread, (int descriptor, void* bytes, std::size_t size, off_t offset)) {
  const iovec vector = vector_of(bytes, size);
  return serve_at(Direction::in, {descriptor, &vector, 1, offset, 0}, [&] {
    return next<ssize_t(int, void*, std::size_t, off_t)>(Name::pread)(descriptor, bytes, size,
                                                                      offset);
  });
}

EXPORT(ssize_t, pwrite, (int descriptor, const void* bytes, std::size_t size, off_t offset)) {
  const iovec vector = vector_of(bytes, size);
  return serve_at(Direction::out, {descriptor, &vector, 1, offset, 0}, [&] {
    return next<ssize_t(int, const void*, std::size_t, off_t)>(Name::pwrite)(descriptor, bytes,
                                                                             size, offset);
  });
}

EXPORT(ssize_t, readv, (int descriptor, const iovec* vectors, int count)) {
  return serve(Direction::in, {descriptor, vectors, count, -1, 0}, [&] {
    return next<ssize_t(int, const iovec*, int)>(Name::readv)(descriptor, vectors, count);
  });
}

EXPORT(ssize_t, writev, (int descriptor, const iovec* vectors, int count)) {
  return serve(Direction::out, {descriptor, vectors, count, -1, 0}, [&] {
    return next<ssize_t(int, const iovec*, int)>(Name::writev)(descriptor, vectors, count);
  });
}

EXPORT(ssize_t, preadv, (int descriptor, const iovec* vectors, int count, off_t offset)) {
  return serve_at(Direction::in, {descriptor, vectors, count, offset, 0}, [&] {
    return next<ssize_t(int, const iovec*, int, off_t)>(Name::preadv)(descriptor, vectors, count,
                                                                      offset);
  });
}

EXPORT(ssize_t, pwritev, (int descriptor, const iovec* vectors, int count, off_t offset)) {
  return serve_at(Direction::out, {descriptor, vectors, count, offset, 0}, [&] {
    return next<ssize_t(int, const iovec*, int, off_t)>(Name::pwritev)(descriptor, vectors, count,
                                                                       offset);
  });
}

EXPORT(ssize_t, preadv2,
       (int descriptor, const iovec* vectors, int count, off_t offset, int flags)) {
  return serve(Direction::in, {descriptor, vectors, count, offset, flags}, [&] {
    return next<ssize_t(int, const iovec*, int, off_t, int)>(Name::preadv2)(descriptor, vectors,
                                                                            count, offset, flags);
  });
}

EXPORT(ssize_t, pwritev2,
       (int descriptor, const iovec* vectors, int count, off_t offset, int flags)) {
  return serve(Direction::out, {descriptor, vectors, count, offset, flags}, [&] {
    return next<ssize_t(int, const iovec*, int, off_t, int)>(Name::pwritev2)(descriptor, vectors,
                                                                             count, offset, flags);
  });
}

/// Of programs built with _FORTIFY_SOURCE; libc's own ends the program that would overflow.
EXPORT(ssize_t, __read_chk, (int descriptor, void* bytes, std::size_t size, std::size_t room)) {
  return size <= room ? store_read(descriptor, bytes, size)
                      : next<ssize_t(int, void*, std::size_t, std::size_t)>(Name::__read_chk)(
                            descriptor, bytes, size, room);
}

EXPORT(ssize_t, __pread_chk,
       (int descriptor, void* bytes, std::size_t size, off_t offset, std::size_t room)) {
  return size <= room ? store_pread(descriptor, bytes, size, offset)
                      : next<ssize_t(int, void*, std::size_t, off_t, std::size_t)>(
                            Name::__pread_chk)(descriptor, bytes, size, offset, room);
}

EXPORT(off_t, lseek, (int descriptor, off_t offset, int whence)) {
  File* const file = store_of(descriptor);
  if (file == nullptr) {
    return next<off_t(int, off_t, int)>(Name::lseek)(descriptor, offset, whence);
  }
  const SignalsBlocked blocked;
  const Held held(file->position);
  return seek(descriptor, offset, whence);
}

EXPORT(int, ftruncate, (int descriptor, off_t size)) {
  return change(
      descriptor, [&] { return next<int(int, off_t)>(Name::ftruncate)(descriptor, size); },
      [&] { return duende::mlock::preload::system_call(SYS_ftruncate, descriptor, size); });
}

EXPORT(int, fallocate, (int descriptor, int mode, off_t offset, off_t size)) {
  return change(
      descriptor,
      [&] {
        return next<int(int, int, off_t, off_t)>(Name::fallocate)(descriptor, mode, offset, size);
      },
      [&] {
        return duende::mlock::preload::system_call(SYS_fallocate, descriptor, mode, offset, size);
      });
}

/// Where the file system cannot, glibc's would write a byte into each block; musl's says so.
EXPORT(int, posix_fallocate, (int descriptor, off_t offset, off_t size)) {
  return change(
      descriptor,
      [&] { return next<int(int, off_t, off_t)>(Name::posix_fallocate)(descriptor, offset, size); },
      [&]() -> int {
        const duende::mlock::detail::ErrnoGuard guard;
        return duende::mlock::preload::system_call(SYS_fallocate, descriptor, 0, offset, size) == 0
                   ? 0
                   : errno;
      });
}

EXPORT(ssize_t, sendfile, (int to, int from, off_t* offset, std::size_t size)) {
  return is_store(from) || is_store(to)
             ? copy({from, offset}, {to, nullptr}, size)
             : next<ssize_t(int, int, off_t*, std::size_t)>(Name::sendfile)(to, from, offset, size);
}

EXPORT(ssize_t, splice,
       (int from, off_t* from_offset, int to, off_t* to_offset, std::size_t size, unsigned flags)) {
  if (!is_store(from) && !is_store(to)) {
    return next<ssize_t(int, off_t*, int, off_t*, std::size_t, unsigned)>(Name::splice)(
        from, from_offset, to, to_offset, size, flags);
  }
  const bool at_once = (flags & kSpliceNonblock) != 0;
  if (at_once && !is_ready(from, to)) {
    return -1;
  }
  return copy({from, from_offset}, {to, to_offset}, at_once && size > kPipeBuf ? kPipeBuf : size);
}

EXPORT(ssize_t, copy_file_range,
       (int from, off_t* from_offset, int to, off_t* to_offset, std::size_t size, unsigned flags)) {
  if (!is_store(from) && !is_store(to)) {
    return next<ssize_t(int, off_t*, int, off_t*, std::size_t, unsigned)>(Name::copy_file_range)(
        from, from_offset, to, to_offset, size, flags);
  }
  // From a file to itself: the kernel knows whether the two overlap, and how to copy then.
  if (flags != 0 || store_of(from) == store_of(to)) {
    errno = flags != 0 ? EINVAL : EXDEV;
    return -1;
  }
  return copy({from, from_offset}, {to, to_offset}, size);
}

/// A page that is written through a mapping is written back whole, over what went past it.
EXPORT(void*, mmap,
       (void* place, std::size_t size, int protection, int flags, int descriptor, off_t offset)) {
  File* const file = (flags & MAP_ANONYMOUS) != 0 ? nullptr : store_of(descriptor);
  if (file != nullptr && (flags & MAP_TYPE) != MAP_PRIVATE &&
      (status_flags(descriptor) & O_ACCMODE) == O_RDWR) {
    stand_back(*file, "through the page cache from now on: the daemon maps it to write");
  }
  return next<void*(void*, std::size_t, int, int, int, off_t)>(Name::mmap)(
      place, size, protection, flags, descriptor, offset);
}

/// By threads of libc's, or by the kernel's own, which nobody can stand in front of. POSIX' struct
/// aiocb begins with the descriptor.
EXPORT(int, aio_read, (const int* request)) {
  leave_to_others(*request);
  return next<int(const int*)>(Name::aio_read)(request);
}

EXPORT(int, aio_write, (const int* request)) {
  leave_to_others(*request);
  return next<int(const int*)>(Name::aio_write)(request);
}

EXPORT(int, lio_listio, (int mode, const int* const* requests, int count, void* event)) {
  for (int i = 0; i < count; ++i) {
    leave_to_others(requests[i] != nullptr ? *requests[i] : -1);
  }
  return next<int(int, const int* const*, int, void*)>(Name::lio_listio)(mode, requests, count,
                                                                         event);
}

/// libaio's.
EXPORT(int, io_submit, (aio_context_t context, long count, const iocb* const* requests)) {
  for (long i = 0; i < count; ++i) {
    leave_to_others(static_cast<int>(requests[i]->aio_fildes));
  }
  return next<int(aio_context_t, long, const iocb* const*)>(Name::io_submit)(context, count,
                                                                             requests);
}

ALIAS(open64, open)
ALIAS(openat64, openat)
ALIAS(creat64, creat)
ALIAS(__open64_2, __open_2)
ALIAS(__openat64_2, __openat_2)
ALIAS(fcntl64, fcntl)
ALIAS(pread64, pread)
ALIAS(pwrite64, pwrite)
ALIAS(preadv64, preadv)
ALIAS(pwritev64, pwritev)
ALIAS(preadv64v2, preadv2)
ALIAS(pwritev64v2, pwritev2)
ALIAS(__pread64_chk, __pread_chk)
ALIAS(lseek64, lseek)
ALIAS(ftruncate64, ftruncate)
ALIAS(fallocate64, fallocate)
ALIAS(posix_fallocate64, posix_fallocate)
ALIAS(sendfile64, sendfile)
ALIAS(mmap64, mmap)
ALIAS(aio_read64, aio_read)
ALIAS(aio_write64, aio_write)
ALIAS(lio_listio64, lio_listio)
