#include "convoy/io/elements.h"

#include <algorithm>
#include <bit>

namespace convoy::io {

static_assert(std::endian::native == std::endian::little, "the readers and writers keep little-endian values as they are");

void read_elements(const ReadBytes& read, bool big_endian, Tensor& to) {
  if (to.numel() == 0) return;
  auto* const bytes = static_cast<uint8_t*>(to.raw_data());
  read(bytes, to.nbytes());
  const size_t width = element_size(to.dtype());
  if (big_endian && width > 1) {
    for (uint8_t* value = bytes; value < bytes + to.nbytes(); value += width) std::reverse(value, value + width);
  }
  if (to.dtype() == DType::kBool) std::transform(bytes, bytes + to.nbytes(), bytes, [](uint8_t v) { return uint8_t{v != 0}; });
}

}  // namespace convoy::io
