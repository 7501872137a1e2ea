// What every convolution kernel is held to, for its tests: close to the reference in double (bit for bit on small integers where
// the kernel promises it), the same bits for any thread count and for a sample alone or in a batch, nothing touched outside the
// arrays, not more scratch memory than it says.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/conv/conv_direct.h"
#include "convoy/kernels/conv/conv_kernel.h"
#include "convoy/kernels/conv/conv_reference.h"
#include "convoy/kernels/machine.h"

namespace convoy::kernels::kernel_check {

/// Tests of algorithms that refuse to run without vectors.
class NeedsVectors : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_vectors()) GTEST_SKIP() << "needs vectors";
  }
};

// Floats between two pages that must not be touched; the values end at the upper one, or begin at the lower one.
class GuardedFloats {
 public:
  GuardedFloats(size_t count, bool at_end) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    bytes_ = (count * sizeof(float) + page - 1) / page * page + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_, page, PROT_NONE);
    mprotect(base_ + bytes_ - page, page, PROT_NONE);
    data_ = reinterpret_cast<float*>(at_end ? base_ + bytes_ - page - count * sizeof(float) : base_ + page);
  }
  ~GuardedFloats() { munmap(base_, bytes_); }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  float* data() { return data_; }

 private:
  char* base_;
  size_t bytes_;
  float* data_;
};

using Random = std::mt19937;

inline int64_t pick(Random& random, std::initializer_list<int64_t> choices) {
  return *(choices.begin() + static_cast<std::ptrdiff_t>(random() % choices.size()));
}

inline std::string describe(const ConvShape& s) {
  std::string text = "rank " + std::to_string(s.rank) + " n" + std::to_string(s.batch) + " ic" + std::to_string(s.in_channels) +
                     " oc" + std::to_string(s.out_channels) + " g" + std::to_string(s.groups);
  for (size_t a = 0; a < 3; ++a) {
    text += " [i" + std::to_string(s.input[a]) + " o" + std::to_string(s.output[a]) + " k" + std::to_string(s.axes[a].kernel_size) +
            " s" + std::to_string(s.axes[a].stride) + " d" + std::to_string(s.axes[a].dilation) + " p" +
            std::to_string(s.axes[a].pad_begin) + "," + std::to_string(s.axes[a].pad_end) + "]";
  }
  return text;
}

inline std::vector<float> values(Random& random, int64_t count, bool integers) {
  std::vector<float> v(static_cast<size_t>(count));
  std::normal_distribution<float> normal;
  for (float& x : v) x = integers ? static_cast<float>(static_cast<int>(random() % 9) - 4) : normal(random);
  return v;
}

// The arrays of a direction: two inputs, a bias, and the result.
struct Problem {
  int64_t first, second, bias, result;
};

inline Problem problem(const ConvShape& s, Direction direction) {
  switch (direction) {
    case Direction::kForward:
      return {s.input_count(), s.weight_count(), s.out_channels, s.output_count()};
    case Direction::kGradInput:
      return {s.output_count(), s.weight_count(), s.in_channels, s.input_count()};
    case Direction::kGradWeight:
      break;
  }
  return {s.input_count(), s.output_count(), 0, s.weight_count()};
}

template <class T>
void run_reference(const ConvShape& s, Direction direction, const T* first, const T* second, const T* bias, T* result) {
  switch (direction) {
    case Direction::kForward:
      return conv_reference(s, ConvForward<T>{first, second, bias, result});
    case Direction::kGradInput:
      return conv_reference(s, ConvGradInput<T>{first, second, bias, result});
    case Direction::kGradWeight:
      return conv_reference(s, ConvGradWeight<T>{first, second, result});
  }
}

inline void run_kernel(const ConvKernel& kernel, const ConvShape& s, const float* first, const float* second, const float* bias,
                       float* result, const Epilogue<float>& epilogue = {}) {
  const size_t packed_bytes = kernel.packed_bytes != nullptr ? kernel.packed_bytes(s) : 0;
  GuardedFloats packed(packed_bytes / sizeof(float), true);
  if (kernel.pack != nullptr) {
    kernel.pack(s, second, packed.data());
    second = nullptr;
  }
  Workspace workspace(kernel.workspace_bytes(s, num_threads()));
  switch (kernel.direction) {
    case Direction::kForward:
      return kernel.forward(s, {first, second, bias, result, epilogue, packed.data()}, workspace);
    case Direction::kGradInput:
      return kernel.grad_input(s, {first, second, bias, result, epilogue, packed.data()}, workspace);
    case Direction::kGradWeight:
      return kernel.grad_weight(s, {first, second, result}, workspace);
  }
}

/// Results in double, and of each the sum of its products' magnitudes: |weight| |input|, say.
struct Exact {
  std::vector<double> result, magnitude;

