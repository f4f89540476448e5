// SPDX-License-Identifier: MIT OR Apache-2.0
// The runner of the unit tests.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "doctest.hpp"
