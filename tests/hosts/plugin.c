// SPDX-License-Identifier: MIT OR Apache-2.0
// A library that is loaded by name: 64 KiB of constants, and as much that is written to.
#define SIZE 65536

extern const char plugin_constants[SIZE];
extern char plugin_variables[SIZE];

const char plugin_constants[SIZE] = {1};
char plugin_variables[SIZE] = {1};
