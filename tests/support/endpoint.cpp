// SPDX-License-Identifier: MIT OR Apache-2.0
#include "endpoint.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>
#include <vector>

#include "check.hpp"

namespace duende::mlock::test {

namespace {

Endpoint make_pipe() {
  int ends[2];
  check(::pipe2(ends, O_CLOEXEC), "pipe2");
  Endpoint endpoint;
  endpoint.reader = Descriptor(ends[0]);
  endpoint.child = Descriptor(ends[1]);
  endpoint.ends = true;
  return endpoint;
}

Endpoint make_socket(int type) {
  int ends[2];
  check(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), "socketpair");
  Endpoint endpoint;
  endpoint.reader = Descriptor(ends[0]);
  endpoint.child = Descriptor(ends[1]);
  endpoint.ends = type == SOCK_STREAM;
  return endpoint;
}

Endpoint broken(Endpoint endpoint) {
  endpoint.reader.reset();
  endpoint.ends = false;
  return endpoint;
}

Endpoint filled(Endpoint endpoint) {
  const int end = endpoint.child.get();
  const int flags = static_cast<int>(check(::fcntl(end, F_GETFL), "F_GETFL"));
  check(::fcntl(end, F_SETFL, flags | O_NONBLOCK), "F_SETFL");
  for (const std::size_t size : {std::size_t{4096}, std::size_t{1}}) {
    const std::vector<char> block(size, '.');
    for (ssize_t count; (count = ::write(end, block.data(), size)) > 0;) {
      endpoint.filler += static_cast<std::size_t>(count);
    }
  }
  check(::fcntl(end, F_SETFL, flags), "F_SETFL");
  return endpoint;
}

Endpoint make_file() {
  Endpoint endpoint;
  endpoint.child =
      Descriptor(static_cast<int>(check(::memfd_create("stderr", MFD_CLOEXEC), "memfd")));
  // A description of its own: the child's offset is not the reader's.
  const std::string path = "/proc/self/fd/" + std::to_string(endpoint.child.get());
  endpoint.reader =
      Descriptor(static_cast<int>(check(::open(path.c_str(), O_RDONLY | O_CLOEXEC), path)));
  return endpoint;
}

Endpoint make_terminal() {
  Endpoint endpoint;
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  check(master, "posix_openpt");
  endpoint.reader = Descriptor(master);
  check(::grantpt(master), "grantpt");
  check(::unlockpt(master), "unlockpt");
  endpoint.child = Descriptor(
      static_cast<int>(check(::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC), "ptsname")));
  return endpoint;
}

}  // namespace

void Descriptor::reset() {
  if (number_ >= 0) {
    ::close(std::exchange(number_, -1));
  }
}

std::string_view name_of(Stream stream) {
  switch (stream) {
    case Stream::pipe: return "a pipe";
    case Stream::closed: return "closed";
    case Stream::broken_pipe: return "a broken pipe";
    case Stream::full_pipe: return "a full pipe";
    case Stream::broken_socket: return "a broken socket";
    case Stream::device_full: return "/dev/full";
    case Stream::file: return "a file";
    case Stream::datagram_socket: return "a datagram socket";
    case Stream::stream_socket: return "a stream socket";
    case Stream::terminal: return "a terminal";
  }
  return "?";
}

Endpoint make_endpoint(Stream stream) {
  switch (stream) {
    case Stream::pipe: return make_pipe();
    case Stream::closed: return {};
    case Stream::broken_pipe: return broken(make_pipe());
    case Stream::full_pipe: return filled(make_pipe());
    case Stream::broken_socket: return broken(make_socket(SOCK_STREAM));
    case Stream::device_full: {
      Endpoint endpoint;
      endpoint.child = Descriptor(
          static_cast<int>(check(::open("/dev/full", O_WRONLY | O_CLOEXEC), "/dev/full")));
      return endpoint;
    }
    case Stream::file: return make_file();
    case Stream::datagram_socket: return make_socket(SOCK_DGRAM);
    case Stream::stream_socket: return make_socket(SOCK_STREAM);
    case Stream::terminal: return make_terminal();
  }
  return {};
}

std::string journal_stream(const Endpoint& endpoint) {
  struct stat status;
  check(::fstat(endpoint.child.get(), &status), "fstat");
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino);
}

bool read_available(int descriptor, std::string& into) {
  char block[16384];
  const int flags = ::fcntl(descriptor, F_GETFL);
  ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK);
  for (;;) {
    const ssize_t count = ::read(descriptor, block, sizeof block);
    if (count > 0) {
      into.append(block, static_cast<std::size_t>(count));
    } else if (count == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN;
    }
  }
}

}  // namespace duende::mlock::test
