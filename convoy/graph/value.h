// What flows through a graph during a run: nearly always a tensor, sometimes text or a list.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy::graph {

/// A dense array of text.
struct Strings {
  Shape shape;
  std::vector<std::string> values;
};

class Value;
using Sequence = std::vector<Value>;

/// A tensor, an array of text, a list of values, or nothing (an input that is left out, an empty optional). Cheap to copy.
class Value {
 public:
  Value() = default;
  Value(Tensor tensor) : held_(std::move(tensor)) {}                                      // NOLINT(google-explicit-constructor)
  Value(Strings strings) : held_(std::make_shared<const Strings>(std::move(strings))) {}  // NOLINT(google-explicit-constructor)
  Value(Sequence sequence);                                                               // NOLINT(google-explicit-constructor)

  bool present() const { return strings() != nullptr || sequence() != nullptr || std::get<Tensor>(held_).defined(); }
  bool is_tensor() const { return std::holds_alternative<Tensor>(held_) && std::get<Tensor>(held_).defined(); }
  /// Throws Error if it holds something else; nothing is an undefined Tensor.
  const Tensor& tensor() const;
  /// nullptr if it holds something else.
  const Strings* strings() const;
  const Sequence* sequence() const;

 private:
  std::variant<Tensor, std::shared_ptr<const Strings>, std::shared_ptr<const Sequence>> held_;
};

}  // namespace convoy::graph
