// The first line of commands that compute for a while.
#pragma once

#include <cstdint>
#include <string>

#include "convoy/report/terminal.h"

namespace convoy::cli {

/// "convoy 0.1.0 · AVX-512 · 2 threads · seed 1".
std::string banner(const report::Style& style, int64_t seed);

}  // namespace convoy::cli
