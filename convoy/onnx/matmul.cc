// Products of matrices.
#include "convoy/onnx/import.h"

namespace convoy::onnx {
namespace {

// The bias has always been broadcast where its shape fits; before opset 7 an attribute allowed it.
void convert_gemm(Importing& importing) { importing.drop({"broadcast"}); }

}  // namespace

std::span<const OnnxOperator> matmul_rows() {
  static constexpr OnnxOperator kRows[] = {
      {"MatMul", 2, 2, 1},
      {"Gemm", 2, 3, 1, "alpha:f beta:f broadcast:i transA:i transB:i", convert_gemm},
      {"MatMulInteger", 2, 4, 1},
      {"QLinearMatMul", 8, 8, 1},
      {"Einsum", 1, -1, 1, "equation:s!"},
  };
  return kRows;
}

}  // namespace convoy::onnx
