#include "convoy/ops/linear.h"

#include <algorithm>

#include "convoy/core/error.h"
#include "convoy/core/keep_num_threads.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/gemm/gemm.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/elementwise.h"
#include "convoy/ops/reduce.h"

namespace convoy::ops {

namespace {

using kernels::Gemm;

void run(const Gemm<float>& problem) {
  const KeepNumThreads kept;
  Workspace workspace(kernels::gemm_workspace_bytes(problem, num_threads()));
  kernels::gemm(problem, workspace);
}
void run(const Gemm<double>& problem) { kernels::gemm_reference(problem); }

std::string times(int64_t a, int64_t b) { return formatted("{}x{}", a, b); }

void check_types(const Tensor& a, const Tensor& b) {
  for (const Tensor* t : {&a, &b}) {
    if (!t->defined())
      raise<Error>("expected a tensor, but got an undefined one\ngive it values first: Tensor::zeros, Tensor::from, randn");
    check_floating(*t, "addmm_impl_cpu_");
  }
  if (a.dtype() != b.dtype()) {
    raise<Error>(
        "expected m1 and m2 to have the same dtype, but got: {} != {}\n"
        "convert one of them with to()",
        scalar_type_name(a.dtype()), scalar_type_name(b.dtype()));
  }
}

// c (m x n) = a (m x k) b (k x n) for one pair of matrices; transposes are strides.
template <class T>
Gemm<T> product(int64_t m, int64_t n, int64_t k, const T* a, bool a_transposed, const T* b, bool b_transposed, T* c) {
  Gemm<T> g;
  g.rows = m;
  g.columns = n;
  g.depth = k;
  g.a = a;
  g.a_row_stride = a_transposed ? 1 : k;
  g.a_depth_stride = a_transposed ? m : 1;
  g.b = b;
  g.b_depth_stride = b_transposed ? 1 : n;
  g.b_column_stride = b_transposed ? k : 1;
  g.c = c;
  return g;
}

// The rows of a linear layer's input: all axes but the last.
int64_t rows_of(const Tensor& input) {
  return input.shape().empty() || input.shape().back() == 0 ? 0 : input.numel() / input.shape().back();
}

void check_linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  check_types(input, weight);
  if (weight.dim() != 2) {
    raise<ShapeMismatch>(
        "linear expects a 2-dimensional weight, but got {}\n"
        "its shape is (out_features, in_features)",
        weight.shape());
  }
  const int64_t in = weight.size(1), out = weight.size(0);
  if (input.dim() == 0) {
    raise<ShapeMismatch>(
        "both arguments to matmul need to be at least 1D, but they are 0D and 2D\n"
        "give the input an axis of {} features",
        in);
  }
  if (input.size(-1) != in) {
    const int64_t features = input.size(-1);
    std::string fix = formatted("the layer takes {} features, the input's last axis has {}", in, features);
    if (input.dim() > 2) {
      int64_t flat = 1;
      for (size_t i = 1; i < input.shape().size(); ++i) flat *= input.shape()[i];
      if (flat == in)
        fix += ": flatten(input, 1) gives them";
      else
        fix += formatted("; flatten(input, 1) would give {}", flat);
    } else {
      fix += formatted(": use in_features={}", features);
    }
    if (input.dim() == 1) {
      raise<ShapeMismatch>("size mismatch, got {}, {},{}\n{}", out, times(out, in), features, fix);
    }
    raise<ShapeMismatch>(
        "mat1 and mat2 shapes cannot be multiplied ({} and {})\n"
        "{}",
        times(input.numel() / std::max<int64_t>(features, 1), features), times(in, out), fix);
  }
  if (bias.defined()) {
    check_types(input, bias);
    if (bias.shape() != Shape{out}) {
      raise<ShapeMismatch>(
          "The expanded size of the tensor ({}) must match the existing size ({}) at non-singleton dimension 1.  Target sizes: {}. "
          " Tensor sizes: {}\n"
          "the bias has shape [{}]",
          out, bias.dim() > 0 ? std::to_string(bias.shape().back()) : "1", Shape{rows_of(input), out}, bias.shape(), out);
    }
  }
}

// Leading axes of a matmul, broadcast.
Shape broadcast_batch(const Tensor& a, const Tensor& b) {
  const Shape x(a.shape().begin(), a.shape().end() - 2), y(b.shape().begin(), b.shape().end() - 2);
  Shape batch(std::max(x.size(), y.size()), 1);
  for (size_t i = 0; i < batch.size(); ++i) {
    const int64_t u = i < x.size() ? x[x.size() - 1 - i] : 1, v = i < y.size() ? y[y.size() - 1 - i] : 1;
    if (u != v && u != 1 && v != 1) {
      raise<ShapeMismatch>(
          "The size of tensor a ({}) must match the size of tensor b ({}) at non-singleton dimension {}\n"
          "the shapes are {} and {}",
          u, v, batch.size() - 1 - i, a.shape(), b.shape());
    }
    batch[batch.size() - 1 - i] = u == 1 ? v : u;
  }
  return batch;
}

// matmul of tensors of two or more axes; transposes apply to the last two.
Tensor batched_product(const Tensor& a, bool a_transposed, const Tensor& b, bool b_transposed) {
  const int64_t m = a.size(a_transposed ? -1 : -2), k = a.size(a_transposed ? -2 : -1);
  const int64_t k2 = b.size(b_transposed ? -1 : -2), n = b.size(b_transposed ? -2 : -1);
  const Shape batch = broadcast_batch(a, b);
  if (k != k2) {
    if (a.dim() == 2 && b.dim() == 2) {
      raise<ShapeMismatch>(
          "mat1 and mat2 shapes cannot be multiplied ({} and {})\n"
          "the columns of the first must be as many as the rows of the second",
          times(m, k), times(k2, n));
    }
    const int64_t count = numel(batch);
    raise<ShapeMismatch>(
        "Expected size for first two dimensions of batch2 tensor to be: [{}, {}] but got: [{}, {}].\n"
        "the shapes are {} and {}",
        count, k, count, k2, a.shape(), b.shape());
  }
  Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor c = Tensor::empty(shape, a.dtype());
  const auto leading = [](const Tensor& t) { return Shape(t.shape().begin(), t.shape().end() - 2); };
  with_floating(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Gemm<T> problem = product<T>(m, n, k, a.data<T>(), a_transposed, b.data<T>(), b_transposed, c.data<T>());
    const auto matrices = kernels::broadcast_matrices(leading(a), leading(b), batch, problem);
    run(problem);
  });
  return c;
}

