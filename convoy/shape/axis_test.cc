#include "convoy/shape/axis.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "convoy/shape/checked.h"

namespace convoy::shape {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

// A symmetric axis, as PyTorch's arguments give it.
constexpr Axis axis(int64_t k, int64_t s = 1, int64_t p = 0, int64_t d = 1) { return {k, s, d, p, p}; }

ShapeErrorCode code_of(const Result<int64_t>& r) { return r.error().code; }

// The number of window positions, counted one by one.
int64_t counted(int64_t n, const Axis& a) {
  int64_t count = 0;
  for (int64_t start = -a.pad_begin; start + a.dilation * (a.kernel_size - 1) + 1 <= n + a.pad_end; start += a.stride) ++count;
  return count;
}

// ---- Conv ---------------------------------------------------------------------------------------------------------------------

TEST(OutputSize, IsTheNumberOfWindowPositions) {
  for (int64_t n = 0; n <= 12; ++n) {
    for (int64_t k = 1; k <= 5; ++k) {
      for (int64_t s = 1; s <= 4; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          for (int64_t pb = 0; pb <= 3; ++pb) {
            for (int64_t pe = 0; pe <= 3; ++pe) {
              const Axis a{k, s, d, pb, pe};
              const Result<int64_t> o = output_size(n, a);
              const int64_t positions = counted(n, a);
              ASSERT_EQ(o.ok(), positions > 0);
              if (o) {
                ASSERT_EQ(*o, positions) << "n " << n << " k " << k << " s " << s << " d " << d << " p " << pb << ":" << pe;
              } else {
                ASSERT_EQ(code_of(o), ShapeErrorCode::kKernelTooLarge);
                ASSERT_EQ(o.error().value, d * (k - 1) + 1);
                ASSERT_EQ(o.error().limit, n + pb + pe);
              }
            }
          }
        }
      }
    }
  }
}

TEST(OutputSize, TheTableOfTheArithmeticGuide) {
  struct Row {
    const char* name;
    int64_t i, k, p, s, d, o;
  };
  const Row rows[] = {
      {"no_padding_no_strides", 4, 3, 0, 1, 1, 2},   {"arbitrary_padding_no_strides", 5, 4, 2, 1, 1, 6},
      {"same_padding_no_strides", 5, 3, 1, 1, 1, 5}, {"full_padding_no_strides", 5, 3, 2, 1, 1, 7},
      {"no_padding_strides", 5, 3, 0, 2, 1, 2},      {"padding_strides", 5, 3, 1, 2, 1, 3},
      {"padding_strides_odd", 6, 3, 1, 2, 1, 3},     {"dilation", 7, 3, 0, 1, 2, 3},
      {"numerical_no_padding", 5, 3, 0, 1, 1, 3},    {"numerical_padding_strides", 5, 3, 1, 2, 1, 3},
      {"numerical_pooling", 5, 3, 0, 1, 1, 3},
  };
  for (const Row& r : rows) {
    const Axis a = axis(r.k, r.s, r.p, r.d);
    EXPECT_EQ(*output_size(r.i, a), r.o) << r.name;
    const int64_t output_padding = (r.i + 2 * r.p - r.d * (r.k - 1) - 1) % r.s;
    EXPECT_EQ(*transposed_output_size(r.o, a, output_padding), r.i) << r.name;
  }
  EXPECT_EQ((6 + 2 * 1 - 3) % 2, 1) << "padding_strides_odd is the row with output padding";
}

