// SPDX-License-Identifier: MIT OR Apache-2.0
// What the subcommands are told by the command line, and what they answer: an exit status.
#pragma once

#include "given.hpp"

namespace duende::mlock::command {

struct RunOptions {
  GivenSettings settings;
  Words command;
  std::string preloaded;  // LD_PRELOAD as it was
  bool best_effort = false;
  bool verify = false;
};
/// Takes the place of this process, or throws why it does not.
int run(const RunOptions& options);

struct AttachOptions {
  GivenSettings settings;
  Words targets;  // PIDs, units
  bool tree = false;
  bool unlock = false;
};
int attach(const AttachOptions& options);

enum class Format : unsigned char { table, json, prometheus, quiet };

struct StatusOptions {
  Words targets;  // PIDs, names
  Format format = Format::table;
  std::string output;  // a file; empty: stdout
  bool children = true;
  unsigned watch = 0;  // seconds between two looks; 0: one look
};
int status(const StatusOptions& options);

struct CheckOptions {
  std::string target;  // a command, a PID or a unit; empty: this process
  std::string library;
  bool all = false;  // every unit that preloads the library
};
int check(const CheckOptions& options);

struct ExplainOptions {
  Words lines;       // of a log; none: those of stdin
  bool all = false;  // whatever there is to explain
};
int explain(const ExplainOptions& options);

struct SystemdOptions {
  GivenSettings settings;
  Words units;
  std::string root;
  bool all_services = false;  // a drop-in for them all, instead of for units
  bool install = false;
  bool remove = false;
  bool dry_run = false;
  bool list = false;  // the units that preload the library
};
int systemd(const SystemdOptions& options);

struct ImageOptions {
  GivenSettings settings;
  std::string image;   // of compose: the service
  std::string memory;  // its limit
};
int docker(const ImageOptions& options);
int compose(const ImageOptions& options);
int podman(const ImageOptions& options);

struct KubernetesOptions {
  GivenSettings settings;
  std::string name = "locked-daemon";
  std::string image = "daemon";
  std::string library_image = "duende-mlock";
  std::string container = "daemon";  // of a component
  bool daemonset = false;
  bool policy = false;     // for all pods that ask for it
  bool kustomize = false;  // a component
};
int kubernetes(const KubernetesOptions& options);

struct InstallOptions {
  std::string folder;
  std::string library;
};
int install(const InstallOptions& options);

}  // namespace duende::mlock::command