Tensor as_matrix(const Tensor& t, bool first) {
  if (t.dim() > 1) return t;
  return t.reshape(first ? Shape{1, t.numel()} : Shape{t.numel(), 1});
}

// What matmul and gemm compute in for types that kernels do not multiply; the type itself otherwise.
DType computed_type(const Tensor& a, const Tensor& b, const char* function) {
  check_defined(a, function, "input");
  check_defined(b, function, "other");
  check_type(b, a.dtype());
  if (a.dtype() == DType::kBool) refuse_type(a.dtype(), "addmm_impl_cpu_");
  if (is_float_or_double(a.dtype())) return a.dtype();
  return is_floating(a.dtype()) ? DType::kFloat32 : DType::kInt64;
}

// matmul of int64, whose sums wrap.
Tensor integer_product(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  if (k != b.size(-2)) {
    raise<ShapeMismatch>(
        "mat1 and mat2 shapes cannot be multiplied ({} and {})\n"
        "the columns of the first must be as many as the rows of the second: {} and {}",
        times(m, k), times(b.size(-2), n), k, b.size(-2));
  }
  Shape a_shape = broadcast_batch(a, b), b_shape = a_shape;
  Shape shape = a_shape;
  a_shape.insert(a_shape.end(), {m, k});
  b_shape.insert(b_shape.end(), {k, n});
  shape.insert(shape.end(), {m, n});
  const Tensor x = expand(a, a_shape), y = expand(b, b_shape);
  Tensor c = Tensor::zeros(shape, DType::kInt64);
  if (c.numel() == 0 || k == 0) return c;
  const auto* u = static_cast<const uint64_t*>(x.raw_data());
  const auto* v = static_cast<const uint64_t*>(y.raw_data());
  auto* w = static_cast<uint64_t*>(c.raw_data());
  parallel_ranges(c.numel() / n, std::max<int64_t>(1, 16384 / (k * n)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = 0; i < k; ++i) {
        const uint64_t factor = u[row * k + i];
        const uint64_t* from = v + (row / m * k + i) * n;
        for (int64_t j = 0; j < n; ++j) w[row * n + j] += factor * from[j];
      }
    }
  });
  return c;
}

void check_matmul(const Tensor& a, const Tensor& b) {
  if (a.dtype() != DType::kInt64 || b.dtype() != DType::kInt64) check_types(a, b);
  if (a.dim() == 0 || b.dim() == 0) {
    raise<ShapeMismatch>(
        "both arguments to matmul need to be at least 1D, but they are {}D and {}D\n"
        "a product with one number is a * number",
        a.dim(), b.dim());
  }
  if (a.dim() == 1 && b.dim() == 1 && a.numel() != b.numel()) {
    raise<ShapeMismatch>(
        "inconsistent tensor size, expected tensor [{}] and src [{}] to have the same number of elements, but got {} and {} "
        "elements respectively\n"
        "both vectors must have the same length",
        a.numel(), b.numel(), a.numel(), b.numel());
  }
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  check_linear(input, weight, bias);
  Shape shape = input.shape();
  shape.back() = weight.size(0);
  Tensor output = Tensor::empty(shape, input.dtype());
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    // Without features there is still the bias.
    const int64_t rows = weight.size(0) == 0 ? 0 : output.numel() / weight.size(0);
    Gemm<T> g = product<T>(rows, weight.size(0), weight.size(1), input.data<T>(), false, weight.data<T>(), true, output.data<T>());
    g.start = bias.defined() ? bias.data<T>() : nullptr;
    run(g);
  });
  return output;
}

