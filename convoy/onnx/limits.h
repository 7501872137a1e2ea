// What a model file may ask for. Real networks stay far below; hostile files do not. A file of a megabyte that goes to every limit,
// and is wrong in its last byte, is refused within a tenth of a second and 64 MiB.
#pragma once

#include <cstdint>

namespace convoy::onnx {

struct Limits {
  int64_t file_bytes = int64_t{1} << 35;
  int64_t nodes = 16'384;  // functions expanded, old forms brought to the newest
  int64_t initializers = 16'384;
  int64_t node_outputs = 32'768;  // of all nodes together
  int64_t inputs = 16'384;        // of the graph; and outputs
  int64_t value_infos = 131'072;  // inputs, outputs and values described
  int64_t attributes_per_node = 64;
  int64_t inputs_per_node = 4096;  // and outputs
  int64_t list_entries = 1 << 20;  // of one attribute; 1/16 of that for text
  int64_t rank = 16;
  int64_t dim = int64_t{1} << 40;
  int64_t tensor_bytes = int64_t{1} << 35;
  int64_t nesting = 32;  // of types, of functions that call functions
  int64_t name_bytes = 4096;
};

}  // namespace convoy::onnx
