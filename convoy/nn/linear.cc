#include "convoy/nn/linear.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/nn/init.h"
#include "convoy/shape/checked.h"

namespace convoy::nn {

Linear::Linear(LinearOptions options) : options_(options) {
  require(options_.in_features != kRequired, type(), "in_features");
  require(options_.out_features != kRequired, type(), "out_features");
  const Shape shape = {options_.out_features, options_.in_features};
  check_dimensions(shape, type());
  Tensor weight = Tensor::empty(shape);
  Tensor bias = options_.bias ? Tensor::empty({options_.out_features}) : Tensor();
  init::default_weight_and_bias(weight, bias);
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

std::string Linear::extra_repr() const {
  return formatted("in_features={}, out_features={}, bias={}", options_.in_features, options_.out_features,
                   python_bool(bias().defined()));
}

Variable Linear::forward(const Variable& input) { return linear(input, weight(), bias()); }

std::string Flatten::extra_repr() const { return formatted("start_dim={}, end_dim={}", options_.start_dim, options_.end_dim); }

Variable Flatten::forward(const Variable& input) { return flatten(input, options_.start_dim, options_.end_dim); }

Unflatten::Unflatten(UnflattenOptions options) : options_(std::move(options)) {
  require(options_.dim != kRequired, type(), "dim");
  require(!options_.unflattened_size.empty(), type(), "unflattened_size");
}

std::string Unflatten::extra_repr() const {
  return formatted("dim={}, unflattened_size={}", options_.dim, python_tuple(options_.unflattened_size));
}

Variable Unflatten::forward(const Variable& input) {
  const int64_t rank = input.dim();
  const int64_t dim = options_.dim < 0 ? options_.dim + rank : options_.dim;
  if (dim < 0 || dim >= rank) {
    raise<Error>(
        "Dimension out of range (expected to be in range of [{}, {}], but got {})\n"
        "the input has {} axes: {}",
        -rank, rank - 1, options_.dim, rank, input.shape());
  }
  const int64_t size = input.size(dim);
  shape::Checked known(1);
  int64_t unknown = 0;
  bool negative = false;
  for (const int64_t n : options_.unflattened_size) {
    if (n == -1)
      ++unknown;
    else
      known = known * n;
    negative = negative || n < -1;
  }
  const bool fits = known.ok() && !negative &&
                    (unknown == 0 ? known.value() == size : unknown == 1 && known.value() > 0 && size % known.value() == 0);
  if (!fits) {
    raise<Error>(
        "unflatten: Provided sizes {} don't multiply up to the size of dim {} ({}) in the input tensor\n"
        "choose sizes whose product is {}; one of them may be -1",
        options_.unflattened_size, dim, size, size);
  }
  Shape shape = input.shape();
  const auto at = shape.erase(shape.begin() + dim);
  const auto first = shape.insert(at, options_.unflattened_size.begin(), options_.unflattened_size.end());
  std::replace(first, first + static_cast<int64_t>(options_.unflattened_size.size()), int64_t{-1},
               unknown == 1 ? size / known.value() : -1);
  return reshape(input, shape);
}

}  // namespace convoy::nn