// conv_arithmetic, relationships 1 to 15, each on every legal combination of small numbers.
TEST(OutputSize, TheFifteenRelationships) {
  for (int64_t i = 1; i <= 14; ++i) {
    for (int64_t k = 1; k <= 6; ++k) {
      for (int64_t p = 0; p <= 6; ++p) {
        for (int64_t s = 1; s <= 5; ++s) {
          if (i >= k) {
            EXPECT_EQ(*output_size(i, axis(k)), (i - k) + 1);                     // 1
            EXPECT_EQ(*output_size(i, axis(k, s)), (i - k) / s + 1);              // 5
            EXPECT_EQ(*pool_output_size(i, axis(k, s), false), (i - k) / s + 1);  // 7
            EXPECT_EQ(*transposed_output_size(i - k + 1, axis(k), 0), i);         // 8: o' = i' + (k - 1)
            if ((i - k) % s == 0) {
              EXPECT_EQ(*transposed_output_size((i - k) / s + 1, axis(k, s), 0), i);  // 12
            }
          }
          if (i + 2 * p >= k) {
            EXPECT_EQ(*output_size(i, axis(k, 1, p)), (i - k) + 2 * p + 1);      // 2
            EXPECT_EQ(*output_size(i, axis(k, s, p)), (i + 2 * p - k) / s + 1);  // 6
            const int64_t o = (i + 2 * p - k) / s + 1;
            const int64_t a = (i + 2 * p - k) % s;
            if (s == 1) {
              EXPECT_EQ(*transposed_output_size(o, axis(k, 1, p), 0), o + (k - 1) - 2 * p);  // 9
            }
            if (a == 0) {
              EXPECT_EQ(*transposed_output_size(o, axis(k, s, p), 0), s * (o - 1) + k - 2 * p);  // 13
            }
            EXPECT_EQ(*transposed_output_size(o, axis(k, s, p), a), s * (o - 1) + a + k - 2 * p);  // 14
            EXPECT_EQ(*transposed_output_size(o, axis(k, s, p), a), i);
          }
          if (k % 2 == 1) {
            EXPECT_EQ(*output_size(i, axis(k, 1, k / 2)), i);                // 3
            EXPECT_EQ(*transposed_output_size(i, axis(k, 1, k / 2), 0), i);  // 10
          }
          EXPECT_EQ(*output_size(i, axis(k, 1, k - 1)), i + (k - 1));  // 4
          if (i >= k) {
            EXPECT_EQ(*transposed_output_size(i, axis(k, 1, k - 1), 0), i - (k - 1));  // 11
          }
          for (int64_t d = 1; d <= 4; ++d) {
            const int64_t dilated = k + (k - 1) * (d - 1);
            EXPECT_EQ(*effective_kernel_size(k, d), dilated);
            if (i + 2 * p >= dilated) {
              EXPECT_EQ(*output_size(i, axis(k, s, p, d)), (i + 2 * p - k - (k - 1) * (d - 1)) / s + 1);  // 15
            }
          }
        }
      }
    }
  }
}

TEST(OutputSize, SpecialCases) {
  EXPECT_EQ(*output_size(224, axis(7, 2, 3)), 112);
  EXPECT_EQ(*output_size(32, axis(5)), 28);
  EXPECT_EQ(*output_size(8, axis(4, 1, 2)), 9) << "an even kernel with padding k / 2 does not keep the size";
  EXPECT_EQ(*output_size(4, axis(1, 1, 1)), 6) << "a 1x1 kernel with padding grows a border";
  EXPECT_EQ(*output_size(224, axis(1)), 224);
  for (int64_t n = 1; n <= 40; ++n) {
    for (int64_t k = 1; k <= 7; ++k) {
      if (n >= k) {
        EXPECT_EQ(*output_size(n, axis(k, k)), n / k) << "stride = kernel";
      }
      if (n >= k) {
        EXPECT_EQ(*transposed_output_size(n / k, axis(k, k), 0), n / k * k) << "up-convolution by k";
      }
      for (int64_t s = 1; s <= 5; ++s) {
        // Total padding k - 1: floor((n - 1) / s) + 1, which is n / s where s divides n.
        const Axis half{k, s, 1, (k - 1) / 2, k / 2};
        EXPECT_EQ(*output_size(n, half), (n + s - 1) / s);
        if (n % s == 0) {
          EXPECT_EQ(*output_size(n, half), n / s);
        }
      }
    }
  }
  int64_t n = 32;
  for (int layer = 0; layer < 7; ++layer) n = *output_size(n, axis(5));
  EXPECT_EQ(n, 4);
}

