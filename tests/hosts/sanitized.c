// SPDX-License-Identifier: MIT OR Apache-2.0
// Built with AddressSanitizer, which replaces mlockall with a function that does nothing.
int main(void) { return 0; }
