#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convoy/kernels/norm/norm.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep

#include "convoy/kernels/norm/norm.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "convoy/core/parallel.h"
#include "convoy/kernels/elementwise/loops-inl.h"
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
  for (; i + lanes <= n; i += lanes) f(i);
  for (; i < n; ++i) g(i);
}

HWY_INLINE auto LoadDouble(const float* p) {
  const hn::ScalableTag<double> dd;
  return hn::PromoteTo(dd, hn::LoadU(hn::Rebind<float, decltype(dd)>(), p));
}

// n values that fit in the first-level cache: two passes cost one read of memory.
void RunMoments(const float* x, int64_t n, double* sum, double* squares) {
  const hn::ScalableTag<double> dd;
  *sum = SumToDouble(x, n);
  const double mean = *sum / static_cast<double>(n);
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
  *squares = total;
}

// The moments of `columns` neighbouring columns over `rows` rows, `step` values apart.
void ColumnMoments(const float* x, int64_t rows, int64_t step, int64_t columns, double* sums, double* squares) {
  const hn::ScalableTag<double> dd;
  const double count = static_cast<double>(rows);
  std::fill(sums, sums + columns, 0.0);
  std::fill(squares, squares + columns, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * step;
    ForDoubles(
        columns, [&](int64_t i) HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(dd, sums + i), LoadDouble(row + i)), dd, sums + i); },
        [&](int64_t i) HWY_ATTR { sums[i] += static_cast<double>(row[i]); });
  }
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * step;
    ForDoubles(
        columns,
        [&](int64_t i) HWY_ATTR {
          const auto deviation = hn::Sub(LoadDouble(row + i), hn::Div(hn::LoadU(dd, sums + i), hn::Set(dd, count)));
          hn::StoreU(hn::MulAdd(deviation, deviation, hn::LoadU(dd, squares + i)), dd, squares + i);
        },
        [&](int64_t i) HWY_ATTR {
          const double deviation = static_cast<double>(row[i]) - sums[i] / count;
          squares[i] += deviation * deviation;
        });
  }
}

void NormalizeRun(const float* x, int64_t n, float center, float scale, float shift, float* y) {
  Map([=](auto d, auto v) HWY_ATTR { return hn::MulAdd(hn::Sub(v, hn::Set(d, center)), hn::Set(d, scale), hn::Set(d, shift)); }, x,
      y, n);
}

// One value per coefficient: planes of length 1.
void NormalizeEach(const float* x, int64_t n, const float* center, const float* scale, const float* shift, float* y) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t m = std::min(lanes, n - i);
    if (m == lanes) {
      hn::StoreU(
          hn::MulAdd(hn::Sub(hn::LoadU(d, x + i), hn::LoadU(d, center + i)), hn::LoadU(d, scale + i), hn::LoadU(d, shift + i)), d,
          y + i);
    } else {
      StorePart(hn::MulAdd(hn::Sub(LoadPart(d, x + i, m), LoadPart(d, center + i, m)), LoadPart(d, scale + i, m),
                           LoadPart(d, shift + i, m)),
                d, y + i, m);
    }
  }
}

void SumRun(const float* grad, const float* x, int64_t n, double mean, double* grad_sum, double* product_sum) {
  const hn::ScalableTag<double> dd;
  const auto means = hn::Set(dd, mean);
  auto g0 = hn::Zero(dd), g1 = g0, p0 = g0, p1 = g0;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(dd));
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = LoadDouble(grad + i), b = LoadDouble(grad + i + lanes);
    g0 = hn::Add(g0, a);
    g1 = hn::Add(g1, b);
    p0 = hn::MulAdd(a, hn::Sub(LoadDouble(x + i), means), p0);
    p1 = hn::MulAdd(b, hn::Sub(LoadDouble(x + i + lanes), means), p1);
  }
  double g = hn::GetLane(hn::SumOfLanes(dd, hn::Add(g0, g1))), p = hn::GetLane(hn::SumOfLanes(dd, hn::Add(p0, p1)));
  for (; i < n; ++i) {
    g += static_cast<double>(grad[i]);
    p += static_cast<double>(grad[i]) * (static_cast<double>(x[i]) - mean);
  }
  *grad_sum = g;
  *product_sum = p;
}

void GradRun(const float* grad, const float* x, int64_t n, double center, double a, double b, double c, float* grad_input) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> df;
  const auto centers = hn::Set(dd, center), as = hn::Set(dd, a), bs = hn::Set(dd, b), cs = hn::Set(dd, c);
  ForDoubles(
      n,
      [&](int64_t i) HWY_ATTR {
        const auto sum = hn::MulAdd(LoadDouble(grad + i), as, hn::MulAdd(hn::Sub(LoadDouble(x + i), centers), bs, cs));
        hn::StoreU(hn::DemoteTo(df, sum), df, grad_input + i);
      },
      [&](int64_t i) HWY_ATTR {
        grad_input[i] =
            static_cast<float>(std::fma(static_cast<double>(grad[i]), a, std::fma(static_cast<double>(x[i]) - center, b, c)));
      });
}

