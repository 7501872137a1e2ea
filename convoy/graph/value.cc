#include "convoy/graph/value.h"

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::graph {

Value::Value(Sequence sequence) : held_(std::make_shared<const Sequence>(std::move(sequence))) {}

const Tensor& Value::tensor() const {
  const Tensor* tensor = std::get_if<Tensor>(&held_);
  if (tensor == nullptr) {
    raise<Error>(
        "{}\n"
        "only operators on text or sequences take these",
        strings() != nullptr ? "a tensor of text stands where numbers are needed" : "a sequence stands where a tensor is needed");
  }
  return *tensor;
}

const Strings* Value::strings() const {
  const auto* held = std::get_if<std::shared_ptr<const Strings>>(&held_);
  return held != nullptr ? held->get() : nullptr;
}

const Sequence* Value::sequence() const {
  const auto* held = std::get_if<std::shared_ptr<const Sequence>>(&held_);
  return held != nullptr ? held->get() : nullptr;
}

}  // namespace convoy::graph
