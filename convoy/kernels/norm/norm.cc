#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/norm/norm.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/dispatch-inl.h"
#include "convoy/kernels/elementwise/loops-inl.h"
#include "convoy/kernels/narrow-inl.h"
#include "convoy/kernels/norm/norm_reference.h"
#include "convoy/kernels/reduce/sum-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace convoy::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// f(i, lanes' worth of values) over whole vectors of doubles, then g(i) for the rest.
template <class F, class G>
HWY_INLINE void ForDoubles(int64_t n, const F& f, const G& g) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<double>()));
  int64_t i = 0;
  for (; HWY_TARGET != HWY_SCALAR && i + lanes <= n; i += lanes) f(i);
  for (; i < n; ++i) g(i);
}

HWY_INLINE auto LoadDouble(const float* p) {
  const hn::ScalableTag<double> dd;
  return hn::PromoteTo(dd, hn::LoadU(hn::Rebind<float, decltype(dd)>(), p));
}

// n values that fit in the first-level cache: two passes cost one read of memory.
HWY_INLINE void OneRunMoments(const float* x, int64_t n, Moments& result) {
  const hn::ScalableTag<double> dd;
  result.count = static_cast<double>(n);
  result.sum = SumToDouble(x, n);
  const double mean = result.mean();
  const auto means = hn::Set(dd, mean);
  auto s0 = hn::Zero(dd), s1 = s0;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd));
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto d0 = hn::Sub(LoadDouble(x + i), means), d1 = hn::Sub(LoadDouble(x + i + lanes), means);
    s0 = hn::MulAdd(d0, d0, s0);
    s1 = hn::MulAdd(d1, d1, s1);
  }
  double total = hn::GetLane(hn::SumOfLanes(dd, hn::Add(s0, s1)));
  for (; i < n; ++i) {
    const double deviation = static_cast<double>(x[i]) - mean;
    total += deviation * deviation;
  }
  result.squares = total;
}

void RunMoments(const float* x, int64_t runs, int64_t n, int64_t step, Moments* results) {
  for (int64_t r = 0; r < runs; ++r) OneRunMoments(x + r * step, n, results[r]);
}

// The moments of `columns` neighbouring columns over `rows` rows, `step` values apart; `means` is scratch.
void ColumnMoments(const float* x, int64_t rows, int64_t step, int64_t columns, double* sums, double* squares, double* means) {
  const hn::ScalableTag<double> dd;
  std::fill(sums, sums + columns, 0.0);
  std::fill(squares, squares + columns, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * step;
    ForDoubles(
        columns, [&](int64_t i) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(dd, sums + i), LoadDouble(row + i)), dd, sums + i); },
        [&](int64_t i) HWY_ATTR { sums[i] += static_cast<double>(row[i]); });
  }
  for (int64_t i = 0; i < columns; ++i) means[i] = sums[i] / static_cast<double>(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * step;
    ForDoubles(
        columns,
        [&](int64_t i) HWY_ATTR {
          const auto deviation = hn::Sub(LoadDouble(row + i), hn::LoadU(dd, means + i));
          hn::StoreU(hn::MulAdd(deviation, deviation, hn::LoadU(dd, squares + i)), dd, squares + i);
        },
        [&](int64_t i) HWY_ATTR {
          const double deviation = static_cast<double>(row[i]) - means[i];
          squares[i] += deviation * deviation;
        });
  }
}

// The sums of the gradient and of gradient * (x - mean) of neighbouring columns.
void ColumnGradSums(const float* grad, const float* x, int64_t rows, int64_t step, int64_t columns, const double* means,
                    double* grad_sum, double* product_sum) {
  const hn::ScalableTag<double> dd;
  std::fill(grad_sum, grad_sum + columns, 0.0);
  std::fill(product_sum, product_sum + columns, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const float *g_row = grad + r * step, *x_row = x + r * step;
    ForDoubles(
        columns,
        [&](int64_t i) HWY_ATTR {
          const auto g = LoadDouble(g_row + i), deviation = hn::Sub(LoadDouble(x_row + i), hn::LoadU(dd, means + i));
          hn::StoreU(hn::Add(hn::LoadU(dd, grad_sum + i), g), dd, grad_sum + i);
          hn::StoreU(hn::MulAdd(g, deviation, hn::LoadU(dd, product_sum + i)), dd, product_sum + i);
        },
        [&](int64_t i) HWY_ATTR {
          grad_sum[i] += static_cast<double>(g_row[i]);
          product_sum[i] += static_cast<double>(g_row[i]) * (static_cast<double>(x_row[i]) - means[i]);
        });
  }
}

