#include "convoy/shape/solve.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>

namespace convoy::shape {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

constexpr Axis axis(int64_t k, int64_t s = 1, int64_t p = 0, int64_t d = 1) { return {k, s, d, p, p}; }

// Calls f(n, axis) for small numbers, legal or not.
template <class F>
void for_each_axis(F&& f) {
  for (int64_t n = 0; n <= 9; ++n) {
    for (int64_t k = 1; k <= 4; ++k) {
      for (int64_t s = 1; s <= 4; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          for (int64_t p = 0; p <= 3; ++p) {
            f(n, axis(k, s, p, d));
            f(n, Axis{k, s, d, p, (p + 2) % 4});
          }
        }
      }
    }
  }
}

// Whether `range` holds exactly the values in [first, last] for which legal(value) is true.
template <class Legal>
::testing::AssertionResult holds_exactly(const Result<Range>& range, int64_t first, int64_t last, Legal&& legal) {
  for (int64_t v = first; v <= last; ++v) {
    const bool inside = range.ok() && v >= range->begin && v < range->end;
    if (inside != legal(v)) {
      return ::testing::AssertionFailure() << "value " << v << (inside ? " should not be" : " should be") << " in the range";
    }
  }
  if (!range.ok() && range.error().code != ShapeErrorCode::kNoSolution) return ::testing::AssertionFailure() << "wrong error";
  return ::testing::AssertionSuccess();
}

bool gives(const Result<int64_t>& size, int64_t output) { return size.ok() && *size == output; }

TEST(Solve, InputsOfAnOutput) {
  for_each_axis([](int64_t o, const Axis& a) {
    ASSERT_TRUE(holds_exactly(inputs_for_output(o, a), 0, 60, [&](int64_t n) { return gives(output_size(n, a), o); }));
    if (std::max(a.pad_begin, a.pad_end) > pool_padding_limit(a.kernel_size)) return;
    for (const bool ceil : {false, true}) {
      if (o == 0) continue;
      ASSERT_TRUE(holds_exactly(pool_inputs_for_output(o, a, ceil), 0, 60,
                                [&](int64_t n) { return gives(pool_output_size(n, a, ceil), o); }))
          << "o " << o << " k " << a.kernel_size << " s " << a.stride << " d " << a.dilation << " p " << a.pad_begin << " ceil "
          << ceil;
    }
  });
  EXPECT_EQ(*inputs_for_output(112, axis(7, 2, 3)), (Range{223, 225}));
}

TEST(Solve, InputOfATransposedOutput) {
  for_each_axis([](int64_t o, const Axis& a) {
    for (int64_t op = 0; op < std::max(a.stride, a.dilation); ++op) {
      const Result<int64_t> n = transposed_input_for_output(o, a, op);
      int64_t expected = -1;
      for (int64_t i = 1; i < 40; ++i) {
        if (gives(transposed_output_size(i, a, op), o)) expected = i;
      }
      ASSERT_EQ(n.ok() ? *n : -1, expected);
    }
  });
}

TEST(Solve, ParametersOfAnOutput) {
  for_each_axis([](int64_t n, const Axis& a) {
    for (int64_t o = 0; o <= 12; ++o) {
      ASSERT_TRUE(holds_exactly(total_padding_for_output(n, o, a), 0, 40, [&](int64_t total) {
        return gives(output_size(n, Axis{a.kernel_size, a.stride, a.dilation, total, 0}), o);
      }));
      ASSERT_TRUE(holds_exactly(padding_for_output(n, o, a), 0, 20, [&](int64_t p) {
        return gives(output_size(n, Axis{a.kernel_size, a.stride, a.dilation, p, p}), o);
      }));
      ASSERT_TRUE(holds_exactly(stride_for_output(n, o, a), 1, 40,
                                [&](int64_t s) {
                                  return gives(output_size(n, Axis{a.kernel_size, s, a.dilation, a.pad_begin, a.pad_end}), o);
                                }) ||
                  !output_size(n, a).ok());
      if (n + a.pad_begin + a.pad_end < 1) continue;
      ASSERT_TRUE(holds_exactly(kernel_size_for_output(n, o, a), 1, 40, [&](int64_t k) {
        return gives(output_size(n, Axis{k, a.stride, a.dilation, a.pad_begin, a.pad_end}), o);
      }));
      ASSERT_TRUE(holds_exactly(dilation_for_output(n, o, a), 1, 40, [&](int64_t d) {
        return gives(output_size(n, Axis{a.kernel_size, a.stride, d, a.pad_begin, a.pad_end}), o);
      }));
    }
  });
}

