#include "convoy/onnx/import.h"

namespace convoy::onnx {

std::span<const OnnxOperator> norm_rows() { return {}; }

}  // namespace convoy::onnx
