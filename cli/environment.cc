#include "cli/environment.h"

#include <cstdlib>

#include "cli/command.h"
#include "convoy/core/accuracy.h"
#include "convoy/report/format.h"

namespace convoy::cli {

const std::vector<EnvironmentVariable>& environment_variables() {
  static const std::vector<EnvironmentVariable> variables = {
      {"CONVOY_NUM_THREADS", "1 to 1024", "threads, unless --threads says otherwise"},
      {"CONVOY_ACCURACY", "strict, default or fast", "which convolution algorithms may be taken"},
      {"CONVOY_SIMD", "avx2 or scalar", "only the instructions of an older x86 processor"},
      {"CONVOY_MEASURED_PLANS", "0 or 1", "with 1 a shape's first call finds its fastest algorithm"},
  };
  return variables;
}

namespace {

bool known(const std::string& name, const std::string& value) {
  if (name == "CONVOY_ACCURACY") return parse_accuracy(value).has_value();
  if (name == "CONVOY_SIMD") return value == "avx2" || value == "scalar";
  if (name == "CONVOY_MEASURED_PLANS") return value == "0" || value == "1";
  char* end = nullptr;
  const long threads = std::strtol(value.c_str(), &end, 10);
  return *end == '\0' && threads >= 1 && threads <= 1024;
}

}  // namespace

void check_environment() {
  for (const EnvironmentVariable& variable : environment_variables()) {
    const char* value = std::getenv(variable.name.c_str());
    if (value == nullptr || known(variable.name, value)) continue;
    throw UsageError("the environment variable " + variable.name + " is '" + value + "'",
                     "it may be " + variable.values + ", or unset: " + variable.meaning);
  }
}

}  // namespace convoy::cli
