// Random numbers: PyTorch's CPU generator, so that a seed gives the values it gives there.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "convoy/core/tensor.h"

namespace convoy {

/// MT19937 as PyTorch seeds and draws from it. Copyable: a copy continues with the same numbers.
class Generator {
 public:
  explicit Generator(uint64_t seed = 5489);

  void manual_seed(uint64_t seed);
  uint64_t seed() const { return seed_; }
  uint32_t next32();
  uint64_t next64();

  /// Uniform in [from, to), as Tensor.uniform_: float32 from 24 bits, float64 from 53, value = fma(u, to - from, from).
  float uniform_float(float from = 0, float to = 1);
  double uniform_double(double from = 0, double to = 1);
  /// Standard normal by the Box-Muller rule of PyTorch's normal_distribution<double>.
  double normal();
  /// Uniform integer in [0, n), n >= 1 (random() % n, as torch.randperm draws).
  int64_t below(int64_t n);

  /// The complete state, for checkpoints.
  std::vector<int64_t> state() const;
  /// Throws ValueError if `state` did not come from state().
  void set_state(const std::vector<int64_t>& state);

 private:
  std::array<uint32_t, 624> words_{};
  int index_ = 624;
  uint64_t seed_ = 0;
  bool has_normal_ = false;
  double next_normal_ = 0;
};

/// The generator that layers draw from unless given another one. Not for use from several threads at once.
Generator& default_generator();

/// Seeds default_generator(), as torch.manual_seed.
void manual_seed(uint64_t seed);

/// U[0, 1) and N(0, 1) values, float32 or float64. rand is PyTorch's to the bit; randn follows its scalar rule (16 values or more:
/// Box-Muller over blocks of 16), whose last bits depend on the vectorised library PyTorch was built with.
Tensor rand(Shape shape, DType dtype = DType::kFloat32, Generator* generator = nullptr);
Tensor randn(Shape shape, DType dtype = DType::kFloat32, Generator* generator = nullptr);
/// A random permutation of 0 .. n - 1, int64, equal to torch.randperm.
Tensor randperm(int64_t n, Generator* generator = nullptr);

/// Fills with U[low, high), as Tensor.uniform_, or N(mean, std^2), as Tensor.normal_. Floating types only.
/// Errors: "uniform_ expects to return a [from, to) range, but found from=3 > to=1"; "normal expects std >= 0.0, but found std -1".
void uniform_(Tensor& tensor, double low, double high, Generator* generator = nullptr);
void normal_(Tensor& tensor, double mean, double std, Generator* generator = nullptr);

}  // namespace convoy
