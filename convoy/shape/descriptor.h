// One line of text for a convolution: what bench problems, plans and messages call it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "convoy/shape/conv.h"
#include "convoy/shape/result.h"

namespace convoy::shape {

/// The text of a descriptor, in place.
class DescriptorText {
 public:
  std::string_view view() const { return {text_.data(), size_}; }
  operator std::string_view() const { return view(); }  // NOLINT(google-explicit-constructor)
  const char* c_str() const { return text_.data(); }

  DescriptorText& append(std::string_view word);
  DescriptorText& append(int64_t number);

 private:
  std::array<char, 640> text_{};  // every word with 20 digits takes less than 600
  size_t size_ = 0;
};

/// Reads a convolution from words of letters and a number, in any order, blanks between them optional:
///
///   n1 ic3 oc64 g1 ih224 iw224 kh7 kw7 sh2 sw2 ph3 pw3 dh1 dw1      transposed ic64oc3 i112 k4 s2 p1
///
/// n batch, ic oc channels, g groups; i input size, k kernel size, s stride, p padding, d dilation (1 = none), op output padding,
/// each followed by the axis d, h or w, or by none for every axis (a word with an axis letter wins). Padding `p1:2` is 1 in front
/// and 2 behind, and may be negative (a crop). The rank is 1 if all axis letters are w, 3 if any is d, otherwise 2.
/// Left out means n1 ic1 oc1 g1 s1 p0 d1 op0; sizes and kernel sizes must be there for every axis.
///
/// The result is complete(). Errors: kUnknownWord, kBadNumber, kRepeatedWord, kNotTransposed (value = offset, limit = length: see
/// offending_word), kMissingInputSize, kMissingKernelSize, and those of complete().
Result<ConvShape> parse_descriptor(std::string_view text);

/// The word that a parse error is about; empty if it is about none.
std::string_view offending_word(std::string_view text, const ShapeError& error);

/// The canonical text: every word with its axis letter, in the order of the first example above; output padding only where there
/// is some. parse_descriptor(descriptor(s)) == s for every complete shape.
DescriptorText descriptor(const ConvShape& shape);

}  // namespace convoy::shape
