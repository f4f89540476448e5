// SPDX-License-Identifier: MIT OR Apache-2.0
#include "transfer.hpp"

#include <string.h>
#include <algorithm>
#include <cerrno>

#include <duende/mlock/detail/kernel.hpp>

#include "buffers.hpp"
#include "passages.hpp"

namespace duende::mlock::store {

namespace {

constexpr off_t round_down(off_t offset, std::size_t block) noexcept {
  return offset & -static_cast<off_t>(block);
}
constexpr off_t round_up(off_t offset, std::size_t block) noexcept {
  return round_down(offset + static_cast<off_t>(block) - 1, block);
}

/// The daemon's memory, front to back.
class Memory {
 public:
  explicit Memory(const Request& request) noexcept
      : vectors_(request.vectors), count_(request.count) {
    for (int i = 0; i < count_; ++i) {
      size_ += vectors_[i].iov_len;
    }
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  [[nodiscard]] bool aligned(std::size_t block) const noexcept {
    std::size_t bits = 0;
    for (int i = 0; i < count_; ++i) {
      bits |= reinterpret_cast<std::uintptr_t>(vectors_[i].iov_base) | vectors_[i].iov_len;
    }
    return (bits & (block - 1)) == 0;
  }

  /// The next `size` bytes, to or from `buffer`.
  void exchange(Direction direction, char* buffer, std::size_t size) noexcept {
    while (size != 0) {
      const std::size_t part = std::min(size, vectors_->iov_len - done_);
      char* const mine = static_cast<char*>(vectors_->iov_base) + done_;
      if (direction == Direction::in) {
        ::memcpy(mine, buffer, part);
      } else {
        ::memcpy(buffer, mine, part);
      }
      buffer += part;
      size -= part;
      done_ += part;
      if (done_ == vectors_->iov_len) {
        ++vectors_;
        done_ = 0;
      }
    }
  }

 private:
  const iovec* vectors_;
  int count_;
  std::size_t done_ = 0;  // of the first
  std::size_t size_ = 0;
};

/// A stretch of a file that fits into a buffer, and the blocks around it.
struct Piece {
  Piece(off_t at, std::size_t left, std::size_t block) noexcept
      : start(round_down(at, block)),
        head(static_cast<std::size_t>(at - start)),
        size(std::min(left, Buffer::kSize - head)),
        whole(static_cast<std::size_t>(round_up(static_cast<off_t>(head + size), block))) {}

