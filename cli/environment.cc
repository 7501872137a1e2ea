#include "cli/environment.h"

#include <cstdlib>

#include "cli/command.h"
#include "convoy/core/accuracy.h"
#include "convoy/report/format.h"

namespace convoy::cli {

namespace {

bool allows_threads(const std::string& value) {
  char* end = nullptr;
  const long threads = std::strtol(value.c_str(), &end, 10);
  return *end == '\0' && threads >= 1 && threads <= 1024;
}

}  // namespace

const std::vector<EnvironmentVariable>& environment_variables() {
  using Value = const std::string&;
  static const std::vector<EnvironmentVariable> variables = {
      {"CONVOY_NUM_THREADS", "1 to 1024", "threads, unless --threads says otherwise", allows_threads},
      {"CONVOY_ACCURACY", "strict, default or fast", "which convolution algorithms may be taken",
       [](Value value) { return parse_accuracy(value).has_value(); }},
      {"CONVOY_SIMD", "avx2 or scalar", "only the instructions of an older x86 processor",
       [](Value value) { return value == "avx2" || value == "scalar"; }},
      {"CONVOY_MEASURED_PLANS", "0 or 1", "with 1 a shape's first call finds its fastest algorithm",
       [](Value value) { return value == "0" || value == "1"; }},
  };
  return variables;
}

void check_environment() {
  for (const EnvironmentVariable& variable : environment_variables()) {
    const char* value = std::getenv(variable.name.c_str());
    if (value == nullptr || variable.allows(value)) continue;
    throw UsageError("the environment variable " + variable.name + " is '" + value + "'",
                     "it may be " + variable.values + ", or unset: " + variable.meaning);
  }
}

}  // namespace convoy::cli