TEST(Solve, OutputPaddingOfAnOutput) {
  for_each_axis([](int64_t n, const Axis& a) {
    for (int64_t o = 0; o <= 20; ++o) {
      int64_t expected = -1;
      for (int64_t op = 0; op < std::max(a.stride, a.dilation); ++op) {
        if (gives(transposed_output_size(n, a, op), o)) expected = op;
      }
      const Result<int64_t> op = output_padding_for_output(n, o, a);
      ASSERT_EQ(op.ok() ? *op : -1, expected);
    }
  });
}

TEST(Solve, NamedAnswers) {
  EXPECT_EQ(*padding_for_output(224, 112, axis(7, 2)), (Range{3, 4}));
  EXPECT_EQ(*total_padding_for_output(224, 112, axis(7, 2)), (Range{5, 7}));
  EXPECT_EQ(*stride_for_output(224, 56, axis(7, 1, 3)), (Range{4, 5}));
  EXPECT_EQ(*stride_for_output(5, 1, axis(3)), (Range{3, kUnlimited}));
  EXPECT_EQ(*dilation_for_output(5, 5, axis(1)), (Range{1, kUnlimited}));
  EXPECT_EQ(padding_for_output(8, 8, axis(4)).error().code, ShapeErrorCode::kNoSolution) << "an even kernel needs uneven sides";
  EXPECT_EQ(*size_keeping_padding(8, axis(4)), (PadPair{1, 2}));
  for (int64_t k = 1; k <= 7; ++k) {
    for (int64_t d = 1; d <= 3; ++d) EXPECT_EQ(*size_keeping_padding(13, axis(k, 1, 0, d)), *same_padding(k, d));
  }
  const PadPair strided = *size_keeping_padding(10, axis(3, 2));
  EXPECT_EQ(*output_size(10, Axis{3, 2, 1, strided.begin, strided.end}), 10);
}

TEST(Solve, TransposedReturnsForEveryInput) {
  for_each_axis([](int64_t n, const Axis& a) {
    const Result<int64_t> o = output_size(n, a);
    const Result<int64_t> op = returning_output_padding(n, a);
    ASSERT_EQ(op.ok(), o.ok());
    if (!o) return;
    ASSERT_EQ(*op, (n + a.pad_begin + a.pad_end - a.dilation * (a.kernel_size - 1) - 1) % a.stride);
    ASSERT_EQ(*transposed_output_size(*o, a, *op), n);
    ASSERT_EQ(*output_padding_for_output(*o, n, a), *op);
  });
  EXPECT_EQ(*returning_output_padding(224, axis(7, 2, 3)), 1);
  EXPECT_EQ(*returning_output_padding(4, axis(3, 2, 1)), 1);
}

TEST(Solve, UnreadCells) {
  EXPECT_EQ(*unread_tail(6, axis(3, 2)), 1);
  EXPECT_EQ(*unread_tail(5, axis(3, 2)), 0);
  EXPECT_EQ(*unread_padded_tail(224, axis(7, 2, 3)), 1);
  EXPECT_EQ(*unread_tail(224, axis(7, 2, 3)), 0) << "only padding is left over";
  EXPECT_EQ(*unread_per_stride(axis(1, 2)), 1);
  EXPECT_EQ(*unread_per_stride(axis(3, 2)), 0);
  EXPECT_EQ(*unread_per_stride(axis(3, 2, 0, 2)), 1) << "stride and dilation 2 see every other cell";
  for_each_axis([](int64_t n, const Axis& a) {
    const Result<int64_t> o = output_size(n, a);
    if (!o) return;
    std::set<int64_t> read;
    for (int64_t out = 0; out < *o; ++out) {
      for (int64_t k = 0; k < a.kernel_size; ++k) read.insert(input_index(out, k, a));
    }
    int64_t tail = 0, padded_tail = 0;
    while (tail < n && *read.rbegin() < n - 1 - tail) ++tail;
    while (*read.rbegin() < n + a.pad_end - 1 - padded_tail) ++padded_tail;
    ASSERT_EQ(*unread_tail(n, a), tail);
    ASSERT_EQ(*unread_padded_tail(n, a), padded_tail);
    // Far from both ends of a long input.
    int64_t unread = 0;
    for (int64_t i = 120; i < 120 + a.stride; ++i) {
      bool found = false;
      for (int64_t k = 0; k < a.kernel_size; ++k) found = found || output_index(i, k, 1000, a) >= 0;
      unread += found ? 0 : 1;
    }
    ASSERT_EQ(*unread_per_stride(a), unread);
  });
}

