// SPDX-License-Identifier: MIT OR Apache-2.0
// A library that stands in front of libc, linked with the hash table of before glibc 2.5 alone.
int setuid(unsigned uid) { return (int)uid; }
int old_hash_first(void) { return 1; }
int old_hash_second(void) { return 2; }
