// SPDX-License-Identifier: MIT OR Apache-2.0
#include "explanations.hpp"

#include <algorithm>

namespace duende::mlock::command {

namespace {

constexpr std::string_view kLibrary = "libduende_mlock_preload(7)";
constexpr std::string_view kCommand = "duende-mlock(1)";

constexpr Explanation kExplanations[] = {
    // What a loader and the kernel say.
    {kLibrary, "ERROR: ld.so: object ... from LD_PRELOAD cannot be preloaded (...): ignored",
     "glibc's loader did not find the library, may not read it, or it is of another "
     "architecture: the program runs unlocked. Install the library where LD_PRELOAD says, also "
     "below a RootDirectory= and in the container; where such programs are to be locked all the "
     "same, start them by \"duende-mlock run\"."},
    {kLibrary, "task ... blocked for more than ... seconds",
     "The kernel found a task that waits without an end. With __swap_writepage, swap_readpage or "
     "the daemon's own device in the trace below it, a daemon waits for its own swap device. "
     "\"cat /proc/swaps\" names the device, \"duende-mlock status\" tells whether its daemon is "
     "locked. Nothing but a reboot frees that machine; after it, run the daemon with "
     "DUENDE_MLOCK_PROFILE=swap-device and an infinite RLIMIT_MEMLOCK."},

    // Causes, the exact ones before those that hold them.
    {kLibrary, "mlockall answered 0 but VmLck is 0",
     "The call was accepted and nothing is locked: a sandbox (gVisor) ignores it, or the program "
     "was built with a sanitizer. Run it outside of that sandbox, or build it without the "
     "sanitizer."},
    {kLibrary, "what was swapped out before the lock could not be read back",
     "Part of the process was in swap when it was locked, and has stayed there. Mount /proc "
     "where it runs, and start it when memory is free."},
    {kLibrary, "no memory left, or more mappings than vm.max_map_count",
     "The kernel could not lock for want of memory, or because the lock would split mappings "
     "beyond their greatest number. Free memory, or raise vm.max_map_count with sysctl(8)."},
    {kLibrary, "nothing to lock: DUENDE_MLOCK_CURRENT and DUENDE_MLOCK_FUTURE are both off",
     "As was asked for. Leave one of the two out to have memory locked."},
    {kLibrary, "a security module or sandbox refuses it",
     "Neither a limit nor a capability nor a filter that can be seen is in the way. Look for AVC "
     "or apparmor lines in the audit log, and allow ipc_lock in that policy."},
    {kLibrary, "answered 0 without an effect",
     "The call was accepted and did nothing: a sandbox ignores it. Run the daemon outside of it, "
     "or leave that setting out."},
    {kLibrary, "threads of another library came before",
     "Another preloaded library has started threads, which have no IO flusher or real-time "
     "scheduling, as each thread has its own. Start the daemon as \"sh -c 'exec PROGRAM'\", "
     "which hands both on, or preload that library behind this one."},
    {kLibrary, "a seccomp filter may kill for ..., and no child could be had to try",
     "There is a filter, and the trial that would tell whether it kills needs one more process. "
     "Raise TasksMax= of the unit, the pids limit of the container, or RLIMIT_NPROC."},
    {kLibrary, "a seccomp filter kills for",
     "The filter of the unit or container would end the process for this call, so it was not "
     "made. Let it pass: SystemCallFilter=@memlock in the unit beside what is there "
     "(SystemCallFilter= with the name for another call), or a seccomp profile that allows it."},
    {kLibrary, "a seccomp filter refuses real-time policies",
     "The unit has RestrictRealtime=yes, which forbids SCHED_RR. Set RestrictRealtime=no in its "
     "drop-in."},
    {kLibrary, "a seccomp filter refuses",
     "The filter of the unit or container refuses the call. Let it pass: "
     "SystemCallFilter=@memlock in the unit beside what is there (SystemCallFilter= with the "
     "name for another call), or a seccomp profile that allows it."},
    {kLibrary, "cpu.rt_runtime_us of its cgroup is 0",
     "The control group has no share of real-time scheduling (version 1 with "
     "CONFIG_RT_GROUP_SCHED). Raise cpu.rt_runtime_us of the group and of those above it, or set "
     "DUENDE_MLOCK_REALTIME=0."},
    {kLibrary, "CAP_IPC_LOCK was dropped",
     "The daemon gave up the capability that lifted its limit. What is locked stays so; what it "
     "maps from now on is not, as its allocations would fail. Set an infinite RLIMIT_MEMLOCK "
     "(LimitMEMLOCK=infinity, --ulimit memlock=-1:-1): then nothing depends on who it is."},
    {kLibrary, "RLIMIT_MEMLOCK was lowered",
     "The daemon, or somebody by prlimit(2), has set a finite limit. What is locked stays so; "
     "what it maps from now on is not, as its allocations would fail. Have the limit left "
     "infinite."},
    {kLibrary, "the stack cannot be left out, and could not grow beyond RLIMIT_MEMLOCK",
     "Under a limit the stack's growth must not be charged, or the program dies as it grows; "
     "leaving it out failed. Set an infinite RLIMIT_MEMLOCK."},
    {kLibrary, "CAP_... does not count: it is held only in a user namespace",
     "The kernel asks for the capability in the first user namespace: rootless containers and "
     "PrivateUsers=yes have it for show. Raise the hard RLIMIT_MEMLOCK of the user who creates "
     "the namespace (limits.conf, or LimitMEMLOCK= of user@.service), or set PrivateUsers=no."},
    {kLibrary, "CAP_... is effective, but a security module refuses it",
     "SELinux, AppArmor or another module takes the capability's effect away. Look for its lines "
     "in the audit log, and allow the capability in that policy."},
    {kLibrary, "CAP_IPC_LOCK is permitted but not effective",
     "The daemon has switched the capability off for itself, and its limit is finite. Set an "
     "infinite RLIMIT_MEMLOCK, which needs no capability."},
    {kLibrary, "RLIMIT_MEMLOCK (...) allows no lock",
     "The limit is 0. Set LimitMEMLOCK=infinity in the unit, --ulimit memlock=-1:-1 for a "
     "container, or the user's limit in limits.conf; in Kubernetes, run as root with IPC_LOCK. "
     "With a hard limit that is infinite, leave DUENDE_MLOCK_RAISE_LIMIT on."},
    {kLibrary, "the address space ... exceeds RLIMIT_MEMLOCK (...)",
     "The process has mapped more than it may lock, and nothing is locked. Set "
     "LimitMEMLOCK=infinity in the unit, --ulimit memlock=-1:-1 for a container, or the user's "
     "limit in limits.conf; in Kubernetes, run as root with IPC_LOCK."},
    {kLibrary, "not future: only CAP_IPC_LOCK lifts RLIMIT_MEMLOCK (...)",
     "All that is mapped is locked; what is mapped later is not, since a daemon that drops root "
     "would have its allocations fail. Set an infinite RLIMIT_MEMLOCK; or, for a daemon that "
     "stays root, DUENDE_MLOCK_FUTURE=1."},
    {kLibrary, "nothing more once CAP_IPC_LOCK is dropped",
     "All is locked, now and later, as long as the daemon keeps the capability. If it drops "
     "root, what it maps after that is not locked. Set an infinite RLIMIT_MEMLOCK."},
    {kLibrary, "the limit binds: allocations beyond RLIMIT_MEMLOCK (...) fail",
     "DUENDE_MLOCK_FUTURE or DUENDE_MLOCK_REQUIRED asked for future locks under a finite limit: "
     "malloc(3), mmap(2) and pthread_create(3) fail once it is used up. Set an infinite "
     "RLIMIT_MEMLOCK before that; what is left is in the line."},
    {kLibrary, "not future: allocations beyond RLIMIT_MEMLOCK (...) would fail",
     "What is mapped is locked, and what is mapped later is not, as the limit is finite. Set "
     "LimitMEMLOCK=infinity in the unit, --ulimit memlock=-1:-1 for a container, or the user's "
     "limit in limits.conf; in Kubernetes, run as root with IPC_LOCK."},
    {kLibrary, "MCL_ONFAULT was refused with EINVAL",
     "Linux before 4.4: everything is populated instead of locked as it is touched, which takes "
     "more memory. Nothing needs to be done where that fits."},
    {kLibrary, "does not hold: prctl(PR_SET_IO_FLUSHER) failed with EPERM: CAP_SYS_RESOURCE",
     "IO_FLUSHER takes CAP_SYS_RESOURCE: allocations of the daemon may wait for its own device. "
     "Run it as root, with the capability in CapabilityBoundingSet= and, for another user, "
     "AmbientCapabilities=; --cap-add=SYS_RESOURCE for a container."},
    {kLibrary, "does not hold: sched_setscheduler(SCHED_RR) failed with EPERM: CAP_SYS_NICE",
     "REALTIME takes CAP_SYS_NICE, or an RLIMIT_RTPRIO that allows the priority. Run it as root, "
     "with the capability in CapabilityBoundingSet= and, for another user, AmbientCapabilities=; "
     "--cap-add=SYS_NICE for a container."},
    {kLibrary, "this kernel does not have it",
     "The kernel is older than the call. Take a newer kernel, or leave that setting out."},
    {kLibrary, "locked (size unknown: /proc cannot be read)",
     "The lock was accepted; how much it holds could not be read back. Mount /proc to see it."},
    {kLibrary, "children of fork run unlocked: the C library registers no handler",
     "This C library lets nobody hear of a fork: children have no lock. Lock them from outside: "
     "\"duende-mlock attach --tree PID\"."},
    {kLibrary, "left alone: DUENDE_MLOCK_ONLY does not name it",
     "As was asked for: neither the executable nor argv[0] has one of those base names. Add the "
     "name if this is the daemon."},
    {kLibrary, "does not hold: this C library cannot change that default",
     "DUENDE_MLOCK_ARENAS and DUENDE_MLOCK_THREAD_STACK take glibc 2.18; musl knows neither. "
     "Leave the variable out, or have the program set it."},
    {kLibrary, "is not accepted; accepted:",
     "A variable has a value that it does not take, and its default counts; with "
     "DUENDE_MLOCK_REQUIRED the program was ended. Correct it: the line has what is accepted."},
    {kLibrary, "unknown variable ...; the nearest known one is",
     "A name that begins with DUENDE_MLOCK_ is none of the library's, and was passed over; with "
     "DUENDE_MLOCK_REQUIRED the program was ended. Correct the name, or take it out."},
    {kLibrary, "DUENDE_MLOCK_ONFAULT=1 asks for nothing with CURRENT=0 and FUTURE=0",
     "The kernel takes no such call. Leave DUENDE_MLOCK_ONFAULT out, or set one of the two "
     "others to 1."},
    {kLibrary, "store ...: its buffers are not locked",
     "The buffers of the store library can be swapped out, to the very store. Raise "
     "RLIMIT_MEMLOCK by 4 MiB, best to infinity."},
    {kLibrary, "store ...: through the page cache from now on",
     "The daemon uses its store in a way that O_DIRECT does not serve: a mapping to write, "
     "fdopen(3), or asynchronous I/O. Switch that off in the daemon; or else keep its memory "
     "free by other means, as it may wait for its own writes when none is left."},
    {kLibrary, "store ...: through the page cache",
     "The store was opened without O_DIRECT, for the reason in the line. Put it on a block "
     "device or in a file on ext4 or xfs, and see that memory is there when the daemon starts."},
    {kLibrary, "no store is opened with O_DIRECT: DUENDE_MLOCK_STORE takes at most",
     "The variable has too many paths, or too long ones. Name the files of the store only."},
    {kLibrary, "store ...: O_DIRECT, in blocks of",
     "The store is opened past the page cache. Nothing needs to be done."},

    // The command: what keeps a program from being reached.
    {kCommand, "is for ... and the library for ...",
     "A loader takes libraries of its own architecture only. Name one for the program's: "
     "--library PATH; without one, \"duende-mlock run\" locks the program from outside."},
    {kCommand, "is linked statically (...), so that no loader reads LD_PRELOAD",
     "\"duende-mlock run\" locks it from outside; its children are not followed. To have them "
     "locked, link it dynamically (Go: CGO_ENABLED=1), or use the header API."},
    {kCommand, "so that the loader ignores LD_PRELOAD",
     "A program that gains privileges as it starts is not preloaded. Take the bit or the file "
     "capabilities off, start it as the user it is to be, and grant capabilities by "
     "AmbientCapabilities= or setpriv(1)."},
    {kCommand, "is neither an ELF program nor a script with an interpreter",
     "Begin the script with a line such as #!/bin/sh, or name the program in it."},
    {kCommand, "is a script for the interpreter ..., which does not exist",
     "Correct the script's first line, or install that interpreter."},
    {kCommand, "is a script whose interpreters are nested too deep",
     "The kernel goes no further either. Name an ELF program in the first line."},
    {kCommand, "env is told to take LD_PRELOAD away",
     "Leave -i, -u LD_PRELOAD or LD_PRELOAD= out of the command line of env(1)."},
    {kCommand, "cannot be read by this user, so that nobody can tell whether LD_PRELOAD reaches it",
     "Make the program readable (chmod a+r), or ask as root."},
    {kCommand, "the library's path holds a space, a colon or a dollar sign",
     "LD_PRELOAD cannot name it. Put the library where the path has none."},
    {kCommand, "there is no library",
     "Install the package, or say with --library PATH where it is. With --root it is looked for "
     "in that folder."},
    {kCommand, "the library ... cannot be read",
     "Make it readable for the user who runs the daemon (chmod a+r), and each folder on the way "
     "(a+x)."},
    {kCommand, "the library ... is not an ELF file",
     "The file is damaged. Install it again, or name another: --library PATH."},

    // run, attach
    {kCommand, "the lock cannot be verified",
     "The program could not be stopped before its main(): the cause is in the line. Permit "
     "ptrace(2), or start it without --verify; the library locks it all the same."},
    {kCommand,
     "its address space (...) exceeds its RLIMIT_MEMLOCK (...), and it has no CAP_IPC_LOCK",
     "Another process was to be locked, of which the limit holds, and not that of whoever asks. "
     "Ask as root with CAP_SYS_RESOURCE, by which \"duende-mlock attach\" lifts that limit, or "
     "set LimitMEMLOCK=infinity in its unit and restart it."},
    {kCommand, "without CAP_IPC_LOCK, allocations beyond RLIMIT_MEMLOCK (...) fail",
     "Future memory is locked under a finite limit, as was asked for: what the program maps "
     "beyond it fails once it has no CAP_IPC_LOCK. Set an infinite limit, or leave --required "
     "and --future out."},
    {kCommand, "serves swap from a store behind the page cache",
     "A write to the store may wait for memory that only this daemon can free by serving swap. "
     "Open the store with O_DIRECT: \"duende-mlock run --swap-device --store PATH\", the drop-in "
     "of \"duende-mlock systemd --store PATH\", or qemu-nbd's --cache=none."},
    {kCommand, "and it cannot be locked from outside",
     "Neither LD_PRELOAD reaches the program nor ptrace(2). Do what the line ends with, or "
     "permit ptrace(2): as root, with kernel.yama.ptrace_scope below 2, in a container with "
     "SYS_PTRACE."},
    {kCommand, "does not hold; fix: start it as root, with",
     "The setting takes that capability, which this user has not. Start it as root, or leave the "
     "setting out."},
    {kCommand, "it is traced by ... already", "A debugger or strace(1) has it. End that first."},
    {kCommand, "stopped ... times, at the median for",
     "At debug: how often attach has stopped a thread of the process, and for how long."},
    {kCommand, "it runs V8, which ends itself",
     "Node.js, Chromium and their like take it for fatal that locked memory cannot be given back. "
     "The library does that for them: start the program anew with LD_PRELOAD or \"duende-mlock "
     "run\", without file capabilities or a set-user-ID bit."},
    {kCommand, "it has a seccomp filter, which may kill it for the call",
     "The filter can only be suspended with CAP_SYS_ADMIN and without a filter on the caller. "
     "Ask as root outside of any container, or restart the daemon with the library."},
    {kCommand, "ptrace(2) is not permitted",
     "Ask as root, with CAP_SYS_PTRACE; in a container, with --cap-add=SYS_PTRACE."},
    {kCommand, "it has ended, or no thread of it stops",
     "All its threads are gone or in a sleep that nothing interrupts (state D), which is what a "
     "deadlock looks like. See \"ps -eo pid,stat,wchan:32,comm\"; try again if it goes on."},
    {kCommand, "no system call could be made in it, or none that has an effect",
     "The process is confined in a way that does not show. See which sandbox or security module "
     "it runs under."},
    {kCommand, "its address space ... exceeds its RLIMIT_MEMLOCK",
     "The process has mapped more than it may lock, and this user may not lift its limit. Ask as "
     "root, with CAP_SYS_RESOURCE."},
    {kCommand, "without CAP_IPC_LOCK, allocations beyond RLIMIT_MEMLOCK (...) fail",
     "What it maps later is locked under a finite limit: malloc(3), mmap(2) and "
     "pthread_create(3) fail once that is used up. Set an infinite RLIMIT_MEMLOCK."},
    {kCommand, "not unlocked: munlockall failed",
     "A filter or module refuses the call. Nothing has changed; restart the daemon without the "
     "library instead."},
    {kCommand, "IO_FLUSHER or REALTIME does not hold in each thread",
     "The memory is locked; some thread is without the setting. Give the process "
     "CAP_SYS_RESOURCE and CAP_SYS_NICE, and attach once more: threads may have come meanwhile."},
    {kCommand, "no such process runs here, or it is the kernel's",
     "Name a PID, or a unit that runs, of this PID namespace. Kernel threads have no memory to "
     "lock."},
    {kCommand, "there is no such process here, or it is one of the kernel's",
     "Name a PID of this PID namespace. Kernel threads have no memory to lock."},
    {kCommand, "process ... has ended",
     "It ended while it was looked at. Ask again by its new PID."},
    {kCommand, "there is no such command, process or unit here",
     "Give the path of the command, a PID, or the unit's name with .service."},
    {kCommand, ": not found", "There is no such command in PATH. Give its path."},
    {kCommand, "not an executable file", "Make it executable (chmod a+x), or name the program."},
    {kCommand, "cannot be executed here",
     "The file is for another processor or is damaged: the kernel does not execute it."},

    // status
    {kCommand, "LD_PRELOAD names the library, but it is not loaded",
     "The variable reached the process, and its loader did not load the library: it is missing, "
     "of another architecture, or the program is static. \"duende-mlock check PROGRAM\" says "
     "which."},
    {kCommand, "the library is loaded, nothing is locked",
     "The library said why in the daemon's log when it started: explain that line. "
     "\"duende-mlock check PID\" looks for the cause."},
    {kCommand, "some of it is in swap",
     "It was swapped out before it was locked, or its lock was taken away. Restart the daemon "
     "while memory is free, or \"duende-mlock attach PID\"."},
    {kCommand, "runs another build of the library than the one installed",
     "The package was upgraded since the daemon started. It stays locked; the new library counts "
     "from its next start: restart it when that suits."},
    {kCommand, "files that it maps stay evictable",
     "All that can be swapped is locked. Files mapped as data, and code that would fill a small "
     "control group, come back from where they are. DUENDE_MLOCK_FILES=all locks them."},
    {kCommand, "not permitted to see all", "Ask as root, or with CAP_SYS_PTRACE."},
    {kCommand, "no process has the name",
     "Names are the kernel's, of 15 characters at most, as \"ps -o comm\" has them. The daemon "
     "may not run."},
    {kCommand, "no process has the library",
     "Nothing that this user may see has it loaded or in LD_PRELOAD. Ask as root; see whether "
     "the units still name it: \"duende-mlock systemd --list\"."},

    // check
    {kCommand, "library: ... is not loaded",
     "A program was started under the library, and its loader did not load it; its words follow. "
     "See ldd(1), and whether the file system is mounted noexec."},
    {kCommand, "is loaded but locks nothing",
     "The library loads here, and cannot lock; its own line follows. Do what its fix says."},
    {kCommand, "not tried:",
     "Nothing could be started under the library, for the reason in the line. The other findings "
     "hold."},
    {kCommand, "starts ..., which is not there", "Correct ExecStart= of the unit."},
    {kCommand, "program: ... cannot be read by this user", "Ask as root."},
    {kCommand, "what ... has loaded cannot be seen by this user", "Ask as root."},
    {kCommand, "runs without the library",
     "The process was started without it, or before it was installed. Restart the daemon with "
     "the library, or lock it as it is: \"duende-mlock attach PID\"."},
    {kCommand, "preloads ..., which is not there",
     "The unit starts unlocked. Install the library there, or have the drop-in written anew: "
     "\"duende-mlock systemd --install UNIT\"."},
    {kCommand, "does not preload the library",
     "Write the drop-in: \"duende-mlock systemd --install UNIT\". If an EnvironmentFile= sets "
     "LD_PRELOAD, name the library in that file."},
    {kCommand, "CAP_IPC_LOCK goes beyond it, but not in a daemon that has dropped root",
     "The lock depends on the daemon staying root. Set an infinite RLIMIT_MEMLOCK."},
    {kCommand, "RLIMIT_MEMLOCK is 0: nothing can be locked",
     "Set LimitMEMLOCK=infinity in the unit, or --ulimit memlock=-1:-1 for the container."},
    {kCommand, "beyond it, new memory is not locked or cannot be had",
     "The limit is finite and nothing lifts it. Set LimitMEMLOCK=infinity in the unit, or "
     "--ulimit memlock=-1:-1 for the container."},
    {kCommand, "CAP_IPC_LOCK is effective in a user namespace only, and does not count",
     "Raise the hard RLIMIT_MEMLOCK of the user who creates the namespace."},
    {kCommand, "CAP_IPC_LOCK is in the bounding set, but not effective for this user",
     "An infinite RLIMIT_MEMLOCK makes up for it; else AmbientCapabilities=CAP_IPC_LOCK."},
    {kCommand, "CAP_IPC_LOCK is not in the bounding set",
     "An infinite RLIMIT_MEMLOCK makes up for it; else add it to CapabilityBoundingSet=, or "
     "--cap-add=IPC_LOCK."},
    {kCommand, "refuses mlockall",
     "The unit's filter does not let it pass. Add SystemCallFilter=@memlock: \"duende-mlock "
     "systemd --install UNIT\" does."},
    {kCommand, "has a filter, which may refuse mlockall",
     "Whether it does cannot be seen from outside. Let the call pass "
     "(SystemCallFilter=@memlock), or see what the library says when the daemon starts."},
    {kCommand, "memory: ..., and ... KiB are resident",
     "The daemon does not fit into its control group. Raise the limit (MemoryMax=, docker run "
     "--memory, resources.limits.memory)."},
    {kCommand, "memory: ...: it holds the ... KiB resident, but not all",
     "Locked memory counts in full and cannot be reclaimed: beyond the limit the daemon is "
     "killed. Raise it (MemoryMax=, docker run --memory, resources.limits.memory), and do not "
     "populate."},
    {kCommand, "may be served by this very daemon",
     "A daemon under its own swap device needs more than the lock: start it with --swap-device "
     "(DUENDE_MLOCK_PROFILE=swap-device)."},

    {kCommand, "serves swap from a store behind the page cache",
     "Out of memory, the daemon waits for its own writes to the page cache, whatever is locked. "
     "Have the second library open its store past it: --store PATH."},

    // Recipes
    {kCommand, "sets LD_PRELOAD, and counts for more than the drop-in",
     "An EnvironmentFile= of the unit wins over Environment=. Name the library in that file, "
     "beside what is there."},
    {kCommand, "will not be locked:",
     "The unit's program is out of LD_PRELOAD's reach, for the reason in the line. Let "
     "ExecStartPost=+duende-mlock attach --tree $MAINPID lock it."},
    {kCommand, "there is no unit",
     "See the name with \"systemctl list-unit-files\"; with --root it is looked for in that "
     "folder. Nothing was written."},
    {kCommand, "was not written by this command",
     "The drop-in of that name is somebody's own, and is left as it is. Remove it by hand if it "
     "is to go."},
    {kCommand, "these units preload the library",
     "Units still name the library: from their next start they run unlocked. Take the drop-ins "
     "away before the package: \"duende-mlock systemd --remove UNIT...\"; what was written by "
     "hand, by hand."},
    {kCommand, "systemd was not reloaded",
     "The files are written; systemd has not read them. Run \"systemctl daemon-reload\" as root."},
    {kCommand, "cannot write", "Is the folder there, is there room, and is this root?"},
    {kCommand, "cannot remove", "Is the file system read-only, and is this root?"},
    {kCommand, "cannot read", "Make the file readable, or ask as root."},
    {kCommand, "cannot make the folder", "Is there something of that name, and is this root?"},
    {kCommand, "not started:",
     "\"duende-mlock run\" starts nothing that it cannot lock. Do what the line ends with, or "
     "start it unlocked: --best-effort."},
    {kCommand,
     "started unlocked:", "As --best-effort asks. Do what the line ends with to have it locked."},
    {kCommand, "nothing is known of this line",
     "It is none of the library's, this command's or the loader's, or of another version. The "
     "man page of the program that printed it may know."},
    {kCommand, "there was no line to explain", "Give the line in quotes, or a log on stdin."},
    {kCommand, "Try: duende-mlock",
     "The command line is not as it should be; the line before says what, and what is accepted."},

    // What is said when all is well, and what begins with that.
    {kLibrary, "nothing locked",
     "As was asked for: the settings lock neither what is nor what comes."},
    {kLibrary, "locked (...)",
     "The memory is locked, and the kernel has confirmed it. VmLck is the address space that is "
     "charged, not what is resident. Nothing needs to be done."},
    {kCommand, ": unlocked", "As was asked for: nothing of it is locked any more."},
};

/// Each part of the pattern, in its order.
bool fits(std::string_view line, std::string_view pattern) noexcept {
  constexpr std::string_view kAnything = "...";
  for (;;) {
    const auto end = std::min(pattern.find(kAnything), pattern.size());
    const auto at = line.find(pattern.substr(0, end));
    if (at == line.npos) {
      return false;
    }
    line.remove_prefix(at + end);
    if (end == pattern.size()) {
      return true;
    }
    pattern.remove_prefix(end + kAnything.size());
  }
}

}  // namespace

std::span<const Explanation> explanations() noexcept { return kExplanations; }

const Explanation* explanation_of(std::string_view line) noexcept {
  const auto* const found =
      std::find_if(std::begin(kExplanations), std::end(kExplanations),
                   [line](const Explanation& known) { return fits(line, known.line); });
  return found == std::end(kExplanations) ? nullptr : found;
}

}  // namespace duende::mlock::command
