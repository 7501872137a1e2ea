// Values as Python prints them, for printed forms that equal PyTorch's.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "convoy/ops/options.h"

namespace convoy::nn {

/// A number that remembers whether it was given as an integer: Python prints `beta=1` and `beta=1.0` differently.
class Number {
 public:
  template <std::integral I>
  constexpr Number(I value)
      : value_(static_cast<double>(value)),
        whole_(static_cast<int64_t>(value)),
        integer_(true) {}  // NOLINT(google-explicit-constructor)
  template <std::floating_point F>
  constexpr Number(F value) : value_(static_cast<double>(value)) {}  // NOLINT(google-explicit-constructor)

  constexpr double value() const { return value_; }
  constexpr bool integer() const { return integer_; }
  /// The integer it was given as.
  constexpr int64_t whole() const { return whole_; }
  constexpr operator double() const { return value_; }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
  int64_t whole_ = 0;
  bool integer_ = false;
};

/// repr(value): "0.1", "1e-05", "1.0", "inf", "nan".
std::string python_text(double value);
std::string python_text(const Number& value);
/// "None" for nothing.
std::string python_text(const std::optional<Number>& value);
/// "True" or "False".
std::string python_bool(bool value);
/// "(3, 3)", "(3,)", "()".
std::string python_tuple(const std::vector<int64_t>& values);
/// A number or a tuple, as it was given.
std::string python_text(const IntList& values);
/// "conv2d" of ("conv", 2).
std::string ranked(const char* name, int rank);

}  // namespace convoy::nn
