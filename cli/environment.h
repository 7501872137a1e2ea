// The environment variables that change how the engine computes.
#pragma once

#include <string>
#include <vector>

namespace convoy::cli {

struct EnvironmentVariable {
  std::string name, values, meaning;
  bool (*allows)(const std::string& value);
};
const std::vector<EnvironmentVariable>& environment_variables();

/// The library takes a value that it does not know for none, as OpenMP does; the tool says so: throws UsageError with the values
/// that work.
void check_environment();

}  // namespace convoy::cli