HWY_INLINE void NormalizeRun(const float* x, int64_t n, float center, float scale, float shift, float low, float high, float* y) {
  Map(
      [=](auto d, auto v) HWY_ATTR {
        const auto z = hn::MulAdd(hn::Sub(v, hn::Set(d, center)), hn::Set(d, scale), hn::Set(d, shift));
        const auto lowest = hn::Set(d, low), highest = hn::Set(d, high);
        const auto raised = hn::IfThenElse(hn::Lt(z, lowest), lowest, z);  // a NaN stays
        return hn::IfThenElse(hn::Gt(raised, highest), highest, raised);
      },
      x, y, n);
}

void NormalizePlanes(const float* x, int64_t planes, int64_t length, const float* center, const float* scale, const float* shift,
                     float low, float high, float* y) {
  for (int64_t p = 0; p < planes; ++p) {
    NormalizeRun(x + p * length, length, center[p], scale[p], shift[p], low, high, y + p * length);
  }
}

// One value per coefficient: planes of length 1.
void NormalizeEach(const float* x, int64_t n, const float* center, const float* scale, const float* shift, float* y) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t m = std::min(lanes, n - i);
    const auto load = [&](const float* p) HWY_ATTR { return m == lanes ? hn::LoadU(d, p + i) : LoadPart(d, p + i, m); };
    const auto v = hn::MulAdd(hn::Sub(load(x), load(center)), load(scale), load(shift));
    m == lanes ? hn::StoreU(v, d, y + i) : StorePart(v, d, y + i, m);
  }
}

// The sums of v(d, i), a vector of floats or its one value at i, and of v * (x - mean). Four vectors in float at a time, as
// SumByFours does: `center` is the mean in float, which leaves deviations as they are, and the rest of it comes back at the end.
template <class V>
HWY_INLINE void SumOfProducts(const V& v, const float* x, int64_t n, double mean, GradSums& result) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const float center = static_cast<float>(mean);
  DoubleSum sums = DoubleSum::Empty(), products = sums;
  int64_t i = 0;
  const auto one = [&](int64_t at, auto& sum, auto& product) HWY_ATTR {
    const auto value = v(d, at);
    sum = hn::Add(sum, value);
    product = hn::MulAdd(value, hn::Sub(hn::LoadU(d, x + at), hn::Set(d, center)), product);
  };
  for (; i + lanes <= n;) {
    auto sum = hn::Zero(d), product = sum;
    for (int k = 0; k < 4 && i + lanes <= n; ++k, i += lanes) one(i, sum, product);
    sums.Add(sum);
    products.Add(product);
  }
  double total = n < lanes ? 0 : sums.Total(), product = n < lanes ? 0 : products.Total();
  for (const hn::CappedTag<float, 1> first; i < n; ++i) {
    const double value = static_cast<double>(hn::GetLane(v(first, i)));
    total += value;
    product += value * (static_cast<double>(x[i]) - static_cast<double>(center));
  }
  result = {total, product + (static_cast<double>(center) - mean) * total};
}

void SumRuns(const float* grad, const float* x, int64_t runs, int64_t n, int64_t step, const double* mean, GradSums* sums) {
  for (int64_t r = 0; r < runs; ++r, grad += step, x += step) {
    SumOfProducts([&](auto d, int64_t i) HWY_ATTR { return hn::LoadU(d, grad + i); }, x, n, mean[r], sums[r]);
  }
}

// One run of grad * a + (x - center) * b + c. Over a few values the terms cancel almost completely: those take doubles.
constexpr int64_t kFewValues = 16;

