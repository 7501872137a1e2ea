// What the options of several layers have in common, and the checks that need no input.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "convoy/core/tensor.h"
#include "convoy/nn/printed.h"
#include "convoy/ops/options.h"
#include "convoy/ops/pool.h"

namespace convoy::nn {

/// Marks an option without default; a layer refuses it in Python's words.
inline constexpr int64_t kRequired = std::numeric_limits<int64_t>::min();

/// The size that an adaptive layer gives its output: a number, std::nullopt (keep the input's size), or one of these per axis.
class OutputSize {
 public:
  OutputSize() = default;
  template <std::integral I>
  OutputSize(I size) : sizes_{static_cast<int64_t>(size)}, single_(true) {}           // NOLINT(google-explicit-constructor)
  OutputSize(std::nullopt_t) : sizes_{std::nullopt}, single_(true) {}                 // NOLINT(google-explicit-constructor)
  OutputSize(std::initializer_list<std::optional<int64_t>> sizes) : sizes_(sizes) {}  // NOLINT(google-explicit-constructor)
  OutputSize(AdaptiveSize sizes) : sizes_(std::move(sizes)) {}                        // NOLINT(google-explicit-constructor)

  bool empty() const { return sizes_.empty(); }
  bool single() const { return single_; }
  const AdaptiveSize& sizes() const { return sizes_; }

 private:
  AdaptiveSize sizes_;
  bool single_ = false;
};

/// "7", "None", "(1, None)".
std::string python_text(const OutputSize& size);

/// Throws ValueError "Conv2d.__init__() missing 1 required positional argument: 'kernel_size'" if it is not `given`.
void require(bool given, const std::string& type, const char* option);

/// Throws Error "Trying to create tensor with negative dimension -3: [8, -3, 3, 3]" as PyTorch's constructors do.
void check_dimensions(const Shape& shape, const std::string& type);

}  // namespace convoy::nn
