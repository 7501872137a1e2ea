// What a model file may ask for. Real networks stay far below; hostile files do not.
#pragma once

#include <cstdint>

namespace convoy::onnx {

struct Limits {
  int64_t file_bytes = int64_t{1} << 35;
  int64_t nodes = 100'000;  // functions expanded
  int64_t attributes_per_node = 64;
  int64_t inputs_per_node = 4096;  // and outputs
  int64_t rank = 16;
  int64_t dim = int64_t{1} << 40;
  int64_t tensor_bytes = int64_t{1} << 35;
  int64_t nesting = 32;  // of types, of functions that call functions
  int64_t name_bytes = 4096;
};

}  // namespace convoy::onnx