HWY_INLINE void GradRun(const float* grad, const float* x, int64_t n, double center, double a, double b, double c,
                        float* grad_input) {
  if (n < kFewValues) {
    for (int64_t i = 0; i < n; ++i) {
      grad_input[i] =
          static_cast<float>(std::fma(static_cast<double>(grad[i]), a, std::fma(static_cast<double>(x[i]) - center, b, c)));
    }
    return;
  }
  const float middle = static_cast<float>(center), fa = static_cast<float>(a), fb = static_cast<float>(b);
  const float fc = static_cast<float>(c + (static_cast<double>(middle) - center) * b);
  Map(
      [=](auto d, auto g, auto v) HWY_ATTR {
        return hn::MulAdd(g, hn::Set(d, fa), hn::MulAdd(hn::Sub(v, hn::Set(d, middle)), hn::Set(d, fb), hn::Set(d, fc)));
      },
      grad, x, grad_input, n);
}

void GradPlanes(const float* grad, const float* x, int64_t planes, int64_t length, const double* center, const double* a,
                const double* b, const double* c, float* grad_input) {
  for (int64_t p = 0; p < planes; ++p) {
    GradRun(grad + p * length, x + p * length, length, center[p], a[p], b[p], c[p], grad_input + p * length);
  }
}

void GradEach(const float* grad, const float* x, int64_t n, const double* center, const double* a, const double* b, const double* c,
              float* grad_input) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  ForDoubles(
      n,
      [&](int64_t i) HWY_ATTR {
        const auto rest =
            hn::MulAdd(hn::Sub(LoadDouble(x + i), hn::LoadU(dd, center + i)), hn::LoadU(dd, b + i), hn::LoadU(dd, c + i));
        hn::StoreU(Narrow(df, hn::MulAdd(LoadDouble(grad + i), hn::LoadU(dd, a + i), rest)), df, grad_input + i);
      },
      [&](int64_t i) HWY_ATTR {
        grad_input[i] = static_cast<float>(
            std::fma(static_cast<double>(grad[i]), a[i], std::fma(static_cast<double>(x[i]) - center[i], b[i], c[i])));
      });
}

#if HWY_TARGET == HWY_SCALAR
void NormalizeRow(const float* x, int64_t n, float center, float scale, float shift, const float* weight, const float* bias,
                  float* y) {
  reference::normalize_row(x, n, center, scale, shift, weight, bias, y);
}
#else
void NormalizeRow(const float* x, int64_t n, float center, float scale, float shift, const float* weight, const float* bias,
                  float* y) {
  const auto normalized = [=](auto d, auto v)
                              HWY_ATTR { return hn::MulAdd(hn::Sub(v, hn::Set(d, center)), hn::Set(d, scale), hn::Set(d, shift)); };
  if (weight == nullptr) {
    Map(normalized, x, y, n);
  } else if (bias == nullptr) {
    Map([=](auto d, auto v, auto w) HWY_ATTR { return hn::Mul(normalized(d, v), w); }, x, weight, y, n);
  } else {
    const hn::ScalableTag<float> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      hn::StoreU(hn::MulAdd(normalized(d, hn::LoadU(d, x + i)), hn::LoadU(d, weight + i), hn::LoadU(d, bias + i)), d, y + i);
    }
    if (i < n) {
      const auto part = [&](const float* p) HWY_ATTR { return LoadPart(d, p + i, n - i); };
      StorePart(hn::MulAdd(normalized(d, part(x)), part(weight), part(bias)), d, y + i, n - i);
    }
    return;
  }
  if (weight == nullptr && bias != nullptr) Map([](auto, auto u, auto v) HWY_ATTR { return hn::Add(u, v); }, y, bias, y, n);
}
#endif

void GradRow(const float* grad, const float* x, int64_t n, double mean, double inv_std, const float* weight, float* grad_input) {
  GradSums sums;
  const float* v = grad;
  if (weight == nullptr) {
    SumRuns(grad, x, 1, n, 0, &mean, &sums);
  } else {
    v = grad_input;  // keeps grad * weight for the second pass
    const auto weighted = [&](auto d, int64_t i) HWY_ATTR {
      const auto product = hn::Mul(hn::LoadU(d, grad + i), hn::LoadU(d, weight + i));
      hn::StoreU(product, d, grad_input + i);
      return product;
    };
    SumOfProducts(weighted, x, n, mean, sums);
  }
  const double count = static_cast<double>(n), slope = sums.product * inv_std * inv_std / count;
  GradRun(v, x, n, mean, inv_std, -slope * inv_std, -sums.grad / count * inv_std, grad_input);
}