TEST(OutputSize, StudyNotesCountPaddingInTotal) {
  // Notes that write p for the rows added in total: floor((n - k + p + s) / s).
  const auto notes = [](int64_t n, int64_t k, int64_t total, int64_t s) { return (n - k + total + s) / s; };
  EXPECT_EQ(notes(8, 3, 2 * 0, 3), *output_size(8, axis(3, 3, 0)));
  EXPECT_EQ(notes(8, 5, 2 * 1, 4), *output_size(8, axis(5, 4, 1)));
  EXPECT_EQ(*output_size(8, axis(3, 3, 0)), 2);
  EXPECT_EQ(*output_size(8, axis(5, 4, 1)), 2);
  for (int64_t n = 1; n < 20; ++n) {
    for (int64_t k = 1; k < 6; ++k) {
      for (int64_t p = 0; p < 4; ++p) {
        for (int64_t s = 1; s < 5; ++s) {
          if (n + 2 * p >= k) {
            EXPECT_EQ(notes(n, k, 2 * p, s), *output_size(n, axis(k, s, p)));
          }
        }
      }
    }
  }
}

TEST(OutputSize, RefusesWhatHasNoMeaning) {
  EXPECT_EQ(code_of(output_size(-1, axis(1))), ShapeErrorCode::kNegativeInput);
  EXPECT_EQ(code_of(output_size(4, axis(0))), ShapeErrorCode::kNonPositiveKernel);
  EXPECT_EQ(code_of(output_size(4, axis(-3))), ShapeErrorCode::kNonPositiveKernel);
  EXPECT_EQ(code_of(output_size(4, axis(3, 0))), ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(code_of(output_size(4, axis(3, -1))), ShapeErrorCode::kNonPositiveStride);
  EXPECT_EQ(code_of(output_size(4, axis(3, 1, 0, 0))), ShapeErrorCode::kNonPositiveDilation);
  EXPECT_EQ(code_of(output_size(2, axis(3))), ShapeErrorCode::kKernelTooLarge);
  EXPECT_EQ(*output_size(3, axis(3, 100)), 1) << "a stride beyond the input is legal";
  EXPECT_EQ(*output_size(10, Axis{3, 1, 1, -2, -1}), 5) << "negative padding crops";
  EXPECT_EQ(code_of(output_size(3, Axis{1, 1, 1, -2, -2})), ShapeErrorCode::kKernelTooLarge);
}

// ---- Padding that keeps the size ----------------------------------------------------------------------------------------------

TEST(SamePadding, PyTorchPutsTheOddCellAtTheEnd) {
  EXPECT_EQ(*same_padding(4, 1), (PadPair{1, 2}));
  EXPECT_EQ(*same_padding(3, 1), (PadPair{1, 1}));
  EXPECT_EQ(*same_padding(3, 2), (PadPair{2, 2}));
  EXPECT_EQ(*same_padding(2, 3), (PadPair{1, 2}));
  EXPECT_EQ(*same_padding(1, 7), (PadPair{0, 0}));
  for (int64_t k = 1; k <= 9; ++k) {
    for (int64_t d = 1; d <= 4; ++d) {
      const PadPair p = *same_padding(k, d);
      for (int64_t n = 1; n <= 20; ++n) EXPECT_EQ(*output_size(n, Axis{k, 1, d, p.begin, p.end}), n);
    }
  }
}

TEST(SamePadding, TheNotesPutTheOddCellInFront) {
  // "Even kernels: ceil(p / 2) above, floor(p / 2) below" keeps the size too, but is PyTorch's rule turned round.
  for (int64_t k = 1; k <= 8; ++k) {
    const int64_t total = k - 1;
    const PadPair notes{(total + 1) / 2, total / 2};
    const PadPair torch = *same_padding(k, 1);
    EXPECT_EQ(*output_size(11, Axis{k, 1, 1, notes.begin, notes.end}), 11);
    EXPECT_EQ(notes, (PadPair{torch.end, torch.begin}));
    EXPECT_EQ(notes == torch, k % 2 == 1);
  }
}

TEST(SamePadding, TensorFlowsRuleDependsOnSizeAndStride) {
  EXPECT_EQ(*same_padding_tf(224, 7, 2, 1), (PadPair{2, 3})) << "torchvision's ResNet pads 3 and 3";
  EXPECT_EQ(*same_padding_tf(224, 7, 2, 1, true), (PadPair{3, 2}));
  EXPECT_EQ(*same_padding_tf(5, 1, 3, 1), (PadPair{0, 0})) << "less than nothing becomes nothing";
  for (int64_t n = 1; n <= 24; ++n) {
    for (int64_t k = 1; k <= 6; ++k) {
      for (int64_t s = 1; s <= 5; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          const PadPair p = *same_padding_tf(n, k, s, d);
          const int64_t total = std::max<int64_t>(((n + s - 1) / s - 1) * s + d * (k - 1) + 1 - n, 0);
          EXPECT_EQ(p, (PadPair{total / 2, total - total / 2}));
          EXPECT_EQ(*output_size(n, Axis{k, s, d, p.begin, p.end}), (n + s - 1) / s);
          if (s == 1) {
            EXPECT_EQ(p, *same_padding(k, d));
          }
        }
      }
    }
  }
}

