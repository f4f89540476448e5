// SPDX-License-Identifier: MIT OR Apache-2.0
// Compiled once for all of the unit tests: three quarters of what each of them took.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
