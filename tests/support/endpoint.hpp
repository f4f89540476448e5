// SPDX-License-Identifier: MIT OR Apache-2.0
// What a child's stderr can be, and the end of it that the test holds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace duende::mlock::test {

/// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { reset(); }

  void reset();
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }

 private:
  int number_ = -1;
};

enum class Stream : unsigned char {
  pipe,
  closed,
  broken_pipe,
  full_pipe,
  broken_socket,
  device_full,
  file,
  datagram_socket,
  stream_socket,
  terminal,
};

[[nodiscard]] std::string_view name_of(Stream stream);

/// Both ends of a stream.
struct Endpoint {
  Descriptor child;        // not open: the child is to have none
  Descriptor reader;       // not open: nobody reads
  std::size_t filler = 0;  // bytes in it that are not the child's
  bool ends = false;       // `reader` tells when the last writer has gone
};

[[nodiscard]] Endpoint make_endpoint(Stream stream);

/// `DEVICE:INODE` of what the child will have, as systemd writes into JOURNAL_STREAM.
[[nodiscard]] std::string journal_stream(const Endpoint& endpoint);

/// What can be read at once; false at the end.
bool read_available(int descriptor, std::string& into);

}  // namespace duende::mlock::test