void NormalizeRow(const float* x, int64_t n, float center, float scale, float shift, const float* weight, const float* bias,
                  float* y) {
  NormalizeRun(x, n, center, scale, shift, y);
  if (weight != nullptr && bias != nullptr) {
    const hn::ScalableTag<float> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      hn::StoreU(hn::MulAdd(hn::LoadU(d, y + i), hn::LoadU(d, weight + i), hn::LoadU(d, bias + i)), d, y + i);
    }
    if (i < n) {
      StorePart(hn::MulAdd(LoadPart(d, y + i, n - i), LoadPart(d, weight + i, n - i), LoadPart(d, bias + i, n - i)), d, y + i,
                n - i);
    }
  } else if (weight != nullptr) {
    Map([](auto, auto u, auto v) HWY_ATTR { return hn::Mul(u, v); }, y, weight, y, n);
  } else if (bias != nullptr) {
    Map([](auto, auto u, auto v) HWY_ATTR { return hn::Add(u, v); }, y, bias, y, n);
  }
}

void GradRow(const float* grad, const float* x, int64_t n, double mean, double inv_std, const float* weight, float* grad_input) {
  // v = grad * weight is kept in grad_input between the two passes.
  const float* v = grad;
  if (weight != nullptr) {
    Map([](auto, auto g, auto w) HWY_ATTR { return hn::Mul(g, w); }, grad, weight, grad_input, n);
    v = grad_input;
  }
  double v_sum = 0, product_sum = 0;
  SumRun(v, x, n, mean, &v_sum, &product_sum);
  const double count = static_cast<double>(n), slope = product_sum * inv_std * inv_std / count;
  GradRun(v, x, n, mean, inv_std, -slope * inv_std, -v_sum / count * inv_std, grad_input);
}

