// Products of float32 matrices that are both computed: one with a constant matrix is a linear layer.
#include "convoy/core/parallel.h"
#include "convoy/graph/step.h"
#include "convoy/kernels/gemm/gemm.h"

namespace convoy::graph {
namespace {

class MatMulStep final : public Step {
 public:
  MatMulStep(const Shape& a, const Shape& b, const Shape& result) {
    const Shape batch(result.begin(), result.end() - 2), a_leading(a.begin(), a.end() - 2), b_leading(b.begin(), b.end() - 2);
    problem_.rows = a[a.size() - 2];
    problem_.columns = b.back();
    problem_.depth = a.back();
    problem_.a_row_stride = problem_.depth;
    problem_.a_depth_stride = 1;
    problem_.b_depth_stride = problem_.columns;
    problem_.b_column_stride = 1;
    matrices_ = kernels::broadcast_matrices(a_leading, b_leading, batch, problem_);
  }

  size_t workspace_bytes() const override { return kernels::gemm_workspace_bytes(problem_, num_threads()); }
  void run(const StepIo& io) const noexcept override {
    kernels::Gemm<float> problem = problem_;
    problem.a = io.input<float>(0);
    problem.b = io.input<float>(1);
    problem.c = io.output<float>(0);
    kernels::gemm(problem, io.workspace);
  }

 private:
  kernels::Gemm<float> problem_;
  kernels::GemmMatrices matrices_;
};

StepPlan matmul_step(const StepSite& site) {
  const Shape &a = site.input(0).shape, &b = site.input(1).shape, &result = site.output(0).shape;
  if (!site.all_float() || a.size() < 2 || b.size() < 2 || a.back() != b[b.size() - 2] || site.output(0).count == 0) return {};
  return {std::make_unique<MatMulStep>(a, b, result)};
}

}  // namespace

std::span<const StepMaker> matmul_steps() {
  static constexpr StepMaker kRows[] = {
      {"MatMul", matmul_step},
  };
  return kRows;
}

}  // namespace convoy::graph
