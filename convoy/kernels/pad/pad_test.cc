#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

#include "convoy/core/parallel.h"
#include "convoy/kernels/pad/pad_reference.h"

namespace convoy::kernels {
namespace {

// Random axes: any source in range or the constant, with a run somewhere, as the kernel's contract allows.
struct RandomAxes {
  std::vector<std::vector<int64_t>> sources;
  std::vector<PadAxis> axes;
  int64_t inputs = 1, outputs = 1;

  RandomAxes(std::mt19937& rng, bool constants) {
    const auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(rng); };
    const int64_t rank = pick(2, 5);
    sources.resize(static_cast<size_t>(rank));
    for (int64_t a = 0; a < rank; ++a) {
      const int64_t input = pick(1, rank > 3 ? 4 : 9);
      const int64_t run = pick(0, input), start = pick(0, input - run);
      std::vector<int64_t>& source = sources[static_cast<size_t>(a)];
      const auto outside = [&] { return constants && pick(0, 1) == 0 ? -1 : pick(0, input - 1); };
      const bool first = a == 0;
      const int64_t before = first ? 0 : pick(0, 3), behind = first ? 0 : pick(0, 3);
      for (int64_t i = 0; i < before; ++i) source.push_back(outside());
      for (int64_t i = 0; i < (first ? input : run); ++i) source.push_back(first ? i : start + i);
      for (int64_t i = 0; i < behind; ++i) source.push_back(outside());
      const auto output = static_cast<int64_t>(source.size());
      axes.push_back({input, output, source.data(), before, output - behind});
      inputs *= input;
      outputs *= output;
    }
  }
};

std::vector<float> integers(std::mt19937& rng, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(std::uniform_int_distribution<int>(-9, 9)(rng));
  return values;
}

TEST(Pad, EqualsTheReferenceForAnyThreadCount) {
  std::mt19937 rng(1);
  for (int round = 0; round < 300; ++round) {
    const RandomAxes shape(rng, true);
    const std::vector<float> input = integers(rng, shape.inputs);
    std::vector<float> want(static_cast<size_t>(shape.outputs)), got = want;
    pad_reference<float>(shape.axes, input.data(), 0.5f, want.data());
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::fill(got.begin(), got.end(), -77.0f);
      pad<uint32_t>(shape.axes, reinterpret_cast<const uint32_t*>(input.data()), std::bit_cast<uint32_t>(0.5f),
                    reinterpret_cast<uint32_t*>(got.data()));
      ASSERT_EQ(got, want) << "round " << round;
    }
  }
  set_num_threads(0);
}

TEST(Pad, BackwardEqualsTheReferenceForAnyThreadCount) {
  std::mt19937 rng(2);
  for (int round = 0; round < 300; ++round) {
    const RandomAxes shape(rng, round % 2 == 0);
    const std::vector<float> grad_output = integers(rng, shape.outputs);
    std::vector<float> want(static_cast<size_t>(shape.inputs)), got = want;
    pad_backward_reference<float>(shape.axes, grad_output.data(), want.data());
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      std::fill(got.begin(), got.end(), -77.0f);
      pad_backward<float>(shape.axes, grad_output.data(), got.data());
      ASSERT_EQ(got, want) << "round " << round;
    }
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace convoy::kernels