// Four rows at a time in float, as SumByFours.
void AddRows(const float* grad, const float* x, int64_t rows, int64_t step, int64_t n, const double* mean, const double* inv_std,
             double* grad_sum, double* product_sum) {
  const hn::ScalableTag<float> d;
  const hn::ScalableTag<double> dd;
  constexpr int64_t kRows = 4;
  const auto add = [&](double* to, auto v) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(dd, to), hn::PromoteTo(dd, v)), dd, to); };
  const auto add_both = [&](double* to, hn::Vec<decltype(d)> v) HWY_ATTR {
#if HWY_TARGET == HWY_SCALAR
    add(to, v);
#else
    const hn::Half<decltype(d)> half;
    add(to, hn::LowerHalf(half, v));
    add(to + hn::Lanes(dd), hn::UpperHalf(half, v));
#endif
  };
  for (int64_t row = 0; row < rows; row += kRows, grad += kRows * step, x += kRows * step) {
    const int64_t count = std::min(kRows, rows - row);
    float center[kRows], scale[kRows], shift[kRows];
    for (int64_t r = 0; r < count; ++r) {
      center[r] = static_cast<float>(mean[row + r]);
      scale[r] = static_cast<float>(inv_std[row + r]);
      shift[r] = static_cast<float>((static_cast<double>(center[r]) - mean[row + r]) * inv_std[row + r]);
    }
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      auto sum = hn::Zero(d), product = sum;
      for (int64_t r = 0; r < count; ++r) {
        const auto g = hn::LoadU(d, grad + r * step + i),
                   deviation = hn::Sub(hn::LoadU(d, x + r * step + i), hn::Set(d, center[r]));
        sum = hn::Add(sum, g);
        product = hn::MulAdd(g, hn::MulAdd(deviation, hn::Set(d, scale[r]), hn::Set(d, shift[r])), product);
      }
      add_both(grad_sum + i, sum);
      add_both(product_sum + i, product);
    }
    for (; i < n; ++i) {
      for (int64_t r = 0; r < count; ++r) {
        const double g = static_cast<double>(grad[r * step + i]);
        grad_sum[i] += g;
        product_sum[i] += g * ((static_cast<double>(x[r * step + i]) - mean[row + r]) * inv_std[row + r]);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

CONVOY_EXPORT(RunMoments);
CONVOY_EXPORT(ColumnMoments);
CONVOY_EXPORT(ColumnGradSums);
CONVOY_EXPORT(NormalizePlanes);
CONVOY_EXPORT(NormalizeEach);
CONVOY_EXPORT(SumRuns);
CONVOY_EXPORT(GradPlanes);
CONVOY_EXPORT(GradEach);
CONVOY_EXPORT(NormalizeRow);
CONVOY_EXPORT(GradRow);
CONVOY_EXPORT(AddRows);

namespace {

constexpr int64_t kRun = 4096;     // values whose two passes stay in the first-level cache
constexpr int64_t kPart = 32768;   // values per part of a group, a multiple of kRun
constexpr int64_t kGrain = 16384;  // values per task
constexpr int64_t kColumns = 256;  // columns per task, with their sums in the first-level cache

int64_t per_task(int64_t values) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, values)); }

void run_moments(const float* x, int64_t runs, int64_t n, int64_t step, Moments* results) {
  CONVOY_DISPATCH(RunMoments)(x, runs, n, step, results);
}
void run_moments(const double* x, int64_t runs, int64_t n, int64_t step, Moments* results) {
  for (int64_t r = 0; r < runs; ++r) {
    results[r].count = static_cast<double>(n);
    reference::moments(x + r * step, n, results[r].sum, results[r].squares);
  }
}

void run_grad_sums(const float* grad, const float* x, int64_t runs, int64_t n, int64_t step, const double* mean, GradSums* sums) {
  CONVOY_DISPATCH(SumRuns)(grad, x, runs, n, step, mean, sums);
}
void run_grad_sums(const double* grad, const double* x, int64_t runs, int64_t n, int64_t step, const double* mean, GradSums* sums) {
  for (int64_t r = 0; r < runs; ++r) {
    reference::sums(grad + r * step, x + r * step, n, mean[r], sums[r].grad, sums[r].product);
  }
}