// ---- Pooling ------------------------------------------------------------------------------------------------------------------

TEST(PoolOutputSize, GoldenCeilMode) {
  // n, k, s, p -> ceil of the naive quotient, PyTorch 1.13.
  const std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t> golden[] = {
      {6, 1, 3, 0, 3, 2}, {5, 1, 3, 0, 3, 2}, {5, 2, 3, 1, 3, 2}, {3, 2, 2, 1, 3, 2}, {2, 2, 4, 1, 2, 1},
      {4, 1, 5, 0, 2, 1}, {7, 2, 3, 0, 3, 3}, {4, 2, 2, 1, 3, 3}, {5, 3, 4, 0, 2, 2},
  };
  for (const auto& [n, k, s, p, naive, torch] : golden) {
    EXPECT_EQ((n + 2 * p - k + s - 1) / s + 1, naive);
    EXPECT_EQ(*pool_output_size(n, axis(k, s, p), true), torch) << n << " " << k << " " << s << " " << p;
  }
}

TEST(PoolOutputSize, CeilModeCountsWindowsThatStartInTheInputOrItsFrontPadding) {
  for (int64_t n = 1; n <= 14; ++n) {
    for (int64_t k = 1; k <= 5; ++k) {
      for (int64_t s = 1; s <= 6; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          for (int64_t p = 0; p <= pool_padding_limit(k); ++p) {
            const Axis a = axis(k, s, p, d);
            const int64_t whole = counted(n, a);
            const Result<int64_t> floor = pool_output_size(n, a, false);
            ASSERT_TRUE(floor.ok());
            if (whole > 0) {
              EXPECT_EQ(*floor, whole);
            }
            if (whole == 0) {
              EXPECT_LT(*floor, 1);
            }
            // One more window if padded cells are left over, unless it would start behind the input.
            if (whole == 0) continue;
            const int64_t covered = (whole - 1) * s + d * (k - 1) + 1;
            const bool one_more = covered < n + 2 * p && whole * s - p < n;
            EXPECT_EQ(*pool_output_size(n, a, true), whole + (one_more ? 1 : 0))
                << n << " " << k << " " << s << " " << d << " " << p;
          }
        }
      }
    }
  }
}

TEST(PoolOutputSize, DivisionRoundsDown) {
  EXPECT_EQ(*pool_output_size(1, axis(3, 1), false), -1);
  EXPECT_EQ(*pool_output_size(1, axis(4, 2), false), -1);
  EXPECT_EQ(*pool_output_size(2, axis(3, 2), false), 0);
  EXPECT_EQ(*pool_output_size(2, axis(3, 2), true), 1);
  EXPECT_EQ(*pool_output_size(1, axis(8, 3), true), -1);
  EXPECT_EQ(*pool_output_size(0, axis(2, 2), false), 0);
}