LinearGradients linear_backward(const Tensor& grad_output, const Tensor& input, const Tensor& weight, bool needs_input,
                                bool needs_weight, bool needs_bias) {
  check_linear(input, weight, {});
  Shape expected = input.shape();
  expected.back() = weight.size(0);
  if (grad_output.shape() != expected) {
    raise<ShapeMismatch>(
        "grad_output has shape {}, but the output has shape {}\n"
        "grad_output has one value per output",
        grad_output.shape(), expected);
  }
  check_types(grad_output, input);
  const int64_t in = weight.size(1), out = weight.size(0),
                rows = in > 0    ? input.numel() / in
                       : out > 0 ? grad_output.numel() / out
                                 : 0;
  LinearGradients gradients;
  with_floating(input.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (needs_input) {
      gradients.input = Tensor::empty(input.shape(), input.dtype());
      run(product<T>(rows, in, out, grad_output.data<T>(), false, weight.data<T>(), false, gradients.input.data<T>()));
    }
    if (needs_weight) {
      gradients.weight = Tensor::empty(weight.shape(), weight.dtype());
      run(product<T>(out, in, rows, grad_output.data<T>(), true, input.data<T>(), false, gradients.weight.data<T>()));
    }
  });
  if (needs_bias) gradients.bias = sum(grad_output.reshape({rows, out}), {0});
  return gradients;
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  const DType dtype = computed_type(a, b, "matmul");
  if (dtype != a.dtype()) return matmul(a.to(dtype), b.to(dtype)).to(a.dtype());
  check_matmul(a, b);
  Tensor c = dtype == DType::kInt64 ? integer_product(as_matrix(a, true), as_matrix(b, false))
                                    : batched_product(as_matrix(a, true), false, as_matrix(b, false), false);
  Shape shape = c.shape();
  if (b.dim() == 1) shape.pop_back();
  if (a.dim() == 1) shape.erase(shape.end() - (b.dim() == 1 ? 1 : 2));
  return c.reshape(shape);
}

Tensor gemm(const Tensor& a, const Tensor& b, const Tensor& c, const GemmOptions& options) {
  const DType dtype = computed_type(a, b, "gemm");
  if (c.defined()) check_type(c, a.dtype());
  if (dtype == DType::kInt64) {  // scaled in float64, which holds 32-bit numbers
    const DType wide = DType::kFloat64;
    return gemm(a.to(wide), b.to(wide), c.to(wide), options).to(a.dtype());
  }
  if (dtype != a.dtype()) return gemm(a.to(dtype), b.to(dtype), c.to(dtype), options).to(a.dtype());
  if (a.dim() != 2 || b.dim() != 2) {
    raise<ShapeMismatch>(
        "gemm: both matrices must have 2 axes, but have shapes {} and {}\n"
        "matmul takes batches of matrices",
        a.shape(), b.shape());
  }
  const int64_t m = a.size(options.transpose_a ? 1 : 0), k = a.size(options.transpose_a ? 0 : 1);
  const int64_t k2 = b.size(options.transpose_b ? 1 : 0), n = b.size(options.transpose_b ? 0 : 1);
  if (k != k2) {
    raise<ShapeMismatch>(
        "mat1 and mat2 shapes cannot be multiplied ({} and {})\n"
        "the columns of the first must be as many as the rows of the second",
        times(m, k), times(k2, n));
  }
  const bool plain = options.alpha == 1 && c.defined() && options.beta == 1;
  const bool bias = plain && c.numel() == n && (c.dim() == 1 || (c.dim() == 2 && c.size(0) == 1));
  if (c.defined() && broadcast_shape({m, n}, c.shape()) != Shape{m, n}) {
    raise<ShapeMismatch>("gemm: c of shape {} does not broadcast to {}\nsizes of 1, m or n work there", c.shape(), Shape{m, n});
  }
  Tensor output = Tensor::empty({m, n}, dtype);
  with_floating(dtype, [&](auto zero) {
    using T = decltype(zero);
    Gemm<T> g = product<T>(m, n, k, a.data<T>(), options.transpose_a, b.data<T>(), options.transpose_b, output.data<T>());
    if (bias) g.start = c.data<T>();
    run(g);
  });
  if (bias) return output;
  if (options.alpha != 1) output = affine(output, options.alpha, 0);
  if (c.defined() && options.beta != 0) output = add(output, options.beta == 1 ? c : affine(c, options.beta, 0));
  return output;
}

std::pair<Tensor, Tensor> matmul_backward(const Tensor& grad_output, const Tensor& a, const Tensor& b) {
  check_matmul(a, b);
  const Tensor x = as_matrix(a, true), y = as_matrix(b, false);
  Shape shape = broadcast_batch(x, y);
  shape.push_back(x.size(-2));
  shape.push_back(y.size(-1));
  const Tensor g = grad_output.reshape(shape);
  const Tensor ga = sum_to(batched_product(g, false, y, true), x.shape()),
               gb = sum_to(batched_product(x, true, g, false), y.shape());
  return {ga.reshape(a.shape()), gb.reshape(b.shape())};
}

}  // namespace convoy::ops
