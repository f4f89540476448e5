// SPDX-License-Identifier: MIT OR Apache-2.0
// Whatever stderr is, the library neither kills, stops nor delays, and leaves all as it found it.
#include <doctest/doctest.h>
#include <csignal>

#include "precondition.hpp"
#include "procfs.hpp"
#include "shim.hpp"

namespace duende::mlock::test {

namespace {

constexpr Stream kStreams[] = {
    Stream::pipe,          Stream::closed,      Stream::broken_pipe, Stream::full_pipe,
    Stream::broken_socket, Stream::device_full, Stream::file,        Stream::datagram_socket,
    Stream::stream_socket, Stream::terminal,
};

/// In which state the signals that a write can raise are handed to the program.
struct Signals {
  std::string_view name;
  void (*prepare)();
};

void block(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

void block_and_raise(int signal) {
  block(signal);
  ::kill(::getpid(), signal);
}

constexpr Signals kSignals[] = {
    {"as found", [] {}},
    {"SIGPIPE ignored", [] { ::signal(SIGPIPE, SIG_IGN); }},
    {"SIGPIPE blocked", [] { block(SIGPIPE); }},
    {"SIGPIPE pending",
     [] {
       block_and_raise(SIGPIPE);
       block_and_raise(SIGUSR1);
     }},
    {"SIGPIPE pending for the thread alone",
     [] {
       block(SIGPIPE);
       ::raise(SIGPIPE);
     }},
    {"SIGXFSZ and SIGTTOU pending",
     [] {
       block_and_raise(SIGXFSZ);
       block_and_raise(SIGTTOU);
     }},
};

/// What main finds of errno, descriptors and signals.
std::string found(const Finished& finished) {
  std::string text(finished.out, 0, finished.out.find("memlock"));
  for (const std::string_view key : {"SigPnd:", "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:"}) {
    text += std::string(key) + ' ' + std::string(field(finished.out, key)) + '\n';
  }
  return text;
}

/// Is the line to be read at the other end?
bool arrives(Stream stream) {
  switch (stream) {
    case Stream::pipe:
    case Stream::file:
    case Stream::datagram_socket:
    case Stream::stream_socket:
    case Stream::terminal: return true;
    default: return false;
  }
}

/// The first three characters of the line, for a stderr of that kind.
std::string priority(Stream stream, std::string_view journal, const Names& variables) {
  Launch launch = shimmed("report", {}, variables);
  launch.environment.push_back("JOURNAL_STREAM=" + std::string(journal));
  launch.standard_error = stream;
  const Finished finished = run(launch);
  CAPTURE(journal);
  CHECK(finished.err.find("duende-mlock[") != std::string::npos);
  return finished.err.substr(0, finished.err.find("duende-mlock["));
}

}  // namespace

TEST_SUITE("everywhere") {
  TEST_CASE("every kind of stderr in every state of the signals") {
    for (const Stream stream : kStreams) {
      for (const Signals& signals : kSignals) {
        Launch bare = plain("report");
        // Two lines: the second meets what the first left behind.
        Launch locked = shimmed("report", {}, {"FROK=lazy"});
        for (Launch* launch : {&bare, &locked}) {
          launch->standard_error = stream;
          launch->prepare = signals.prepare;
        }
        CAPTURE(name_of(stream));
        CAPTURE(signals.name);
        const Finished without = run(bare);
        const Finished with = run(locked);
        REQUIRE(without.how() == "exit 0");
        CHECK(with.how() == without.how());
        CHECK(found(with) == found(without));
        CHECK((with.err.find("duende-mlock[") != std::string::npos) == arrives(stream));
      }
    }
  }

  TEST_CASE("a file that may not grow") {
    for (const rlim_t size : {rlim_t{0}, rlim_t{10}}) {
      Launch launch = shimmed("report");
      launch.standard_error = Stream::file;
      launch.limits.push_back({RLIMIT_FSIZE, {size, size}});
      const Finished finished = run(launch);
      CHECK(finished.how() == "exit 0");
      CHECK(finished.err.size() == size);
      CHECK(field(finished.out, "ShdPnd:") == "0000000000000000");
    }
  }

  TEST_CASE("no descriptor is left to open one") {
    Launch launch = shimmed("report", {}, {"LOG=debug"});
    launch.limits.push_back({RLIMIT_NOFILE, {4, 4}});
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
  }

  TEST_CASE("a required lock that fails leaves by SIGABRT, whatever stderr is") {
    for (const Stream stream : kStreams) {
      Launch launch = shimmed("report", {}, {"REQUIRED=maybe"});
      launch.standard_error = stream;
      CAPTURE(name_of(stream));
      const Finished finished = run(launch);
      CHECK(finished.how() == "signal 6");
      CHECK(finished.out.empty());
    }
  }

  TEST_CASE("the journal's priorities, where stderr is the journal and nowhere else") {
    for (const Stream stream : {Stream::stream_socket, Stream::datagram_socket, Stream::pipe}) {
      CAPTURE(name_of(stream));
      CHECK(priority(stream, "@STDERR@", {"CURRENT=0", "FUTURE=0"}) == "<6>");
      CHECK(priority(stream, "@STDERR@", {"FROK=lazy", "LOG=warn", "CURRENT=0", "FUTURE=0"}) ==
            "<4>");
      CHECK(priority(stream, "@STDERR@", {"REQUIRED=maybe"}) == "<3>");
      for (const std::string_view other :
           {"", "0:0", "@STDERR@0", "1@STDERR@", "@STDERR@:", "@STDERR@ ", " @STDERR@", "8:", ":8",
            "8", "18446744073709551616:1", "x"}) {
        CHECK(priority(stream, other, {"CURRENT=0", "FUTURE=0"}) == "");
      }
    }
  }
}

TEST_SUITE("terminal") {
  TEST_CASE("a background process under `stty tostop` is not stopped") {
    Launch control = plain("background");
    control.standard_error = Stream::terminal;
    const Finished stopped = run(control);
    if (stopped.out != "stopped " + std::to_string(SIGTTOU) + "\n") {
      skip("no terminal that stops a background process: " + stopped.out + stopped.how());
      return;
    }
    Launch launch = plain("background", {Stage::get().library(), Stage::get().host("report")});
    launch.standard_error = Stream::terminal;
    const Finished finished = run(launch);
    CHECK(finished.how() == "exit 0");
    CHECK(finished.out.find("\nexit 0\n") != std::string::npos);
    CHECK(finished.err.find("duende-mlock[") != std::string::npos);
  }
}

}  // namespace duende::mlock::test
