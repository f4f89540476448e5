// SPDX-License-Identifier: MIT OR Apache-2.0
// What a process needs that watches a machine in trouble, and must not depend on
// what it watches.
#pragma once
#include <time.h>

// Lock all memory, wait for no I/O in the kernel's allocator, be no victim of the
// out-of-memory killer, and run at a real-time priority.  Call it once everything
// is allocated and every child is started.
void become_immune(void);

// The report is a serial port: it needs neither memory nor a disk.
void report_open(void);
void say(const char* text);

double seconds_now(void);
void wait_seconds(time_t seconds);

// End the machine, however stuck it is.
void switch_off(void) __attribute__((noreturn));