// A part is a range of segments; a segment is a piece of a run of at most kPart values.
struct Parts {
  int64_t per_plane, segments, per_part, count;

  explicit Parts(const NormGroups& layout) {
    per_plane = (layout.length + kPart - 1) / kPart;
    segments = layout.planes * per_plane;
    // Groups that are neighbouring columns share rows, so their parts are short.
    per_part = columns(layout) ? kRun / 4 : std::max<int64_t>(1, kPart / std::max<int64_t>(1, layout.length));
    count = std::max<int64_t>(1, (segments + per_part - 1) / per_part);
  }

  static bool columns(const NormGroups& layout) { return layout.length == 1 && layout.group_step == 1 && layout.planes > 1; }
  static bool one_run(const NormGroups& layout) { return layout.planes == 1 && layout.length <= kRun; }
};

// part(group, first segment, last segment) gives a Result, add joins them.
template <class Result, class Part, class Add>
void sum_parts(const NormGroups& layout, const Parts& parts, Result* partial, Result* result, const Part& part, const Add& add) {
  const int64_t part_values = std::min(layout.length, kPart) * std::min(parts.per_part, parts.segments);
  parallel_ranges(layout.groups * parts.count, per_task(part_values), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = unit % parts.count * parts.per_part;
      partial[unit] = part(unit / parts.count, first, std::min(first + parts.per_part, parts.segments));
    }
  });
  add_parts(layout, parts, partial, result, add);
}

template <class Result, class Add>
void add_parts(const NormGroups& layout, const Parts& parts, const Result* partial, Result* result, const Add& add) {
  parallel_ranges(layout.groups, per_task(parts.count), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      Result sum;
      for (int64_t part = 0; part < parts.count; ++part) add(sum, partial[g * parts.count + part]);
      result[g] = sum;
    }
  });
}

// Calls f(offset into the group, count) for runs of at most kRun values that cover the segments.
template <class F>
void for_each_run(const NormGroups& layout, const Parts& parts, int64_t first, int64_t last, const F& f) {
  for (int64_t segment = first; segment < last; ++segment) {
    const int64_t from = segment % parts.per_plane * kPart, to = std::min(from + kPart, layout.length);
    const int64_t plane = segment / parts.per_plane * layout.plane_step;
    for (int64_t i = from; i < to; i += kRun) f(plane + i, std::min(kRun, to - i));
  }
}

// Calls f(first column, columns, part, first row, rows) for tiles of neighbouring columns.
template <class F>
void for_each_tile(const NormGroups& layout, const Parts& parts, const F& f) {
  const int64_t tiles = (layout.groups + kColumns - 1) / kColumns;
  parallel_for(tiles * parts.count, [&](int64_t unit) {
    const int64_t part = unit / tiles, column = unit % tiles * kColumns, row = part * parts.per_part;
    f(column, std::min(kColumns, layout.groups - column), part, row, std::min(parts.per_part, layout.planes - row));
  });
}

// Calls f(first plane, planes, period index of the first) for runs of planes that do not cross a period.
template <class F>
void for_each_plane_run(const NormPlanes& layout, const F& f) {
  if (layout.planes == 0 || layout.length == 0) return;
  parallel_ranges(layout.planes, per_task(layout.length), [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t at = begin % layout.period, count = std::min(end - begin, layout.period - at);
      f(begin, count, at);
      begin += count;
    }
  });
}

}  // namespace

int64_t moments_parts(const NormGroups& layout) noexcept { return Parts(layout).count; }

