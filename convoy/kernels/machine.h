// What the machine can do: constants for the planner's cost rules and for reports.
#pragma once

#include <cstddef>

namespace convoy::kernels {

/// Measured or assumed machine constants.
struct Machine {
  int threads = 1;
  double flops_per_second = 0;  // of all threads together, float32 FMA counted as 2
  double bytes_per_second = 0;  // from the last-level cache or memory, all threads together
  size_t l2_bytes = size_t{1} << 20;
  int lanes = 16;  // floats of a vector
  /// A core adds a vector beside each vector that it multiplies.
  bool adds_beside = false;
  /// A layer's weights come from memory, since those of the others lie in the caches.
  bool weights_far = false;

  /// What was fitted to vectors of 16 lanes, and takes so much of that time with the 8 lanes of AVX2 at the same peak.
  double with_eight_lanes(double part) const { return lanes == 8 ? part : 1.0; }
};

/// The instruction set that the kernels use: "AVX-512", "AVX2", "scalar", "NEON", "WASM". Chosen at the first call from what the
/// processor has, or by the environment variable CONVOY_SIMD=avx512|avx2|scalar (an unknown or unsupported name is ignored).
const char* simd_name();

/// False in plain C++ for x86: hardly a processor runs it, so it keeps conv_im2col and conv_depthwise_channels. All other
/// algorithms refuse there and have no code for it; what is no convolution runs the reference kernels, or their like in double.
bool has_vectors();

/// FLOP/s of a register-only FMA loop on `threads` threads, measured now for about `seconds` in all.
double measure_peak_flops(int threads, double seconds = 0.02);

/// Constants of a typical core with the instruction set in use: what the planner compares algorithms by, since a choice that
/// followed a measurement or the thread count could change a result's bits from run to run.
const Machine& nominal_machine();

}  // namespace convoy::kernels
