#include "convoy/onnx/import.h"

namespace convoy::onnx {

std::span<const OnnxOperator> reduce_rows() { return {}; }

}  // namespace convoy::onnx