  Exact(const ConvShape& s, Direction direction, const std::vector<float>& first, const std::vector<float>& second) {
    std::vector<double> a(first.begin(), first.end()), b(second.begin(), second.end());
    result.resize(static_cast<size_t>(problem(s, direction).result));
    magnitude.resize(result.size());
    run_reference<double>(s, direction, a.data(), b.data(), nullptr, result.data());
    for (double& v : a) v = std::abs(v);
    for (double& v : b) v = std::abs(v);
    run_reference<double>(s, direction, a.data(), b.data(), nullptr, magnitude.data());
  }
};

/// Of one layer: the worst |error| / (u sum of its products' magnitudes).
inline double worst_error(const ConvKernel& kernel, const ConvShape& s, bool rectified, Random& random) {
  const Problem p = problem(s, kernel.direction);
  std::vector<float> first = values(random, p.first, false);
  const std::vector<float> second = values(random, p.second, false);
  if (rectified) {
    for (float& v : first) v = std::max(v, 0.0f);
  }
  const Exact exact(s, kernel.direction, first, second);
  std::vector<float> got(exact.result.size());
  run_kernel(kernel, s, first.data(), second.data(), nullptr, got.data());
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (exact.magnitude[i] > 0) worst = std::max(worst, std::abs(got[i] - exact.result[i]) / (0x1p-24 * exact.magnitude[i]));
  }
  return worst;
}

/// A scheme that computes a tile of results together spreads its rounding over the tile: the largest magnitude that can meet a
/// result's in a tile. Tiles have up to 6 results an axis, `dilation` apart, or 8 at a stride.
inline std::vector<double> tile_magnitude(const ConvShape& s, Direction direction, std::vector<double> values) {
  const shape::Spatial& size = direction == Direction::kGradInput ? s.input : s.output;
  for (size_t a = 1; a < 3; ++a) {
    const int64_t step = a == 1 ? size[2] : 1, reach = s.axes[a].stride > 1 ? 7 : 5 * s.axes[a].dilation;
    const std::vector<double> before = values;
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t at = static_cast<int64_t>(i) / step % size[a];
      for (int64_t to = std::max<int64_t>(at - reach, 0); to <= std::min(at + reach, size[a] - 1); ++to) {
        values[i] = std::max(values[i], before[i + static_cast<size_t>((to - at) * step)]);
      }
    }
  }
  return values;
}

