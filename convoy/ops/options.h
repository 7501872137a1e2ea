// Values that layers take per spatial axis.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convoy/shape/axis.h"

namespace convoy {

/// One number for every axis, or one per axis: `2` or `{2, 1}`. An empty list means "not given".
class IntList {
 public:
  IntList() = default;
  template <std::integral I>
  IntList(I value) : values_{static_cast<int64_t>(value)}, single_(true) {}  // NOLINT(google-explicit-constructor)
  IntList(std::initializer_list<int64_t> values) : values_(values) {}        // NOLINT(google-explicit-constructor)
  IntList(std::vector<int64_t> values) : values_(std::move(values)) {}       // NOLINT(google-explicit-constructor)

  bool empty() const { return values_.empty(); }
  /// Given as one number, not as a list of one: PyTorch prints the two differently.
  bool single() const { return single_; }
  const std::vector<int64_t>& values() const { return values_; }
  /// One value per axis: a single number (or a list of one) is repeated; any other length than `rank` is returned as it is, for the
  /// op to refuse in its own words.
  std::vector<int64_t> expand(int rank) const {
    if (values_.size() == 1 && rank > 1) return std::vector<int64_t>(static_cast<size_t>(rank), values_[0]);
    return values_;
  }

 private:
  std::vector<int64_t> values_;
  bool single_ = false;
};

/// The padding of a convolution: a number, one per axis, "same", "valid", or begin/end pairs: `.padding = {{1, 0}, {2, 2}}`.
class Padding {
 public:
  Padding() : values_(0) {}
  template <std::integral I>
  Padding(I value) : values_(value) {}                                      // NOLINT(google-explicit-constructor)
  Padding(std::initializer_list<int64_t> values) : values_(values) {}       // NOLINT(google-explicit-constructor)
  Padding(IntList values) : values_(std::move(values)) {}                   // NOLINT(google-explicit-constructor)
  Padding(const char* name) : name_(name) {}                                // NOLINT(google-explicit-constructor)
  Padding(std::string name) : name_(std::move(name)) {}                     // NOLINT(google-explicit-constructor)
  Padding(std::initializer_list<shape::PadPair> pairs) : pairs_(pairs) {}   // NOLINT(google-explicit-constructor)
  Padding(std::vector<shape::PadPair> pairs) : pairs_(std::move(pairs)) {}  // NOLINT(google-explicit-constructor)

  bool named() const { return !name_.empty(); }
  const std::string& name() const { return name_; }
  bool paired() const { return !pairs_.empty(); }
  /// Per spatial axis, outermost first, when paired().
  const std::vector<shape::PadPair>& pairs() const { return pairs_; }
  const IntList& values() const { return values_; }

 private:
  IntList values_;
  std::string name_;
  std::vector<shape::PadPair> pairs_;
};

/// What a convolution sees outside its input.
enum class PaddingMode : uint8_t { kZeros, kReflect, kReplicate, kCircular };

/// "zeros", "reflect", "replicate", "circular".
const char* padding_mode_name(PaddingMode mode);
/// Throws ValueError in PyTorch's words for another name.
PaddingMode parse_padding_mode(std::string_view name);

/// How a loss is reduced.
enum class Reduction : uint8_t { kNone, kMean, kSum };

}  // namespace convoy