template <class T>
void moments(const NormGroups& layout, const T* input, Moments* partial, Moments* result) noexcept {
  const Parts parts(layout);
  const auto add = [](Moments& sum, const Moments& part) { sum.add(part); };
  if constexpr (std::is_same_v<T, float>) {
    if (Parts::columns(layout)) {
      for_each_tile(layout, parts, [&](int64_t column, int64_t columns, int64_t part, int64_t row, int64_t rows) {
        double sums[kColumns], squares[kColumns], means[kColumns];
        CONVOY_DISPATCH(ColumnMoments)
        (input + row * layout.plane_step + column, rows, layout.plane_step, columns, sums, squares, means);
        for (int64_t c = 0; c < columns; ++c) {
          partial[(column + c) * parts.count + part] = {static_cast<double>(rows), sums[c], squares[c]};
        }
      });
      return add_parts(layout, parts, partial, result, add);
    }
  }
  if (Parts::one_run(layout)) {
    return parallel_ranges(layout.groups, per_task(layout.length), [&](int64_t begin, int64_t end) {
      run_moments(input + begin * layout.group_step, end - begin, layout.length, layout.group_step, result + begin);
    });
  }
  sum_parts(
      layout, parts, partial, result,
      [&](int64_t group, int64_t first, int64_t last) {
        Moments sum, run;
        for_each_run(layout, parts, first, last, [&](int64_t at, int64_t n) {
          run_moments(input + group * layout.group_step + at, 1, n, 0, &run);
          sum.add(run);
        });
        return sum;
      },
      add);
}

template <class T>
void grad_sums(const NormGroups& layout, const T* grad, const T* input, const double* mean, GradSums* partial,
               GradSums* result) noexcept {
  const Parts parts(layout);
  const auto add = [](GradSums& sum, const GradSums& part) {
    sum.grad += part.grad;
    sum.product += part.product;
  };
  if constexpr (std::is_same_v<T, float>) {
    if (Parts::columns(layout)) {
      for_each_tile(layout, parts, [&](int64_t column, int64_t columns, int64_t part, int64_t row, int64_t rows) {
        double grads[kColumns], products[kColumns];
        const int64_t at = row * layout.plane_step + column;
        CONVOY_DISPATCH(ColumnGradSums)
        (grad + at, input + at, rows, layout.plane_step, columns, mean + column, grads, products);
        for (int64_t c = 0; c < columns; ++c) partial[(column + c) * parts.count + part] = {grads[c], products[c]};
      });
      return add_parts(layout, parts, partial, result, add);
    }
  }
  if (Parts::one_run(layout)) {
    return parallel_ranges(layout.groups, per_task(layout.length), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * layout.group_step;
      run_grad_sums(grad + at, input + at, end - begin, layout.length, layout.group_step, mean + begin, result + begin);
    });
  }
  sum_parts(
      layout, parts, partial, result,
      [&](int64_t group, int64_t first, int64_t last) {
        GradSums sums, run;
        for_each_run(layout, parts, first, last, [&](int64_t at, int64_t n) {
          at += group * layout.group_step;
          run_grad_sums(grad + at, input + at, 1, n, 0, mean + group, &run);
          add(sums, run);
        });
        return sums;
      },
      add);
}

// A NaN stays.
template <class T>
void clamp_values(T* values, int64_t count, T low, T high) {
  for (int64_t i = 0; i < count; ++i) values[i] = values[i] < low ? low : values[i] > high ? high : values[i];
}

template <class T>
void normalize_planes(const NormPlanes& layout, const T* input, const T* center, const T* scale, const T* shift, T* output, T low,
                      T high) noexcept {
  for_each_plane_run(layout, [&](int64_t plane, int64_t count, int64_t at) {
    const T* x = input + plane * layout.length;
    T* y = output + plane * layout.length;
    if constexpr (std::is_same_v<T, float>) {
      if (layout.length == 1) {
        CONVOY_DISPATCH(NormalizeEach)(x, count, center + at, scale + at, shift + at, y);
        return clamp_values(y, count, low, high);
      }
      CONVOY_DISPATCH(NormalizePlanes)(x, count, layout.length, center + at, scale + at, shift + at, low, high, y);
    } else {
      for (int64_t p = 0; p < count; ++p, x += layout.length, y += layout.length) {
        reference::normalize(x, layout.length, center[at + p], scale[at + p], shift[at + p], y);
        clamp_values(y, layout.length, low, high);
      }
    }
  });
}