TEST(Solve, LayersToShrink) {
  EXPECT_EQ(*layers_to_shrink(224, 4, axis(5)), (LayerCount{55, 4}));
  EXPECT_EQ(*layers_to_shrink(32, 4, axis(5)), (LayerCount{7, 4}));
  EXPECT_EQ(*layers_to_shrink(32, 28, axis(5)), (LayerCount{1, 28}));
  EXPECT_EQ(*layers_to_shrink(4, 4, axis(5)), (LayerCount{0, 4}));
  EXPECT_EQ(*layers_to_shrink(224, 7, axis(3, 2, 1)), (LayerCount{5, 7}));
  EXPECT_EQ(layers_to_shrink(224, 3, axis(5)).error().code, ShapeErrorCode::kNoSolution) << "4 is too small for a kernel of 5";
  EXPECT_EQ(layers_to_shrink(224, 4, axis(5, 1, 2)).error().code, ShapeErrorCode::kNoSolution) << "the size is kept";
  EXPECT_EQ(layers_to_shrink(224, 4, axis(5, 1, 4)).error().code, ShapeErrorCode::kNoSolution) << "the size grows";
  EXPECT_EQ(layers_to_shrink(224, 1, axis(3, 2, 2)).error().code, ShapeErrorCode::kNoSolution) << "stops at 2";
  EXPECT_EQ(layers_to_shrink(224, 4, axis(5, 0)).error().code, ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(layers_to_shrink(kMax, 1, axis(2))->layers, kMax - 1) << "at once";
  EXPECT_EQ(layers_to_shrink(kMax, 1, axis(2, 2))->size, 1);
  for_each_axis([](int64_t n, const Axis& a) {
    for (int64_t size = 0; size <= 9; ++size) {
      int64_t layers = 0, now = n;
      while (now > size && layers < 50) {
        const Result<int64_t> next = output_size(now, a);
        if (!next || *next >= now) {
          layers = 50;
          break;
        }
        now = *next;
        ++layers;
      }
      const Result<LayerCount> count = layers_to_shrink(n, size, a);
      ASSERT_EQ(count.ok(), layers < 50);
      if (count) {
        ASSERT_EQ(*count, (LayerCount{layers, now}));
      }
    }
  });
}

// ---- Remedies -----------------------------------------------------------------------------------------------------------------

TEST(Remedies, TheExampleOfTheCommandLine) {
  const Remedies r = conv_remedies(2, axis(3));
  ASSERT_EQ(r.size(), 3u);
  EXPECT_EQ(r[0], (Remedy{Parameter::kPadding, 1, 2}));
  EXPECT_EQ(r[1], (Remedy{Parameter::kInput, 3, 1}));
  EXPECT_EQ(r[2], (Remedy{Parameter::kKernelSize, 2, 1}));
  EXPECT_TRUE(conv_remedies(3, axis(3)).empty()) << "nothing to mend";
}

// Applies a remedy; `by` steps from its value back toward the original.
template <class Output>
int64_t applied(const Remedy& r, int64_t by, int64_t n, const Axis& a, int64_t op, Output&& output) {
  const int64_t v = r.value + by;
  return output(r.parameter == Parameter::kInput ? v : n, detail::with(a, r.parameter, v),
                r.parameter == Parameter::kOutputPadding ? v : op);
}

int64_t original(const Remedy& r, int64_t n, const Axis& a, int64_t op) {
  switch (r.parameter) {
    case Parameter::kInput:
      return n;
    case Parameter::kKernelSize:
      return a.kernel_size;
    case Parameter::kStride:
      return a.stride;
    case Parameter::kPadding:
      return a.pad_begin;
    case Parameter::kDilation:
      return a.dilation;
    case Parameter::kOutputPadding:
      return op;
  }
  return 0;
}

// Every remedy works, says what it gives, and one step less does not work.
template <class Output>
void expect_smallest(const Remedies& remedies, int64_t n, const Axis& a, int64_t op, Output&& output) {
  for (const Remedy& r : remedies) {
    const int64_t back = r.value > original(r, n, a, op) ? -1 : 1;
    ASSERT_GE(r.output, 1);
    ASSERT_EQ(applied(r, 0, n, a, op, output), r.output) << parameter_name(r.parameter) << " " << r.value;
    ASSERT_LT(applied(r, back, n, a, op, output), 1) << parameter_name(r.parameter) << " " << r.value << " is more than needed";
  }
}

TEST(Remedies, AreTheSmallestThatWork) {
  const auto conv = [](int64_t n, const Axis& a, int64_t) {
    const Result<int64_t> o = output_size(n, a);
    return o ? *o : -1;
  };
  const auto transposed = [](int64_t n, const Axis& a, int64_t op) {
    const Result<int64_t> o = transposed_output_size(n, a, op);
    return o ? *o : -1;
  };
  int mended = 0;
  for_each_axis([&](int64_t n, const Axis& a) {
    const Remedies r = conv_remedies(n, a);
    ASSERT_EQ(r.empty(), output_size(n, a).ok());
    expect_smallest(r, n, a, 0, conv);
    for (const bool ceil : {false, true}) {
      const auto pool = [ceil](int64_t size, const Axis& x, int64_t) {
        if (std::max(x.pad_begin, x.pad_end) > x.kernel_size / 2) return int64_t{-1};
        const Result<int64_t> o = pool_output_size(size, x, ceil);
        return o ? *o : -1;
      };
      const Remedies p = pool_remedies(n, a, ceil);
      if (pool(n, a, 0) >= 1) {
        ASSERT_TRUE(p.empty());
      }
      expect_smallest(p, n, a, 0, pool);
    }
    for (int64_t op = 0; op <= 4; ++op) {
      const Remedies t = transposed_remedies(n, a, op);
      const Result<int64_t> o = transposed_output_size(n, a, op);
      if (o && *o >= 1) {
        ASSERT_TRUE(t.empty());
      } else if (n > 0 && op < std::max(a.stride, a.dilation)) {
        ASSERT_FALSE(t.empty()) << n << " " << a.kernel_size << " " << a.stride << " " << op;
      }
      expect_smallest(t, n, a, op, transposed);
      mended += static_cast<int>(r.size() + t.size());
    }
  });
  EXPECT_GT(mended, 1000);
}

TEST(Remedies, BadParametersAreMendedFirst) {
  ASSERT_EQ(conv_remedies(5, axis(3, 0)).size(), 1u);
  EXPECT_EQ(conv_remedies(5, axis(3, 0))[0], (Remedy{Parameter::kStride, 1, 3}));
  EXPECT_EQ(conv_remedies(5, axis(-2))[0], (Remedy{Parameter::kKernelSize, 1, 5}));
  EXPECT_EQ(conv_remedies(5, axis(2, 1, 0, 0))[0], (Remedy{Parameter::kDilation, 1, 4}));
  EXPECT_EQ(conv_remedies(5, axis(3, 1, -1))[0], (Remedy{Parameter::kPadding, 0, 3}));
  EXPECT_TRUE(conv_remedies(5, axis(0, 0)).empty()) << "two mistakes, no single change";
  EXPECT_TRUE(conv_remedies(-1, axis(3)).empty());
  EXPECT_EQ(pool_remedies(8, Axis{3, 2, 1, 2, 2}, false)[0], (Remedy{Parameter::kPadding, 1, 4}));
  EXPECT_EQ(pool_remedies(8, Axis{3, 2, 1, 2, 2}, false)[1], (Remedy{Parameter::kKernelSize, 4, 5}));
  const Remedies t = transposed_remedies(4, axis(3), 1);
  ASSERT_EQ(t.size(), 3u);
  EXPECT_EQ(t[0], (Remedy{Parameter::kOutputPadding, 0, 6}));
  EXPECT_EQ(t[1], (Remedy{Parameter::kStride, 2, 10}));
  EXPECT_EQ(t[2], (Remedy{Parameter::kDilation, 2, 9}));
}

TEST(Solve, ExtremesNeverOverflow) {
  const int64_t edges[] = {std::numeric_limits<int64_t>::min(), -1, 0, 1, 2, int64_t{1} << 32, kMax - 1, kMax};
  for (const int64_t n : edges) {
    for (const int64_t o : edges) {
      for (const int64_t k : edges) {
        for (const int64_t s : edges) {
          for (const int64_t p : edges) {
            for (const int64_t d : {edges[0], int64_t{0}, int64_t{1}, int64_t{3}, kMax}) {
              const Axis a{k, s, d, p, p};
              (void)inputs_for_output(o, a);
              (void)pool_inputs_for_output(o, a, true);
              (void)transposed_input_for_output(o, a, n);
              (void)transposed_input_for_output(o, a, 0);
              (void)total_padding_for_output(n, o, a);
              (void)padding_for_output(n, o, a);
              (void)size_keeping_padding(n, a);
              (void)kernel_size_for_output(n, o, a);
              (void)stride_for_output(n, o, a);
              (void)dilation_for_output(n, o, a);
              (void)output_padding_for_output(n, o, a);
              (void)returning_output_padding(n, a);
              (void)unread_tail(n, a);
              (void)unread_per_stride(a);
              (void)layers_to_shrink(n, o, a);
              (void)conv_remedies(n, a);
              (void)pool_remedies(n, a, true);
              (void)transposed_remedies(n, a, o);
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace convoy::shape