// ---- Transposed ---------------------------------------------------------------------------------------------------------------

TEST(TransposedOutputSize, CountsTheCellsThatTheStampsTouch) {
  for (int64_t n = 1; n <= 6; ++n) {
    for (int64_t k = 1; k <= 4; ++k) {
      for (int64_t s = 1; s <= 4; ++s) {
        for (int64_t d = 1; d <= 3; ++d) {
          for (int64_t op = 0; op < std::max(s, d); ++op) {
            const int64_t touched = (n - 1) * s + d * (k - 1) + 1;
            EXPECT_EQ(*transposed_output_size(n, axis(k, s, 0, d), op), touched + op);
            EXPECT_EQ(*transposed_output_size(n, Axis{k, s, d, 1, 2}, op), touched + op - 3);
          }
        }
      }
    }
  }
}

TEST(TransposedOutputSize, OutputPaddingIsBelowStrideOrDilation) {
  EXPECT_EQ(*transposed_output_size(4, axis(3, 1, 0, 2), 1), 9) << "legal through the dilation";
  EXPECT_EQ(*transposed_output_size(4, axis(3, 1, 0, 3), 2), 12);
  const Result<int64_t> o = transposed_output_size(4, axis(3, 2), 2);
  EXPECT_EQ(code_of(o), ShapeErrorCode::kOutputPaddingTooLarge);
  EXPECT_EQ(o.error().limit, 1);
  EXPECT_EQ(code_of(transposed_output_size(4, axis(3), 1)), ShapeErrorCode::kOutputPaddingTooLarge);
  EXPECT_EQ(code_of(transposed_output_size(4, axis(3, 2), -1)), ShapeErrorCode::kNegativeOutputPadding);
  EXPECT_EQ(*transposed_output_size(1, axis(1, 1, 1), 0), -1) << "layers say what is too small";
  EXPECT_EQ(*transposed_output_size(6, axis(2, int64_t{1} << 31, 1), 0), int64_t{5} * (int64_t{1} << 31));
}

// ---- Extremes -----------------------------------------------------------------------------------------------------------------

TEST(Extremes, EveryArgumentTakesEveryEdgeWithoutOverflow) {
  const int64_t edges[] = {kMin, kMin + 1, -1, 0, 1, 2, 3, int64_t{1} << 31, int64_t{1} << 32, kMax / 2, kMax - 1, kMax};
  for (const int64_t n : edges) {
    for (const int64_t k : edges) {
      for (const int64_t s : edges) {
        for (const int64_t d : edges) {
          for (const int64_t pb : edges) {
            for (const int64_t pe : edges) {
              const Axis a{k, s, d, pb, pe};
              // The sums and products in 128 bits, where nothing can overflow.
              __extension__ using Wide = __int128;
              const bool positive = n >= 0 && k >= 1 && s >= 1 && d >= 1;
              const Wide span = Wide{d} * (Wide{k} - 1) + 1;
              const Wide room = Wide{n} + pb + pe - span;
              const Result<int64_t> conv = output_size(n, a);
              if (conv) {
                ASSERT_TRUE(positive && room >= 0);
                ASSERT_TRUE(room / s + 1 == *conv);
              } else if (positive && span <= kMax && Wide{n} + pb + pe <= kMax && Wide{pb} + pe >= kMin) {
                ASSERT_EQ(code_of(conv), ShapeErrorCode::kKernelTooLarge);
                ASSERT_TRUE(room < 0);
              }
              for (const bool ceil : {false, true}) {
                const Result<int64_t> pool = pool_output_size(n, a, ceil);
                ASSERT_TRUE(!pool.ok() || positive);
                if (pool && !ceil) {
                  ASSERT_TRUE((room >= 0 ? room / s : -((-room + s - 1) / s)) + 1 == *pool);
                }
                if (pool && ceil) {
                  const Wide up = room > 0 ? (room + s - 1) / s : -(-room / s);
                  ASSERT_TRUE(up + 1 - (up * s >= Wide{n} + pb ? 1 : 0) == *pool);
                }
              }
              for (const int64_t op : {kMin, int64_t{-1}, int64_t{0}, int64_t{1}, kMax}) {
                const Result<int64_t> transposed = transposed_output_size(n, a, op);
                if (transposed) {
                  ASSERT_TRUE(positive && op >= 0 && op < std::max(s, d));
                  ASSERT_TRUE((Wide{n} - 1) * s - pb - pe + span + op == *transposed);
                }
              }
              (void)same_padding(k, d);
              (void)same_padding_tf(n, k, s, d);
            }
          }
        }
      }
    }
  }
}

