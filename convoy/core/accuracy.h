// How much rounding error a convolution may trade for speed: one setting for the process, read when a plan is made.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace convoy {

/// u = 2^-24; the bounds are on |error| / (u sum |weight| |input|) of an output.
enum class Accuracy : uint8_t {
  kStrict,   ///< direct summation in one order; exact on small integers
  kDefault,  ///< also schemes of at most 16, and 3.5 times the direct sum's relative error: Winograd F(2,3), F(4,3),
             ///< F(2,5), products by pairs, Strassen's, large weights of linear layers in 24 bits
  kFast      ///< also schemes of at most 64; none is in the list yet (docs/accuracy.md)
};

/// The process's setting: what set_accuracy said, else the environment variable CONVOY_ACCURACY (strict, default or fast), else
/// kDefault.
Accuracy accuracy();
void set_accuracy(Accuracy accuracy);

/// "strict", "default", "fast", and back.
const char* accuracy_name(Accuracy accuracy);
std::optional<Accuracy> parse_accuracy(std::string_view name);

}  // namespace convoy