  off_t start;
  std::size_t head;
  std::size_t size;
  std::size_t whole;
};

ssize_t move_bytes(Direction direction, const Request& request, char* bytes, std::size_t size,
                   off_t offset) noexcept {
  const iovec vector = {bytes, size};
  return move(direction, request.descriptor, &vector, 1, offset, request.flags);
}

ssize_t carry_in(const Request& request, Memory& memory, std::size_t block) noexcept {
  const Buffer buffer;
  const std::size_t size = memory.size();
  std::size_t done = 0;
  while (done < size) {
    const Piece piece(request.offset + static_cast<off_t>(done), size - done, block);
    const ssize_t got =
        move_bytes(Direction::in, request, buffer.bytes(), piece.whole, piece.start);
    if (got < 0 && done == 0) {
      return -1;
    }
    const ssize_t head = static_cast<ssize_t>(piece.head);
    const std::size_t mine =
        got <= head ? 0 : std::min(static_cast<std::size_t>(got - head), piece.size);
    memory.exchange(Direction::in, buffer.bytes() + piece.head, mine);
    done += mine;
    if (mine < piece.size) {
      break;
    }
  }
  return static_cast<ssize_t>(done);
}

/// A block as it is in the file, with zeros where the file ends in it.
bool read_block(const Request& request, char* bytes, std::size_t block, off_t offset) noexcept {
  const iovec vector = {bytes, block};
  const ssize_t got = move(Direction::in, request.descriptor, &vector, 1, offset, 0);
  if (got < 0) {
    return false;
  }
  ::memset(bytes + got, 0, block - static_cast<std::size_t>(got));
  return true;
}

bool read_edges(const Request& request, char* bytes, const Piece& piece,
                std::size_t block) noexcept {
  const std::size_t last = piece.whole - block;
  const bool begins_within = piece.head != 0;
  const bool ends_within = piece.head + piece.size != piece.whole;
  return (!begins_within || read_block(request, bytes, block, piece.start)) &&
         (!ends_within || (begins_within && last == 0) ||
          read_block(request, bytes + last, block, piece.start + static_cast<off_t>(last)));
}

/// The next `size` bytes of `memory` to `request.offset`.
ssize_t carry_out(const Request& request, Memory& memory, std::size_t size,
                  std::size_t block) noexcept {
  const Buffer buffer;
  std::size_t done = 0;
  while (done < size) {
    const Piece piece(request.offset + static_cast<off_t>(done), size - done, block);
    if (!read_edges(request, buffer.bytes(), piece, block)) {
      return done != 0 ? static_cast<ssize_t>(done) : -1;
    }
    memory.exchange(Direction::out, buffer.bytes() + piece.head, piece.size);
    const ssize_t put =
        move_bytes(Direction::out, request, buffer.bytes(), piece.whole, piece.start);
    const ssize_t head = static_cast<ssize_t>(piece.head);
    if (put <= head && done == 0) {
      errno = put < 0 ? errno : ENOSPC;  // as at the end of a device
      return -1;
    }
    const std::size_t mine =
        put <= head ? 0 : std::min(static_cast<std::size_t>(put - head), piece.size);
    done += mine;
    if (mine < piece.size) {
      break;
    }
  }
  return static_cast<ssize_t>(done);
}

constexpr int kAppend = 0x10;  // RWF_APPEND, Linux 4.16

/// What no whole blocks can express: a new end of the file within a block, an end that only the
/// kernel knows, a block that may not be read. Alone on the file, its last bytes go through the
/// page cache, which the kernel keeps coherent with direct reads and writes that come after.
ssize_t write_end(const File& file, Request request, Memory& memory, int flags) noexcept {
  const off_t end = request.offset + static_cast<off_t>(memory.size());
  const bool appends = (flags & O_APPEND) != 0 || (request.flags & kAppend) != 0;
  const off_t last = round_down(end, file.block);
  ssize_t before = 0;
  if (!appends && (flags & O_ACCMODE) == O_RDWR && last > request.offset) {
    before =
        carry_out(request, memory, static_cast<std::size_t>(last - request.offset), file.block);
    if (before < last - request.offset) {
      return before;
    }
    request.offset = last;
  }
  if (!set_status_flags(request.descriptor, flags & ~O_DIRECT)) {
    return before != 0 ? before : -1;
  }
  const ssize_t rest =
      carry_out(request, memory, memory.size() - static_cast<std::size_t>(before), 1);
  const int error = errno;
  (void)set_status_flags(request.descriptor, flags);
  errno = error;
  return rest >= 0 ? before + rest : before != 0 ? before : -1;
}

/// Refused for a reason that the daemon is not to see: the memory is of a kind, or not aligned in
/// a way, that only a copy helps.
constexpr bool refused(ssize_t result, int error) noexcept {
  return result < 0 && (error == EINVAL || error == EFAULT);
}

std::optional<ssize_t> write_at(File& file, const Request& request) noexcept {
  Memory memory(request);
  const off_t begin = round_down(request.offset, file.block);
  const off_t bytes_end = request.offset + static_cast<off_t>(memory.size());
  const off_t end = round_up(bytes_end, file.block);
  const bool whole_blocks = begin == request.offset && end == bytes_end;
  for (Use use = whole_blocks ? Use::write : Use::edit;;) {
    const Passage passage(file.number, begin, end, use);
    const int flags = status_flags(request.descriptor);
    if (flags == -1 || (flags & O_DIRECT) == 0) {
      return std::nullopt;
    }
    const bool appends = (flags & O_APPEND) != 0 || (request.flags & kAppend) != 0;
    const bool editable = (flags & O_ACCMODE) == O_RDWR && (!file.regular || end == bytes_end ||
                                                            end <= file_size(request.descriptor));
    if (use != Use::alone && (appends || (!whole_blocks && !editable))) {
      use = Use::alone;
      continue;
    }
    if (whole_blocks && memory.aligned(file.block)) {
      const ssize_t put = move(Direction::out, request.descriptor, request.vectors, request.count,
                               request.offset, request.flags);
      if (!refused(put, errno)) {
        return put;
      }
    }
    return use == Use::alone ? write_end(file, request, memory, flags)
                             : carry_out(request, memory, memory.size(), file.block);
  }
}

std::optional<ssize_t> read_at(File& file, const Request& request) noexcept {
  Memory memory(request);
  const off_t begin = round_down(request.offset, file.block);
  const off_t bytes_end = request.offset + static_cast<off_t>(memory.size());
  const Passage passage(file.number, begin, round_up(bytes_end, file.block), Use::read);
  const int flags = status_flags(request.descriptor);
  if (flags == -1 || (flags & O_DIRECT) == 0) {
    return std::nullopt;
  }
  if (begin == request.offset && memory.aligned(file.block)) {
    const ssize_t got = move(Direction::in, request.descriptor, request.vectors, request.count,
                             request.offset, request.flags);
    if (!refused(got, errno)) {
      return got;
    }
  }
  return carry_in(request, memory, file.block);
}

std::optional<ssize_t> transfer_at(File& file, Direction direction,
                                   const Request& request) noexcept {
  return direction == Direction::in ? read_at(file, request) : write_at(file, request);
}

std::optional<ssize_t> transfer_here(File& file, Direction direction, Request request) noexcept {
  const Held held(file.position);
  request.offset = seek(request.descriptor, 0, SEEK_CUR);
  if (request.offset < 0) {
    return std::nullopt;
  }
  const auto result = transfer_at(file, direction, request);
  if (result.value_or(-1) > 0) {
    const detail::ErrnoGuard guard;
    const bool appended =
        direction == Direction::out &&
        ((status_flags(request.descriptor) & O_APPEND) != 0 || (request.flags & kAppend) != 0);
    (void)(appended ? seek(request.descriptor, 0, SEEK_END)
                    : seek(request.descriptor, request.offset + *result, SEEK_SET));
  }
  return result;
}

/// What the kernel answers before it looks at anything else, and no sum here may overflow at.
bool is_well_formed(const Request& request) noexcept {
  constexpr std::size_t kMost = 0x7ffff000;  // MAX_RW_COUNT
  constexpr int kMostVectors = 1024;         // UIO_MAXIOV
  if (request.count < 0 || request.count > kMostVectors || request.offset < -1 ||
      request.offset > INT64_MAX - static_cast<off_t>(kMost) * 2) {
    return false;
  }
  std::size_t size = 0;
  for (int i = 0; i < request.count; ++i) {
    size = std::min(kMost + 1, size + std::min(kMost + 1, request.vectors[i].iov_len));
  }
  return size != 0 && size <= kMost;
}

}  // namespace

std::optional<ssize_t> transfer(File& file, Direction direction, const Request& request) noexcept {
  if (!is_well_formed(request)) {
    return std::nullopt;
  }
  const SignalsBlocked blocked;
  return request.offset < 0 ? transfer_here(file, direction, request)
                            : transfer_at(file, direction, request);
}

}  // namespace duende::mlock::store