TEST(Extremes, KnownFailuresOfOthers) {
  EXPECT_EQ(*pool_output_size(24, axis(1, 1, 0, (int64_t{1} << 31) - 1), true), 24) << "kernel 1 ignores dilation";
  EXPECT_EQ(code_of(output_size(5, axis(2, 1, 0, kMax))), ShapeErrorCode::kOverflow);
  EXPECT_EQ(code_of(output_size(5, axis(3, 1, 0, kMax / 2 + 1))), ShapeErrorCode::kOverflow);
  EXPECT_EQ(code_of(pool_output_size(5, axis(kMax - 1, kMax, kMax - 1, 2), false)), ShapeErrorCode::kOverflow);
  EXPECT_EQ(code_of(output_size(3, axis(1, kMax, kMax - 1, 100))), ShapeErrorCode::kOverflow) << "2 p overflows";
  EXPECT_EQ(*output_size(kMax, Axis{1, 1, 1, 1, -1}), kMax) << "a crop may undo a padding";
  EXPECT_EQ(*pool_output_size(6, axis(2, kMax), true), 1) << "a huge stride leaves one window";
}

TEST(Checked, RemembersAnyOverflow) {
  EXPECT_TRUE((Checked(kMax) + 0).ok());
  EXPECT_FALSE((Checked(kMax) + 1).ok());
  EXPECT_FALSE((Checked(kMin) - 1).ok());
  EXPECT_FALSE((Checked(kMax) * 2 * 0).ok()) << "a later zero does not mend it";
  EXPECT_FALSE((Checked(kMin) * -1).ok());
  EXPECT_EQ((Checked(6) * 7 - 2).value(), 40);
}

TEST(Checked, DivisionsRoundAsTheySay) {
  for (int64_t a = -20; a <= 20; ++a) {
    for (int64_t b = 1; b <= 7; ++b) {
      int64_t floor = -30, ceil = 30;
      while ((floor + 1) * b <= a) ++floor;
      while ((ceil - 1) * b >= a) --ceil;
      EXPECT_EQ(floor_div(a, b), floor);
      EXPECT_EQ(ceil_div(a, b), ceil);
    }
  }
  EXPECT_EQ(floor_div(kMin, 1), kMin);
  EXPECT_EQ(ceil_div(kMax, 1), kMax);
  EXPECT_EQ(floor_div(kMin, kMax), -2);
  EXPECT_EQ(ceil_div(kMax, 2), kMax / 2 + 1);
}

TEST(Reason, EveryCodeHasWords) {
  for (int code = 0; code <= static_cast<int>(ShapeErrorCode::kMissingKernelSize); ++code) {
    EXPECT_NE(reason(static_cast<ShapeErrorCode>(code)), "?") << code;
  }
}

// Sizes are constants where their inputs are.
static_assert(*output_size(224, Axis{7, 2, 1, 3, 3}) == 112);
static_assert(*pool_output_size(6, Axis{1, 3, 1, 0, 0}, true) == 2);
static_assert(*transposed_output_size(2, Axis{3, 2, 1, 1, 1}, 1) == 4);
static_assert(*same_padding(4, 1) == PadPair{1, 2});

}  // namespace
}  // namespace convoy::shape
