// A value or the reason why there is none. The shape folder neither throws nor allocates, so that every caller (layers, file
// readers, the command line, the page) can turn a ShapeError into words of its own.
#pragma once

#include <cassert>
#include <cstdint>

namespace convoy::shape {

enum class ShapeErrorCode : uint8_t {
  kNone,
  kOverflow,               // the exact result does not fit int64_t
  kNegativeInput,          // input size < 0
  kNonPositiveKernel,      // kernel_size < 1
  kNonPositiveStride,      // stride < 1
  kNonPositiveDilation,    // dilation < 1
  kNegativePadding,        // padding < 0
  kNegativeOutputPadding,  // output_padding < 0
  kKernelTooLarge,         // effective kernel > padded input; value = effective kernel, limit = padded input
  kOutputTooSmall,         // value = calculated output size
  kOutputPaddingTooLarge,  // output_padding >= max(stride, dilation); limit = the largest legal value
  kPaddingTooLarge,        // pooling: padding > kernel_size / 2; limit = kernel_size / 2
  kNonPositiveGroups,
  kChannelsNotDivisible,   // in_channels % groups; value = channels, limit = groups
  kOutChannelsNotDivisible,
  kNegativeChannels,
  kBadRank,                // spatial rank outside 1..3
  kBadText,                // descriptor text; value = offset of the offending word
  kNoSolution,
};

/// Why a size cannot be computed. `axis` counts d, h, w = 0, 1, 2 (-1: no particular axis).
struct ShapeError {
  ShapeErrorCode code = ShapeErrorCode::kNone;
  int axis = -1;
  int64_t value = 0;
  int64_t limit = 0;
};

template <class T>
class [[nodiscard]] Result {
 public:
  constexpr Result(T value) : value_(value) {}           // NOLINT(google-explicit-constructor)
  constexpr Result(ShapeError error) : error_(error) {}  // NOLINT(google-explicit-constructor)

  constexpr bool ok() const { return error_.code == ShapeErrorCode::kNone; }
  constexpr explicit operator bool() const { return ok(); }
  constexpr const T& value() const {
    assert(ok());
    return value_;
  }
  constexpr const T& operator*() const { return value(); }
  constexpr const T* operator->() const { return &value(); }
  constexpr const ShapeError& error() const { return error_; }

 private:
  T value_{};
  ShapeError error_{};
};

}  // namespace convoy::shape