template <class T>
void grad_planes(const NormPlanes& layout, const T* grad, const T* input, const double* center, const double* a, const double* b,
                 const double* c, T* grad_input) noexcept {
  for_each_plane_run(layout, [&](int64_t plane, int64_t count, int64_t at) {
    if constexpr (std::is_same_v<T, float>) {
      if (layout.length == 1) {
        return CONVOY_DISPATCH(GradEach)(grad + plane, input + plane, count, center + at, a + at, b + at, c + at,
                                         grad_input + plane);
      }
    }
    const T *g = grad + plane * layout.length, *x = input + plane * layout.length;
    T* out = grad_input + plane * layout.length;
    if constexpr (std::is_same_v<T, float>) {
      CONVOY_DISPATCH(GradPlanes)(g, x, count, layout.length, center + at, a + at, b + at, c + at, out);
    } else {
      for (int64_t p = 0; p < count; ++p, g += layout.length, x += layout.length, out += layout.length) {
        reference::grad_plane(g, x, layout.length, center[at + p], a[at + p], b[at + p], c[at + p], out);
      }
    }
  });
}

template <class T>
void normalize_rows(int64_t rows, int64_t length, const T* input, const T* center, const T* scale, const T* shift, const T* weight,
                    const T* bias, T* output) noexcept {
  parallel_ranges(rows, per_task(length), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = input + r * length;
      T* y = output + r * length;
      if constexpr (std::is_same_v<T, float>) {
        CONVOY_DISPATCH(NormalizeRow)(x, length, center[r], scale[r], shift[r], weight, bias, y);
      } else {
        reference::normalize_row(x, length, center[r], scale[r], shift[r], weight, bias, y);
      }
    }
  });
}

template <class T>
void grad_rows(int64_t rows, int64_t length, const T* grad, const T* input, const double* mean, const double* inv_std,
               const T* weight, T* grad_input) noexcept {
  parallel_ranges(rows, per_task(length), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T *g = grad + r * length, *x = input + r * length;
      if constexpr (std::is_same_v<T, float>) {
        CONVOY_DISPATCH(GradRow)(g, x, length, mean[r], inv_std[r], weight, grad_input + r * length);
      } else {
        reference::grad_row(g, x, length, mean[r], inv_std[r], weight, grad_input + r * length);
      }
    }
  });
}

template <class T>
void column_sums(int64_t rows, int64_t length, int64_t block_rows, const T* grad, const T* input, const double* mean,
                 const double* inv_std, double* grad_sum, double* product_sum) noexcept {
  const int64_t blocks = (rows + block_rows - 1) / std::max<int64_t>(1, block_rows), tiles = (length + kColumns - 1) / kColumns;
  parallel_for(blocks * tiles, [&](int64_t unit) {
    const int64_t block = unit / tiles, from = unit % tiles * kColumns, count = std::min(kColumns, length - from);
    double* g_sum = grad_sum + block * length + from;
    double* p_sum = product_sum + block * length + from;
    std::fill(g_sum, g_sum + count, 0.0);
    std::fill(p_sum, p_sum + count, 0.0);
    const int64_t first = block * block_rows, last = std::min(rows, first + block_rows);
    const T *g = grad + first * length + from, *x = input + first * length + from;
    if constexpr (std::is_same_v<T, float>) {
      CONVOY_DISPATCH(AddRows)(g, x, last - first, length, count, mean + first, inv_std + first, g_sum, p_sum);
    } else {
      for (int64_t r = first; r < last; ++r, g += length, x += length) {
        reference::add_row(g, x, count, mean[r], inv_std[r], g_sum, p_sum);
      }
    }
  });
}

#define CONVOY_FOR_TYPE(T)                                                                                                     \
  template void moments(const NormGroups&, const T*, Moments*, Moments*) noexcept;                                             \
  template void grad_sums(const NormGroups&, const T*, const T*, const double*, GradSums*, GradSums*) noexcept;                \
  template void normalize_planes(const NormPlanes&, const T*, const T*, const T*, const T*, T*, T, T) noexcept;                \
  template void grad_planes(const NormPlanes&, const T*, const T*, const double*, const double*, const double*, const double*, \
                            T*) noexcept;                                                                                      \
  template void normalize_rows(int64_t, int64_t, const T*, const T*, const T*, const T*, const T*, const T*, T*) noexcept;     \
  template void grad_rows(int64_t, int64_t, const T*, const T*, const double*, const double*, const T*, T*) noexcept;          \
  template void column_sums(int64_t, int64_t, int64_t, const T*, const T*, const double*, const double*, double*, double*) noexcept;
CONVOY_FOR_TYPE(float)
CONVOY_FOR_TYPE(double)
#undef CONVOY_FOR_TYPE

}  // namespace convoy::kernels
#endif  // HWY_ONCE
