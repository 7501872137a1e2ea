// The error table: a wrong call for every argument of every function in convoy/ops, and the words it is refused with
// (PyTorch 1.13's where PyTorch has the function; empty where any reason will do).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/robustness/refusal.h"

namespace convoy::robustness {

enum class Kind : uint8_t { kRuntime, kValue };

struct Row {
  std::string argument;  // "function.argument", with the fields of option structs as arguments
  std::function<void()> call;
  std::string words;
  Kind kind = Kind::kRuntime;
};
using Rows = std::vector<Row>;

/// Adds a row to the local `rows`; REFUSED_VALUE where PyTorch raises ValueError.
#define REFUSED(argument, call, words) rows.push_back({argument, [=] { (void)(call); }, words, Kind::kRuntime})
#define REFUSED_VALUE(argument, call, words) rows.push_back({argument, [=] { (void)(call); }, words, Kind::kValue})

Rows conv_rows();
Rows pool_rows();
Rows norm_rows();
Rows elementwise_rows();
Rows rearrange_rows();
Rows loss_rows();
Rows file_rows();

inline Tensor doubles(Shape shape) { return Tensor::zeros(std::move(shape), DType::kFloat64); }

}  // namespace convoy::robustness
