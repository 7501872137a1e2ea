// The peak is measured with the kernels' own instructions, so that fractions of it mean something on this machine, now.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/machine.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "hwy/highway.h"

#include "convoy/kernels/machine.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 12 independent chains hide the latency of every FMA pipe known; returns the FLOP done.
HWY_ATTR double FmaLoop(int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  V a[12];
  for (int i = 0; i < 12; ++i) a[i] = hn::Set(d, 1.0f + 0.01f * static_cast<float>(i));
  const V m = hn::Set(d, 0.999f), c = hn::Set(d, 0.001f);
  for (int64_t r = 0; r < rounds; ++r) {
#if defined(__GNUC__)
#pragma GCC unroll 12
#endif
    for (int i = 0; i < 12; ++i) a[i] = hn::MulAdd(a[i], m, c);
  }
  V sum = a[0];
  for (int i = 1; i < 12; ++i) sum = hn::Add(sum, a[i]);
  *sink = hn::GetLane(sum);
  return 2.0 * 12.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

size_t CopyIndex() { return HWY_TARGET == HWY_AVX3 ? 0 : HWY_TARGET == HWY_AVX2 ? 1 : 2; }

size_t FloatLanes() { return hn::Lanes(hn::ScalableTag<float>()); }

const char* TargetName() {
#if HWY_TARGET == HWY_AVX3
  return "AVX-512";
#elif HWY_TARGET == HWY_AVX2
  return "AVX2";
#elif HWY_TARGET == HWY_NEON
  return "NEON";
#elif HWY_TARGET == HWY_WASM
  return "WASM";
#else
  return "scalar";
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(CopyIndex);
HWY_EXPORT(FmaLoop);
HWY_EXPORT(FloatLanes);
HWY_EXPORT(TargetName);

namespace {

// Narrows the targets before the first dispatch, if the environment asks for it.
const bool targets_chosen = [] {
  const char* wish = std::getenv("CONVOY_SIMD");
  if (wish == nullptr) return false;
  const std::string_view name(wish);
#if HWY_ARCH_X86
  constexpr auto kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
  if (name == "avx2") hwy::DisableTargets(kAvx512);
  if (name == "scalar") hwy::DisableTargets(kAvx512 | HWY_AVX2 | HWY_SSE4 | HWY_SSSE3);
#endif
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}();

}  // namespace

namespace {

// Zen 4: two units multiply and two others add. (Of 512 bits Intel's cores add where they multiply.)
bool adds_beside() {
#if HWY_ARCH_X86 && defined(__GNUC__)
  unsigned int a = 0, b = 0, c = 0, d = 0;
  if (!__builtin_cpu_is("amd") || __get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  return (a >> 8 & 15) + (a >> 20 & 255) == 0x19;  // the family
#else
  return false;
#endif
}

}  // namespace

size_t chosen_copy() noexcept { return HWY_DYNAMIC_DISPATCH(CopyIndex)(); }

const char* simd_name() { return HWY_DYNAMIC_DISPATCH(TargetName)(); }

bool has_vectors() { return HWY_DYNAMIC_DISPATCH(FloatLanes)() > 1; }

double measure_peak_flops(int threads, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> sinks(static_cast<size_t>(threads) * 16);
  const auto run = [&](int64_t rounds) {
    const auto start = Clock::now();
    std::vector<double> flops(static_cast<size_t>(threads) * 8);
    parallel_for(threads, [&](int64_t task) {
      flops[static_cast<size_t>(task) * 8] = HWY_DYNAMIC_DISPATCH(FmaLoop)(rounds, &sinks[static_cast<size_t>(task) * 16]);
    });
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    double total = 0;
    for (int t = 0; t < threads; ++t) total += flops[static_cast<size_t>(t) * 8];
    return std::pair{elapsed, total};
  };
  run(1000);
  int64_t rounds = 20000;
  double best = 0, spent = 0;
  while (spent < seconds) {
    const auto [elapsed, flops] = run(rounds);
    spent += elapsed;
    best = std::max(best, flops / elapsed);
    if (elapsed < seconds / 8) rounds *= 2;
  }
  return best;
}

const Machine& nominal_machine() {
  static const Machine nominal = [] {
    const double lanes = static_cast<double>(HWY_DYNAMIC_DISPATCH(FloatLanes)());
    // AVX-512 at one full-width FMA a cycle, AVX2 at two of half the width: the same 32 FLOP a cycle at 3 GHz.
    return Machine{.threads = 1,
                   .flops_per_second = lanes >= 8 ? 96e9 : lanes * 2 * 3e9,
                   .bytes_per_second = 20e9,
                   .lanes = static_cast<int>(lanes),
                   .adds_beside = lanes >= 16 && adds_beside()};
  }();
  return nominal;
}

}  // namespace convoy::kernels
#endif  // HWY_ONCE