void AddRow(const float* grad, const float* x, int64_t n, double mean, double inv_std, double* grad_sum, double* product_sum) {
  const hn::ScalableTag<double> dd;
  const auto means = hn::Set(dd, mean), scale = hn::Set(dd, inv_std);
  ForDoubles(
      n,
      [&](int64_t i) HWY_ATTR {
        const auto g = LoadDouble(grad + i);
        hn::StoreU(hn::Add(hn::LoadU(dd, grad_sum + i), g), dd, grad_sum + i);
        const auto u = hn::Mul(hn::Sub(LoadDouble(x + i), means), scale);
        hn::StoreU(hn::MulAdd(g, u, hn::LoadU(dd, product_sum + i)), dd, product_sum + i);
      },
      [&](int64_t i) HWY_ATTR {
        grad_sum[i] += static_cast<double>(grad[i]);
        product_sum[i] += static_cast<double>(grad[i]) * ((static_cast<double>(x[i]) - mean) * inv_std);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace convoy::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace convoy::kernels {

HWY_EXPORT(RunMoments);
HWY_EXPORT(ColumnMoments);
HWY_EXPORT(NormalizeRun);
HWY_EXPORT(NormalizeEach);
HWY_EXPORT(SumRun);
HWY_EXPORT(GradRun);
HWY_EXPORT(NormalizeRow);
HWY_EXPORT(GradRow);
HWY_EXPORT(AddRow);

namespace {

constexpr int64_t kRun = 4096;     // values whose two passes stay in the first-level cache
constexpr int64_t kPart = 32768;   // values per part of a group, a multiple of kRun
constexpr int64_t kGrain = 16384;  // values per task
constexpr int64_t kColumns = 256;  // columns per task, with their sums in the first-level cache

int64_t per_task(int64_t values) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, values)); }

Moments run_moments(const float* x, int64_t n) {
  Moments m;
  m.count = static_cast<double>(n);
  HWY_DYNAMIC_DISPATCH(RunMoments)(x, n, &m.sum, &m.squares);
  return m;
}
Moments run_moments(const double* x, int64_t n) {
  Moments m;
  m.count = static_cast<double>(n);
  reference::moments(x, n, m.sum, m.squares);
  return m;
}

// A part is a range of segments; a segment is a piece of a run of at most kPart values.
struct Parts {
  int64_t per_plane, segments, per_part, count;

  explicit Parts(const NormGroups& layout) {
    per_plane = (layout.length + kPart - 1) / kPart;
    segments = layout.planes * per_plane;
    per_part = std::max<int64_t>(1, kPart / std::max<int64_t>(1, layout.length));
    count = std::max<int64_t>(1, (segments + per_part - 1) / per_part);
  }
};

template <class T>
void group_moments(const NormGroups& layout, const T* input, Moments* partial, Moments* result) {
  const Parts parts(layout);
  const int64_t part_values = std::min(layout.length, kPart) * std::min(parts.per_part, parts.segments);
  parallel_ranges(layout.groups * parts.count, per_task(part_values), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t first = unit % parts.count * parts.per_part, last = std::min(first + parts.per_part, parts.segments);
      const T* group = input + unit / parts.count * layout.group_step;
      Moments sum;
      for (int64_t segment = first; segment < last; ++segment) {
        const int64_t from = segment % parts.per_plane * kPart, to = std::min(from + kPart, layout.length);
        const T* plane = group + segment / parts.per_plane * layout.plane_step;
        for (int64_t i = from; i < to; i += kRun) sum.add(run_moments(plane + i, std::min(kRun, to - i)));
      }
      partial[unit] = sum;
    }
  });
  parallel_ranges(layout.groups, per_task(parts.count), [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      Moments sum;
      for (int64_t part = 0; part < parts.count; ++part) sum.add(partial[g * parts.count + part]);
      result[g] = sum;
    }
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

void moments(const NormGroups& layout, const float* input, Moments* partial, Moments* result) noexcept {
  if (layout.length != 1 || layout.group_step != 1) return group_moments(layout, input, partial, result);
  // Groups are neighbouring columns.
  parallel_ranges(layout.groups, kColumns, [&](int64_t begin, int64_t end) {
    double sums[kColumns], squares[kColumns];
    HWY_DYNAMIC_DISPATCH(ColumnMoments)(input + begin, layout.planes, layout.plane_step, end - begin, sums, squares);
    for (int64_t g = begin; g < end; ++g) result[g] = {static_cast<double>(layout.planes), sums[g - begin], squares[g - begin]};
  });
}

void moments(const NormGroups& layout, const double* input, Moments* partial, Moments* result) noexcept {
  group_moments(layout, input, partial, result);
}

template <class T>
void normalize_planes(const NormPlanes& layout, const T* input, const T* center, const T* scale, const T* shift,
                      T* output) noexcept {
  for_each_plane_run(layout, [&](int64_t plane, int64_t count, int64_t at) {
    const T* x = input + plane * layout.length;
    T* y = output + plane * layout.length;
    if constexpr (std::is_same_v<T, float>) {
      if (layout.length == 1) return HWY_DYNAMIC_DISPATCH(NormalizeEach)(x, count, center + at, scale + at, shift + at, y);
    }
    for (int64_t p = 0; p < count; ++p, x += layout.length, y += layout.length) {
      if constexpr (std::is_same_v<T, float>) {
        HWY_DYNAMIC_DISPATCH(NormalizeRun)(x, layout.length, center[at + p], scale[at + p], shift[at + p], y);
      } else {
        reference::normalize(x, layout.length, center[at + p], scale[at + p], shift[at + p], y);
      }
    }
  });
}

template <class T>
void plane_sums(const NormPlanes& layout, const T* grad, const T* input, const double* mean, double* grad_sum,
                double* product_sum) noexcept {
  if (layout.length == 0) {
    std::fill(grad_sum, grad_sum + layout.planes, 0.0);
    std::fill(product_sum, product_sum + layout.planes, 0.0);
  }
  for_each_plane_run(layout, [&](int64_t plane, int64_t count, int64_t at) {
    for (int64_t p = plane; p < plane + count; ++p, ++at) {
      const T *g = grad + p * layout.length, *x = input + p * layout.length;
      if constexpr (std::is_same_v<T, float>) {
        HWY_DYNAMIC_DISPATCH(SumRun)(g, x, layout.length, mean[at], grad_sum + p, product_sum + p);
      } else {
        reference::sums(g, x, layout.length, mean[at], grad_sum[p], product_sum[p]);
      }
    }
  });
}

template <class T>
void grad_planes(const NormPlanes& layout, const T* grad, const T* input, const double* center, const double* a, const double* b,
                 const double* c, T* grad_input) noexcept {
  for_each_plane_run(layout, [&](int64_t plane, int64_t count, int64_t at) {
    for (int64_t p = plane; p < plane + count; ++p, ++at) {
      const T *g = grad + p * layout.length, *x = input + p * layout.length;
      T* out = grad_input + p * layout.length;
      if constexpr (std::is_same_v<T, float>) {
        HWY_DYNAMIC_DISPATCH(GradRun)(g, x, layout.length, center[at], a[at], b[at], c[at], out);
      } else {
        reference::grad_plane(g, x, layout.length, center[at], a[at], b[at], c[at], out);
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
        HWY_DYNAMIC_DISPATCH(NormalizeRow)(x, length, center[r], scale[r], shift[r], weight, bias, y);
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
        HWY_DYNAMIC_DISPATCH(GradRow)(g, x, length, mean[r], inv_std[r], weight, grad_input + r * length);
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
    for (int64_t r = block * block_rows; r < std::min(rows, (block + 1) * block_rows); ++r) {
      const T *g = grad + r * length + from, *x = input + r * length + from;
      if constexpr (std::is_same_v<T, float>) {
        HWY_DYNAMIC_DISPATCH(AddRow)(g, x, count, mean[r], inv_std[r], g_sum, p_sum);
      } else {
        reference::add_row(g, x, count, mean[r], inv_std[r], g_sum, p_sum);
      }
    }
  });
}

#define CONVOY_FOR_TYPE(T)                                                                                                     \
  template void normalize_planes(const NormPlanes&, const T*, const T*, const T*, const T*, T*) noexcept;                      \
  template void plane_sums(const NormPlanes&, const T*, const T*, const double*, double*, double*) noexcept;                   \
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
