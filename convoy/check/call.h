// A stored call on its way into the engine: arguments and inputs by name, with the types that ops take.
#pragma once

#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convoy/autograd/variable.h"
#include "convoy/check/stored_case.h"
#include "convoy/ops/options.h"
#include "convoy/ops/pool.h"

namespace convoy::check {

/// The call cannot be made: an argument is missing, of the wrong type, or one the engine does not have. Never a refusal by the
/// engine, so it is no convoy::Error: a case that expects an error must not pass because of it.
class BadCall : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Arguments by name; null counts as not given. Remembers which were asked for.
class Arguments {
 public:
  explicit Arguments(const NamedArguments& arguments) : arguments_(arguments) {}

  bool flag(const char* name, bool otherwise) const;
  int64_t integer(const char* name, std::optional<int64_t> otherwise = {}) const;
  double number(const char* name, double otherwise) const;
  std::string text(const char* name, const char* otherwise) const;
  /// One integer or a list of them, without a default where `required`.
  IntList axes(const char* name, const IntList& otherwise) const;
  IntList required_axes(const char* name) const;
  /// A list of integers; empty if it is not given.
  std::vector<int64_t> sizes(const char* name) const;
  /// One number or a list of them; empty if it is not given.
  std::vector<double> numbers(const char* name) const;
  /// One size or a list, null entries keep the input's size.
  AdaptiveSize adaptive_size(const char* name, int rank) const;
  /// A string ("same", "valid"), one integer or a list.
  Padding padding(const char* name) const;
  /// Whether it is there, be it null: Python's None where that is a value of its own.
  bool given(const char* name) const;
  /// The argument itself, or nullptr if it is missing or null.
  const Argument* find(const char* name) const;
  const Argument& required(const char* name) const;

  /// Given, not null, and never asked for: arguments that would be ignored silently.
  std::vector<std::string> unused() const;

 private:
  const NamedArguments& arguments_;
  mutable std::set<std::string, std::less<>> used_;
};

/// Results by name, in the order of PyTorch's.
using Outputs = std::vector<std::pair<std::string, Variable>>;

/// One call: its arguments and inputs.
class Call {
 public:
  /// Float inputs require a gradient where `grads` names them; in a call that must be refused all do, as when the case was made.
  explicit Call(const StoredCase& stored);

  const Arguments& args() const { return args_; }
  const Variable& input(const char* name);
  /// Undefined if the case has none.
  Variable optional_input(const char* name);
  /// The value alone, a clone: the engine may change it.
  Tensor constant(const char* name);
  Tensor optional_constant(const char* name);
  const Variable* find(std::string_view name) const;

  std::vector<std::string> unused_inputs() const;

 private:
  Arguments args_;
  std::vector<std::pair<std::string, Variable>> inputs_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace convoy::check
