// Random calls of every function, legal and not: what the differential, thread, batch, guard page and allocation tests run.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "convoy/core/random.h"
#include "convoy/core/tensor.h"

namespace convoy::robustness {

using Tensors = std::vector<Tensor>;

/// One call with its inputs. Inputs are small integers, so float32 sums are exact in any order.
struct Problem {
  std::string text;  // the call, for messages
  Tensors inputs;
  std::function<Tensors(const Tensors&)> call;
  /// Which inputs and outputs have the batch in front; empty where a sample's result depends on the others.
  std::vector<bool> batched_inputs, batched_outputs;
  /// Allowed error of float32 against float64, relative to the largest value; 0 means bit for bit.
  double tolerance = 0;
};

struct Family {
  const char* name;
  Problem (*draw)(Generator& generator);
};

/// How a test names its parameter.
inline void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

/// All families, one per kind of function.
const std::vector<Family>& families();

}  // namespace convoy::robustness
