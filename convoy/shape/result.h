// A value or the reason why there is none. The shape folder neither throws nor allocates, so that every caller (layers, file
// readers, the command line, the page) can turn a ShapeError into words of its own.
#pragma once

#include <cassert>
#include <cstdint>
#include <string_view>

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
  kChannelsNotDivisible,  // in_channels % groups; value = channels, limit = groups
  kOutChannelsNotDivisible,
  kNegativeChannels,
  kBadRank,            // spatial rank outside 1..3
  kNoSolution,         // no size or parameter does what was asked
  kUnknownWord,        // descriptor: value = offset of the word, limit = its length
  kBadNumber,          // descriptor: a number is missing or leaves 64 bits; value, limit as above
  kRepeatedWord,       // descriptor: a word is given twice; value, limit as above
  kNotTransposed,      // descriptor: output padding without "transposed"; value, limit as above
  kMissingInputSize,   // descriptor: no input size for `axis`
  kMissingKernelSize,  // descriptor: no kernel size for `axis`
};

/// Why a size cannot be computed. `axis` counts d, h, w = 0, 1, 2 (-1: no particular axis).
struct ShapeError {
  ShapeErrorCode code = ShapeErrorCode::kNone;
  int axis = -1;
  int64_t value = 0;
  int64_t limit = 0;
};

/// The reason in a few words, without the numbers: "stride must be at least 1".
constexpr std::string_view reason(ShapeErrorCode code) {
  switch (code) {
    case ShapeErrorCode::kNone:
      return "no error";
    case ShapeErrorCode::kOverflow:
      return "the size does not fit 64 bits";
    case ShapeErrorCode::kNegativeInput:
      return "a size must not be negative";
    case ShapeErrorCode::kNonPositiveKernel:
      return "kernel size must be at least 1";
    case ShapeErrorCode::kNonPositiveStride:
      return "stride must be at least 1";
    case ShapeErrorCode::kNonPositiveDilation:
      return "dilation must be at least 1";
    case ShapeErrorCode::kNegativePadding:
      return "padding must not be negative";
    case ShapeErrorCode::kNegativeOutputPadding:
      return "output padding must not be negative";
    case ShapeErrorCode::kKernelTooLarge:
      return "the kernel is larger than the padded input";
    case ShapeErrorCode::kOutputTooSmall:
      return "the output size is too small";
    case ShapeErrorCode::kOutputPaddingTooLarge:
      return "output padding must be smaller than either stride or dilation";
    case ShapeErrorCode::kPaddingTooLarge:
      return "padding must be at most half of the kernel size";
    case ShapeErrorCode::kNonPositiveGroups:
      return "groups must be at least 1";
    case ShapeErrorCode::kChannelsNotDivisible:
      return "input channels must be divisible by groups";
    case ShapeErrorCode::kOutChannelsNotDivisible:
      return "output channels must be divisible by groups";
    case ShapeErrorCode::kNegativeChannels:
      return "channels must not be negative";
    case ShapeErrorCode::kBadRank:
      return "a layer has 1 to 3 spatial axes";
    case ShapeErrorCode::kNoSolution:
      return "no value does this";
    case ShapeErrorCode::kUnknownWord:
      return "this word is not known";
    case ShapeErrorCode::kBadNumber:
      return "a number is missing, or too large";
    case ShapeErrorCode::kRepeatedWord:
      return "this word is given twice";
    case ShapeErrorCode::kNotTransposed:
      return "output padding belongs to transposed convolutions";
    case ShapeErrorCode::kMissingInputSize:
      return "the input size is missing";
    case ShapeErrorCode::kMissingKernelSize:
      return "the kernel size is missing";
  }
  return "?";
}

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