/// Holds `kernels` (those that do not refuse it) to the reference on one shape, with data from `random`. An epilogue and a bias
/// come with some.
inline void check_kernels(std::span<const ConvKernel* const> list, Direction direction, const ConvShape& s, bool integers,
                          Random& random) {
  const bool gradient_of_weight = direction == Direction::kGradWeight;
  const Problem p = problem(s, direction);
  const std::vector<float> first = values(random, p.first, integers), second = values(random, p.second, integers),
                           bias = values(random, p.bias, integers), residual = values(random, p.result, integers);
  const bool with_bias = !gradient_of_weight && random() % 2 == 0, with_residual = !gradient_of_weight && random() % 3 == 0;
  Epilogue<float> epilogue;
  if (!gradient_of_weight && random() % 2 == 0) {
    static constexpr Activation kKinds[] = {Activation::kRelu, Activation::kRelu6, Activation::kHardtanh, Activation::kHardswish,
                                            Activation::kSilu};
    epilogue.activation = kKinds[random() % (integers ? 3 : 5)];
    epilogue.options = {-2.0, 3.0};
  }
  const auto doubles = [](const std::vector<float>& v, bool absolute) {
    std::vector<double> d(v.begin(), v.end());
    if (absolute) {
      for (double& x : d) x = std::abs(x);
    }
    return d;
  };
  const auto reference = [&](bool absolute) {
    std::vector<double> result(static_cast<size_t>(p.result));
    const std::vector<double> b = doubles(bias, absolute), r = doubles(residual, absolute);
    run_reference(s, direction, doubles(first, absolute).data(), doubles(second, absolute).data(), with_bias ? b.data() : nullptr,
                  result.data());
    Epilogue<double> e;
    e.residual = with_residual ? r.data() : nullptr;
    if (!absolute) e.activation = epilogue.activation;
    e.options = epilogue.options;
    apply_epilogue(e, result.data(), p.result, 0);
    return result;
  };
  const std::vector<double> expected = reference(false), magnitude = reference(true);
  const std::vector<double> wide_magnitude = gradient_of_weight ? magnitude : tile_magnitude(s, direction, magnitude);
  for (const ConvKernel* kernel : list) {
    if (kernel->refuse(s) != nullptr) continue;
    SCOPED_TRACE(std::string(kernel->name) + " " + direction_name(direction) + " " + describe(s));
    const double bound = (kernel->accuracy == Accuracy::kStrict ? 8 : kernel->accuracy == Accuracy::kDefault ? 16 : 64) * 0x1p-24;
    std::vector<float> once;
    for (const int threads : {1, 2, 5}) {
      set_num_threads(threads);
      GuardedFloats a(first.size(), threads != 2), b(second.size(), threads != 2), c(bias.size(), threads != 2),
          r(residual.size(), threads != 2), y(expected.size(), threads != 2);
      std::copy(first.begin(), first.end(), a.data());
      std::copy(second.begin(), second.end(), b.data());
      std::copy(bias.begin(), bias.end(), c.data());
      std::copy(residual.begin(), residual.end(), r.data());
      std::fill(y.data(), y.data() + expected.size(), std::nanf(""));
      epilogue.residual = with_residual ? r.data() : nullptr;
      if (with_residual && threads == 2 && kernel->residual_in_place != nullptr && kernel->residual_in_place(s)) {
        std::copy(residual.begin(), residual.end(), y.data());
        epilogue.residual = y.data();
      }
      run_kernel(*kernel, s, a.data(), b.data(), with_bias ? c.data() : nullptr, y.data(), epilogue);
      const std::vector<float> got(y.data(), y.data() + expected.size());
      if (threads == 1) {
        once = got;
      } else {
        ASSERT_EQ(std::memcmp(once.data(), got.data(), got.size() * sizeof(float)), 0) << threads << " threads";
        continue;
      }
      for (size_t i = 0; i < got.size(); ++i) {
        if (integers && kernel->accuracy == Accuracy::kStrict) {
          ASSERT_EQ(got[i], static_cast<float>(expected[i])) << "at " << i;
        } else {
          const double scale = kernel->accuracy == Accuracy::kStrict ? magnitude[i] : wide_magnitude[i];
          ASSERT_LE(std::abs(got[i] - expected[i]), bound * scale + 1e-30) << "at " << i;
        }
      }
    }
    set_num_threads(0);
    if (gradient_of_weight || s.batch == 1) continue;  // the batch is summed over
    // The last sample alone.
    ConvShape single = s;
    single.batch = 1;
    const int64_t last = s.batch - 1, count = p.result / s.batch;
    std::vector<float> one(static_cast<size_t>(count));
    epilogue.residual = with_residual ? residual.data() + last * count : nullptr;
    run_kernel(*kernel, single, first.data() + p.first / s.batch * last, second.data(), with_bias ? bias.data() : nullptr,
               one.data(), epilogue);
    ASSERT_EQ(std::memcmp(one.data(), once.data() + last * count, one.size() * sizeof(float)), 0) << "the last sample alone";
  }
}

/// The forward pass.
inline std::vector<float> multiply(const ConvKernel& kernel, const ConvShape& s, const std::vector<float>& x,
                                   const std::vector<float>& w) {
  std::vector<float> y(static_cast<size_t>(s.output_count()));
  run_kernel(kernel, s, x.data(), w.data(), nullptr, y.data());
  return y;
}

struct Errors {
  double e = 0, r = 0, strict = 0;
};

/// docs/accuracy.md says what E and R are: of results that are sums of `count` products, term(result, k) its factors, beside those
/// of a strict kernel.
template <class Term>
Errors errors(const std::vector<float>& got, const std::vector<float>& direct, size_t count, const Term& term) {
  Errors worst;
  double sum = 0, chain_sum = 0, strict_sum = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    double exact = 0, magnitude = 0;
    float chain = 0;
    for (size_t k = 0; k < count; ++k) {
      const auto [a, b] = term(i, k);
      exact += static_cast<double>(a) * b;
      magnitude += std::abs(static_cast<double>(a) * b);
      chain = std::fma(a, b, chain);
    }
    if (magnitude == 0) continue;
    worst.e = std::max(worst.e, std::abs(got[i] - exact) / (0x1p-24 * magnitude));
    const double size = 1 / magnitude;  // rows of every magnitude count alike
    sum += std::pow((got[i] - exact) * size, 2);
    chain_sum += std::pow((chain - exact) * size, 2);
    strict_sum += std::pow((direct[i] - exact) * size, 2);
  }
  worst.r = std::sqrt(sum / chain_sum);
  worst.strict = std::sqrt(sum / strict_sum);
  return worst;
}

/// Of a 1x1 layer of one sample and group.
inline Errors errors(const ConvKernel& kernel, const ConvShape& s, const std::vector<float>& x, const std::vector<float>& w) {
  const auto pixels = static_cast<size_t>(s.output_positions()), channels = static_cast<size_t>(s.in_channels);
  return errors(multiply(kernel, s, x, w), multiply(kConvDirectForward, s, x, w), channels,
                [&](size_t i, size_t c) { return std::pair(w[i / pixels * channels + c], x[c * pixels + i % pixels]); });
}

}  // namespace convoy::kernels::kernel_check
