#include "convoy/shape/receptive_field.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace convoy::shape {
namespace {

using Chain = std::vector<ChainLayer>;

ChainLayer conv(int64_t k, int64_t s = 1, int64_t p = 0, int64_t d = 1) { return {LayerKind::kConv, {k, s, d, p, p}}; }
ChainLayer pool(int64_t k, int64_t s, int64_t p = 0) { return {LayerKind::kPool, {k, s, 1, p, p}}; }
ChainLayer transposed(int64_t k, int64_t s, int64_t p = 0, int64_t op = 0) { return {LayerKind::kTransposed, {k, s, 1, p, p}, op}; }

// ---- The oracle: sets of cells, every tap on its own --------------------------------------------------------------------------

std::set<int64_t> reads(const std::set<int64_t>& outputs, const ChainLayer& layer, int64_t low, int64_t high) {
  const Axis& a = layer.axis;
  std::set<int64_t> inputs;
  for (const int64_t o : outputs) {
    for (int64_t k = 0; k < a.kernel_size; ++k) {
      if (layer.kind == LayerKind::kTransposed) {
        const int64_t scaled = o + a.pad_begin - k * a.dilation;
        for (int64_t i = scaled / a.stride - 2; i <= scaled / a.stride + 2; ++i) {
          if (i * a.stride == scaled && i >= low && i < high) inputs.insert(i);
        }
      } else {
        const int64_t i = o * a.stride - a.pad_begin + k * a.dilation;
        if (i >= low && i < high) inputs.insert(i);
      }
    }
  }
  return inputs;
}

std::set<int64_t> support(int64_t o, int64_t n, const Chain& chain, bool clipped) {
  std::set<int64_t> cells{o};
  for (size_t i = chain.size(); i-- > 0;) {
    const int64_t size = *chain_output_size(n, std::span(chain).first(i));
    cells = reads(cells, chain[i], clipped ? 0 : -1000000, clipped ? size : 1000000);
  }
  return cells;
}

Range stretch(const std::set<int64_t>& cells) { return cells.empty() ? Range{} : Range{*cells.begin(), *cells.rbegin() + 1}; }

Chain random_chain(std::mt19937& random, bool with_transposed) {
  const auto below = [&random](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  Chain chain;
  const int64_t layers = 1 + below(5);
  for (int64_t i = 0; i < layers; ++i) {
    ChainLayer layer;
    layer.kind = static_cast<LayerKind>(below(with_transposed ? 3 : 2));
    layer.axis = {1 + below(4), 1 + below(3), 1 + below(3), below(3), below(3)};
    if (layer.kind == LayerKind::kPool) {
      layer.axis.pad_begin = std::min(layer.axis.pad_begin, layer.axis.kernel_size / 2);
      layer.axis.pad_end = layer.axis.pad_begin;
      layer.ceil_mode = below(2) == 1;
    }
    if (layer.kind == LayerKind::kTransposed)
      layer.output_padding = below(static_cast<int>(std::max(layer.axis.stride, layer.axis.dilation)));
    chain.push_back(layer);
  }
  return chain;
}

TEST(ReceptiveField, FieldsAreTheSupportOfTheTaps) {
  std::mt19937 random(11);
  int64_t fields = 0, empty = 0, with_holes = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    const Chain chain = random_chain(random, true);
    const int64_t n = 1 + static_cast<int64_t>(random() % 24);
    const Result<int64_t> outputs = chain_output_size(n, chain);
    if (!outputs || *outputs > 60) continue;
    const Result<ReceptiveField> whole = receptive_field(chain);
    ASSERT_TRUE(whole.ok());
    for (int64_t o = 0; o < *outputs; ++o) {
      const Result<Field> field = field_of(o, n, chain);
      ASSERT_TRUE(field.ok());
      const std::set<int64_t> inside = support(o, n, chain, true);
      const Range padded = stretch(support(o, n, chain, false));
      ASSERT_TRUE(field->exact);
      ASSERT_EQ(field->inside, stretch(inside));
      ASSERT_EQ(field->cells, static_cast<int64_t>(inside.size()));
      ASSERT_EQ(field->padded, padded);
      ASSERT_LE(padded.size(), whole->size);
      ++fields;
      empty += inside.empty() ? 1 : 0;
      with_holes += field->cells < field->inside.size() ? 1 : 0;
    }
  }
  EXPECT_GT(fields, 5000);
  EXPECT_GT(empty, 20) << "outputs that see only padding must have been among them";
  EXPECT_GT(with_holes, 500);
}

TEST(ReceptiveField, WithoutTransposedLayersTheRecurrenceIsExact) {
  std::mt19937 random(12);
  int64_t fields = 0;
  for (int trial = 0; trial < 1500; ++trial) {
    const Chain chain = random_chain(random, false);
    const int64_t n = 8 + static_cast<int64_t>(random() % 60);
    const Result<int64_t> outputs = chain_output_size(n, chain);
    if (!outputs) continue;
    const ReceptiveField whole = *receptive_field(chain);
    ASSERT_EQ(whole.jump_divisor, 1);
    // The forward recurrence of textbooks.
    int64_t r = 1, j = 1, start = 0;
    for (const ChainLayer& layer : chain) {
      r += layer.axis.dilation * (layer.axis.kernel_size - 1) * j;
      start -= layer.axis.pad_begin * j;
      j *= layer.axis.stride;
    }
    ASSERT_EQ(whole, (ReceptiveField{r, j, 1, start}));
    for (int64_t o = 0; o < *outputs; ++o, ++fields) {
      ASSERT_EQ(field_of(o, n, chain)->padded, (Range{start + o * j, start + o * j + r}));
    }
  }
  EXPECT_GT(fields, 2000);
}

TEST(ReceptiveField, KnownNetworks) {
  EXPECT_EQ(receptive_field(Chain{})->size, 1);
  EXPECT_EQ(receptive_field(Chain{conv(7, 2, 3)})->size, 7);
  EXPECT_EQ(receptive_field(Chain{conv(3), conv(3)})->size, 5) << "two 3x3 see as much as one 5x5";
  EXPECT_EQ(receptive_field(Chain{conv(3), conv(3), conv(3)})->size, 7);
  // ResNet-18: stem, pool, then four stages of two blocks of two 3x3.
  Chain resnet{conv(7, 2, 3), pool(3, 2, 1)};
  for (int stage = 0; stage < 4; ++stage) {
    for (int layer = 0; layer < 4; ++layer) resnet.push_back(conv(3, stage > 0 && layer == 0 ? 2 : 1, 1));
  }
  EXPECT_EQ(receptive_field(resnet)->size, 435);
  EXPECT_EQ(receptive_field(resnet)->jump, 32);
  EXPECT_EQ(*chain_output_size(224, resnet), 7);
  // VGG-16 up to the last pooling.
  Chain vgg;
  for (const int convolutions : {2, 2, 3, 3, 3}) {
    for (int i = 0; i < convolutions; ++i) vgg.push_back(conv(3, 1, 1));
    vgg.push_back(pool(2, 2));
  }
  EXPECT_EQ(receptive_field(vgg)->size, 212);
  // WaveNet's stack of kernel 2, dilations 1 to 512.
  Chain wavenet;
  for (int64_t d = 1; d <= 512; d *= 2) wavenet.push_back({LayerKind::kConv, {2, 1, d, d, 0}});
  EXPECT_EQ(receptive_field(wavenet)->size, 1024);
  const Field last = *field_of(15999, 16000, wavenet);
  EXPECT_EQ(last.inside, (Range{14976, 16000}));
  EXPECT_EQ(last.cells, 1024);
  EXPECT_TRUE(last.exact);
  EXPECT_EQ(field_of(0, 16000, wavenet)->inside, (Range{0, 1})) << "causal";
  EXPECT_EQ(field_of(0, 16000, wavenet)->padded, (Range{-1023, 1}));
}

TEST(ReceptiveField, StrideEnlargesLaterLayersNotItsOwn) {
  EXPECT_EQ(receptive_field(Chain{conv(3, 5)})->size, 3);
  EXPECT_EQ(receptive_field(Chain{conv(3, 5), conv(3)})->size, 13);
  EXPECT_EQ(receptive_field(Chain{conv(3, 5, 7)})->size, 3) << "padding moves the field only";
  EXPECT_EQ(receptive_field(Chain{conv(3, 5, 7)})->start, -7);
}

TEST(ReceptiveField, TransposedLayers) {
  const Chain up{transposed(2, 2)};
  EXPECT_EQ(*receptive_field(up), (ReceptiveField{1, 1, 2, 0}));
  for (int64_t o = 0; o < 8; ++o) EXPECT_EQ(field_of(o, 4, up)->inside, (Range{o / 2, o / 2 + 1}));
  // The U: down and up again by 2 is one input cell per output cell.
  const Chain u{conv(3, 1, 1), pool(2, 2), conv(3, 1, 1), transposed(2, 2), conv(3, 1, 1)};
  EXPECT_EQ(receptive_field(u)->jump, 1);
  EXPECT_EQ(receptive_field(u)->jump_divisor, 1);
  EXPECT_EQ(*chain_output_size(16, u), 16);
  // A kernel of 1 with stride 2 leaves every other output without any input.
  const Chain gaps{transposed(1, 2)};
  EXPECT_EQ(field_of(1, 4, gaps)->inside, (Range{0, 0}));
  EXPECT_EQ(field_of(2, 4, gaps)->inside, (Range{1, 2}));
  // Output padding adds cells that may read the last input cells.
  const Chain padded{transposed(3, 2, 1, 1)};
  EXPECT_EQ(*chain_output_size(4, padded), 8);
  EXPECT_EQ(field_of(7, 4, padded)->inside, (Range{3, 4}));
  EXPECT_EQ(field_of(7, 4, padded)->padded, (Range{3, 5}));
}

TEST(ReceptiveField, HolesAreNotFilled) {
  const Chain dilated{conv(3, 1, 0, 2)};
  EXPECT_EQ(field_of(0, 9, dilated)->inside, (Range{0, 5}));
  EXPECT_EQ(field_of(0, 9, dilated)->cells, 3);
  const Chain bordered{conv(3, 1, 3, 2)};
  EXPECT_EQ(field_of(0, 9, bordered)->inside, (Range{1, 2})) << "taps at -3, -1 and 1";
  EXPECT_EQ(field_of(0, 9, bordered)->padded, (Range{-3, 2}));
}

TEST(ReceptiveField, LongStretchesAreBounds) {
  const Chain wide{conv(kFieldCells + 1), conv(3)};
  const Field field = *field_of(0, 3 * kFieldCells, wide);
  EXPECT_FALSE(field.exact);
  EXPECT_EQ(field.inside, (Range{0, kFieldCells + 3}));
  EXPECT_EQ(field.cells, kFieldCells + 3);
}

TEST(ReceptiveField, Errors) {
  EXPECT_EQ(receptive_field(Chain{conv(0)}).error().code, ShapeErrorCode::kNonPositiveKernel);
  EXPECT_EQ(receptive_field(Chain{conv(3, 0)}).error().code, ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(receptive_field(Chain{conv(3, 1, 0, 0)}).error().code, ShapeErrorCode::kNonPositiveDilation);
  Chain many(70, conv(2, 2));
  EXPECT_EQ(receptive_field(many).error().code, ShapeErrorCode::kOverflow);
  EXPECT_EQ(field_of(5, 5, Chain{conv(3)}).error().code, ShapeErrorCode::kNoSolution);
  EXPECT_EQ(field_of(-1, 5, Chain{conv(3)}).error().code, ShapeErrorCode::kNoSolution);
  EXPECT_EQ(field_of(0, 2, Chain{conv(3)}).error().code, ShapeErrorCode::kKernelTooLarge);
  EXPECT_EQ(field_of(0, 2, Chain{pool(3, 1)}).error().code, ShapeErrorCode::kOutputTooSmall);
  EXPECT_EQ(field_of(0, 1, Chain{transposed(1, 1, 1)}).error().code, ShapeErrorCode::kOutputTooSmall);
  EXPECT_EQ(chain_output_size(8, Chain{conv(3), conv(3), conv(5)}).error().code, ShapeErrorCode::kKernelTooLarge);
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  for (const LayerKind kind : {LayerKind::kConv, LayerKind::kPool, LayerKind::kTransposed}) {
    for (const int64_t k : {int64_t{1}, int64_t{1} << 40, kMax}) {
      for (const int64_t s : {int64_t{1}, int64_t{1} << 40, kMax}) {
        for (const int64_t p : {int64_t{0}, int64_t{1} << 40, kMax / 2, kMax}) {
          const Chain chain{{kind, {k, s, 1, p, p}}, {kind, {3, 2, 1, 0, 0}}};
          (void)receptive_field(chain);
          (void)field_of(0, 100, chain);
          (void)field_of(1, kMax, chain);
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy::shape
