#include "convoy/ops/index.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/kernels/elementwise/arithmetic_reference.h"
#include "convoy/ops/checks.h"
#include "convoy/ops/dims.h"
#include "convoy/ops/wide.h"

namespace convoy::ops {

namespace {

constexpr int64_t kGrain = 16384;  // values per task

// The indices as int64.
Tensor check_index(const Tensor& index, const char* function) {
  check_defined(index, function, "index");
  if (index.dtype() != DType::kInt64 && index.dtype() != DType::kInt32) {
    raise<Error>("{}(): Expected dtype int64 for index\nindices are int64 or int32, these are {}", function, index.dtype());
  }
  return index.to(DType::kInt64);
}

int64_t wrapped(int64_t index, int64_t n, int64_t dim) {
  if (index < -n || index >= n) {
    raise<Error>(
        "index {} is out of bounds for dimension {} with size {}\n"
        "{}",
        index, dim, n, n == 0 ? "the axis is empty" : formatted("indices can be {} to {}", -n, n - 1));
  }
  return index < 0 ? index + n : index;
}

// A value that is there and one that comes: what stays.
template <class T>
T combined(ScatterReduction reduction, T there, T coming) {
  using kernels::reference::arithmetic;
  switch (reduction) {
    case ScatterReduction::kNone:
      break;
    case ScatterReduction::kAdd:
      return arithmetic<Arithmetic::kAdd>(there, coming);
    case ScatterReduction::kMul:
      return arithmetic<Arithmetic::kMul>(there, coming);
    case ScatterReduction::kMin:
      return arithmetic<Arithmetic::kMinimum>(there, coming);
    case ScatterReduction::kMax:
      return arithmetic<Arithmetic::kMaximum>(there, coming);
  }
  return coming;
}

// The input after f(there, coming) has seen the arrays as their type; for kNone as bits of that size. Floats of 16 bits and bool
// cannot be combined.
template <class F>
Tensor combine(const char* function, ScatterReduction reduction, const Tensor& coming, const Tensor& input, F&& f) {
  const DType dtype = input.dtype();
  if (reduction == ScatterReduction::kNone) {
    Tensor there = input.clone();
    with_element_size(dtype, [&](auto bits) {
      using T = decltype(bits);
      f(static_cast<T*>(there.raw_data()), static_cast<const T*>(coming.raw_data()));
    });
    return there;
  }
  if (dtype == DType::kBool || is_16_bit_float(dtype)) refuse_type(dtype, function);
  const DType wide = wide_type(dtype);
  Tensor there = wide == dtype ? input.clone() : input.to(wide);
  const Tensor values = coming.to(wide);
  with_wide(wide, [&](auto zero) {
    using T = decltype(zero);
    f(there.data<T>(), values.data<T>());
  });
  return there.to(dtype);
}

// gather and scatter: the element of the large tensor that each element of the index names.
std::vector<int64_t> element_offsets(const char* function, const Shape& large, int64_t dim, const Tensor& index) {
  if (index.dim() != static_cast<int64_t>(large.size())) {
    raise<ShapeMismatch>(
        "Index tensor must have the same number of dimensions as input tensor\n"
        "the index has shape {}, the input {}",
        index.shape(), large);
  }
  for (size_t axis = 0; axis < large.size(); ++axis) {
    if (static_cast<int64_t>(axis) == dim || index.shape()[axis] <= large[axis]) continue;
    raise<ShapeMismatch>(
        "Size does not match at dimension {} expected index {} to be smaller than self {} apart from dimension {}\n"
        "{} needs a place for every index",
        static_cast<int64_t>(axis), index.shape(), large, dim, function);
  }
  std::vector<int64_t> offsets(static_cast<size_t>(index.numel()));
  const std::vector<int64_t> strides = dense_strides(large);
  const int64_t* values = index.data<int64_t>();
  std::vector<int64_t> at(large.size());
  int64_t rest = 0;  // offset of the axes other than dim
  for (size_t i = 0; i < offsets.size(); ++i) {
    const auto d = static_cast<size_t>(dim);
    offsets[i] = rest + (large.empty() ? 0 : wrapped(values[i], large[d], dim) * strides[d]);
    for (size_t axis = large.size(); axis-- > 0;) {
      const int64_t step = axis == d ? 0 : strides[axis];
      rest += step;
      if (++at[axis] < index.shape()[axis]) break;
      rest -= step * at[axis];
      at[axis] = 0;
    }
  }
  return offsets;
}

// gather_nd and scatter_nd: where the run of `length` elements begins that each row of indices names.
struct Runs {
  std::vector<int64_t> offsets;
  int64_t length = 1;
  Shape tail;  // axes of a run
};

Runs named_runs(const char* function, const Shape& large, const Tensor& indices, int64_t batch_dims) {
  if (indices.dim() < 1)
    raise<ShapeMismatch>("{}: the indices must have at least one axis\nindices.reshape({1}) makes one index a list", function);
  if (batch_dims < 0 || batch_dims >= indices.dim() || batch_dims > static_cast<int64_t>(large.size())) {
    raise<ValueError>(
        "{}: batch_dims is {}, but the indices have shape {} and the input {}\n"
        "batch_dims counts leading axes that both share with equal sizes",
        function, batch_dims, indices.shape(), large);
  }
  const auto batch = static_cast<size_t>(batch_dims);
  const auto depth = static_cast<size_t>(indices.shape().back());
  if (!std::equal(large.begin(), large.begin() + batch_dims, indices.shape().begin()) || depth > large.size() - batch) {
    raise<ShapeMismatch>(
        "{}: the last axis of indices of shape {} names more axes than an input of shape {} has\n"
        "batch_dims is {}: these axes must agree, and the indices name axes behind them",
        function, indices.shape(), large, batch_dims);
  }
  Runs runs;
  runs.tail.assign(large.begin() + static_cast<std::ptrdiff_t>(batch + depth), large.end());
  runs.length = numel(runs.tail);
  const std::vector<int64_t> strides = dense_strides(large);
  int64_t count = 1, per_batch = 1;
  for (size_t axis = 0; axis + 1 < indices.shape().size(); ++axis) {
    count *= indices.shape()[axis];
    if (axis >= batch) per_batch *= indices.shape()[axis];
  }
  runs.offsets.resize(static_cast<size_t>(count));
  const int64_t batch_stride = batch > 0 ? strides[batch - 1] : 0;
  const int64_t* values = indices.data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    int64_t offset = per_batch > 0 ? i / per_batch * batch_stride : 0;
    for (size_t k = 0; k < depth; ++k) {
      const size_t axis = batch + k;
      offset +=
          wrapped(values[i * static_cast<int64_t>(depth) + static_cast<int64_t>(k)], large[axis], static_cast<int64_t>(axis)) *
          strides[axis];
    }
    runs.offsets[static_cast<size_t>(i)] = offset;
  }
  return runs;
}

template <class T>
bool is_nan(T x) {
  if constexpr (std::is_floating_point_v<T>) return std::isnan(x);
  return false;
}

}  // namespace

Tensor take(const Tensor& input, const Tensor& given, int64_t dim) {
  check_defined(input, "take", "input");
  const Tensor indices = check_index(given, "take");
  if (input.dim() == 0) raise<Error>("take(): the input needs at least one axis\ninput.reshape({1}) makes one value a list");
  const int64_t axis = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), axis);
  std::vector<int64_t> rows(static_cast<size_t>(indices.numel()));
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = wrapped(indices.data<int64_t>()[i], view.n, axis);
  Shape shape(input.shape().begin(), input.shape().begin() + axis);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), input.shape().begin() + axis + 1, input.shape().end());
  Tensor output = Tensor::empty(shape, input.dtype());
  if (output.numel() == 0) return output;
  const auto count = static_cast<int64_t>(rows.size());
  with_element_size(input.dtype(), [&](auto bits) {
    using T = decltype(bits);
    const T* from = static_cast<const T*>(input.raw_data());
    T* to = static_cast<T*>(output.raw_data());
    parallel_ranges(view.outer * count, std::max<int64_t>(1, kGrain / view.inner), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* run = from + (r / count * view.n + rows[static_cast<size_t>(r % count)]) * view.inner;
        std::copy(run, run + view.inner, to + r * view.inner);
      }
    });
  });
  return output;
}

Tensor gather(const Tensor& input, int64_t dim, const Tensor& given) {
  check_defined(input, "gather", "input");
  const Tensor index = check_index(given, "gather");
  const int64_t axis = wrap_dim(dim, input.dim());
  const std::vector<int64_t> offsets = element_offsets("gather", input.shape(), axis, index);
  Tensor output = Tensor::empty(index.shape(), input.dtype());
  with_element_size(input.dtype(), [&](auto bits) {
    using T = decltype(bits);
    const T* from = static_cast<const T*>(input.raw_data());
    T* to = static_cast<T*>(output.raw_data());
    for (size_t i = 0; i < offsets.size(); ++i) to[i] = from[offsets[i]];
  });
  return output;
}

Tensor scatter(const Tensor& input, int64_t dim, const Tensor& given, const Tensor& source, ScatterReduction reduction) {
  check_defined(input, "scatter", "input");
  check_defined(source, "scatter", "src");
  check_type(source, input.dtype());
  const Tensor index = check_index(given, "scatter");
  const int64_t axis = wrap_dim(dim, input.dim());
  if (source.shape() != index.shape()) {
    raise<ShapeMismatch>(
        "Expected index {} to be no larger than src {}\n"
        "index and src have one shape",
        index.shape(), source.shape());
  }
  const std::vector<int64_t> offsets = element_offsets("scatter", input.shape(), axis, index);
  return combine("scatter_reduce", reduction, source, input, [&](auto* to, const auto* from) {
    for (size_t i = 0; i < offsets.size(); ++i) to[offsets[i]] = combined(reduction, to[offsets[i]], from[i]);
  });
}

Tensor gather_nd(const Tensor& input, const Tensor& given, int64_t batch_dims) {
  check_defined(input, "gather_nd", "input");
  const Tensor indices = check_index(given, "gather_nd");
  const Runs runs = named_runs("gather_nd", input.shape(), indices, batch_dims);
  Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), runs.tail.begin(), runs.tail.end());
  Tensor output = Tensor::empty(shape, input.dtype());
  const size_t element = element_size(input.dtype()), bytes = static_cast<size_t>(runs.length) * element;
  if (output.numel() == 0) return output;
  parallel_ranges(
      static_cast<int64_t>(runs.offsets.size()), std::max<int64_t>(1, kGrain / runs.length), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          std::memcpy(
              static_cast<char*>(output.raw_data()) + static_cast<size_t>(i) * bytes,
              static_cast<const char*>(input.raw_data()) + static_cast<size_t>(runs.offsets[static_cast<size_t>(i)]) * element,
              bytes);
        }
      });
  return output;
}

Tensor scatter_nd(const Tensor& input, const Tensor& given, const Tensor& updates, ScatterReduction reduction) {
  check_defined(input, "scatter_nd", "input");
  check_defined(updates, "scatter_nd", "updates");
  check_type(updates, input.dtype());
  const Tensor indices = check_index(given, "scatter_nd");
  const Runs runs = named_runs("scatter_nd", input.shape(), indices, 0);
  Shape expected(indices.shape().begin(), indices.shape().end() - 1);
  expected.insert(expected.end(), runs.tail.begin(), runs.tail.end());
  if (updates.shape() != expected) {
    raise<ShapeMismatch>(
        "scatter_nd: updates have shape {}, expected {}\n"
        "the indices have shape {}, the input {}",
        updates.shape(), expected, indices.shape(), input.shape());
  }
  return combine("scatter_reduce", reduction, updates, input, [&](auto* to, const auto* from) {
    for (const int64_t offset : runs.offsets) {
      for (int64_t k = 0; k < runs.length; ++k) to[offset + k] = combined(reduction, to[offset + k], *from++);
    }
  });
}

Tensor one_hot(const Tensor& given, int64_t depth, const Tensor& off_on, int64_t dim) {
  check_defined(given, "one_hot", "indices");
  check_defined(off_on, "one_hot", "values");
  if (depth < 0) raise<ValueError>("one_hot: the depth must be 0 or more, but is {}\nthe depth is the number of classes", depth);
  if (off_on.shape() != Shape{2}) {
    raise<ShapeMismatch>("one_hot: values must hold two, for off and on, but have shape {}\n{0, 1}, for example", off_on.shape());
  }
  const int64_t axis = wrap_dim(dim, given.dim() + 1);
  const Tensor indices = given.to(DType::kInt64);
  Shape shape = indices.shape();
  shape.insert(shape.begin() + axis, depth);
  Tensor output = Tensor::empty(shape, off_on.dtype());
  const AxisView view = view_axis(shape, axis);
  with_element_size(off_on.dtype(), [&](auto bits) {
    using T = decltype(bits);
    const T* values = static_cast<const T*>(off_on.raw_data());
    T* to = static_cast<T*>(output.raw_data());
    std::fill(to, to + output.numel(), values[0]);
    for (int64_t i = 0; i < indices.numel(); ++i) {
      int64_t index = indices.data<int64_t>()[i];
      if (index < -depth || index >= depth) continue;
      if (index < 0) index += depth;
      to[(i / view.inner * depth + index) * view.inner + i % view.inner] = values[1];
    }
  });
  return output;
}

Tensor nonzero(const Tensor& input) {
  check_defined(input, "nonzero", "input");
  std::vector<int64_t> found;
  const Tensor given = input.to(DType::kBool);
  for (int64_t i = 0; i < given.numel(); ++i) {
    if (given.data<bool>()[i]) found.push_back(i);
  }
  const size_t rank = input.shape().size();
  Tensor output = Tensor::empty({static_cast<int64_t>(found.size()), static_cast<int64_t>(rank)}, DType::kInt64);
  int64_t* to = output.data<int64_t>();
  for (size_t i = 0; i < found.size(); ++i) {
    int64_t rest = found[i];
    for (size_t axis = rank; axis-- > 0; rest /= input.shape()[axis]) to[i * rank + axis] = rest % input.shape()[axis];
  }
  return output;
}

Tensor range(const Tensor& start, const Tensor& end, const Tensor& step) {
  for (const Tensor* t : {&start, &end, &step}) {
    check_defined(*t, "range", "start, end and step");
    check_type(*t, start.dtype());
    if (t->numel() != 1)
      raise<ShapeMismatch>("range: start, end and step hold one value each, not {}\nthree numbers work", t->shape());
  }
  const DType dtype = start.dtype(), wide = widest_type(dtype);
  if (dtype == DType::kBool || is_16_bit_float(dtype)) refuse_type(dtype, "arange_cpu");
  if (wide != dtype) return range(start.to(wide), end.to(wide), step.to(wide)).to(dtype);
  Tensor output;
  with_widest(dtype, [&](auto zero) {
    using T = decltype(zero);
    const T first = start.data<T>()[0], last = end.data<T>()[0], by = step.data<T>()[0];
    if (by == 0) raise<Error>("step must be nonzero\n1 counts up, -1 down");
    int64_t count = 0;
    if constexpr (std::is_integral_v<T>) {
      // The distance fits 64 bits without sign, whatever the ends are.
      const bool up = by > 0;
      if (up ? last > first : last < first) {
        const uint64_t a = static_cast<uint64_t>(first), b = static_cast<uint64_t>(last), s = static_cast<uint64_t>(by);
        const uint64_t distance = up ? b - a : a - b, stride = up ? s : 0 - s;
        const uint64_t n = (distance - 1) / stride + 1;
        if (n > static_cast<uint64_t>(INT64_MAX))
          raise<Error>("numel: integer multiplication overflow\na larger step gives fewer values");
        count = static_cast<int64_t>(n);
      }
    } else {
      const double n = std::ceil((static_cast<double>(last) - static_cast<double>(first)) / static_cast<double>(by));
      if (!(n < 9e18)) raise<Error>("unsupported range: {} -> {}\nfinite numbers work", first, last);
      count = std::max<int64_t>(0, static_cast<int64_t>(std::max(n, 0.0)));
    }
    output = Tensor::empty({count}, dtype);
    T* to = output.data<T>();
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (std::is_integral_v<T>) {
        to[i] = static_cast<T>(static_cast<uint64_t>(first) + static_cast<uint64_t>(i) * static_cast<uint64_t>(by));
      } else {
        to[i] = static_cast<T>(static_cast<double>(first) + static_cast<double>(i) * static_cast<double>(by));
      }
    }
  });
  return output;
}

Tensor eye(int64_t rows, int64_t columns, int64_t diagonal, DType dtype) {
  Tensor output = Tensor::zeros({rows, columns}, dtype);
  if (diagonal <= -rows || diagonal >= columns) return output;
  const Tensor one = Tensor::ones({}, dtype);
  const size_t size = element_size(dtype);
  for (int64_t r = std::max<int64_t>(0, -diagonal); r < rows && r + diagonal < columns; ++r) {
    std::memcpy(static_cast<char*>(output.raw_data()) + static_cast<size_t>(r * columns + r + diagonal) * size, one.raw_data(),
                size);
  }
  return output;
}

Tensor cumsum(const Tensor& input, int64_t dim, bool exclusive, bool reverse) {
  check_defined(input, "cumsum", "input");
  const int64_t axis = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), axis);
  const DType dtype = input.dtype(), wide = is_16_bit_float(dtype) ? DType::kFloat64 : wide_type(dtype);
  if (input.numel() == 0) return input.clone();
  if (dtype == DType::kBool) refuse_type(dtype, "cumsum_out_cpu");
  if (wide != dtype) return cumsum(input.to(wide), dim, exclusive, reverse).to(dtype);
  Tensor output = Tensor::empty(input.shape(), dtype);
  with_wide(dtype, [&](auto zero) {
    using T = decltype(zero);
    using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
    const T* from = input.data<T>();
    T* to = output.data<T>();
    parallel_ranges(view.outer * view.inner, std::max<int64_t>(1, kGrain / view.n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t base = r / view.inner * view.n * view.inner + r % view.inner;
        Sum sum = 0;
        for (int64_t i = 0; i < view.n; ++i) {
          const int64_t at = base + (reverse ? view.n - 1 - i : i) * view.inner;
          const Sum next = sum + static_cast<Sum>(from[at]);
          to[at] = static_cast<T>(exclusive ? sum : next);
          sum = next;
        }
      }
    });
  });
  return output;
}

std::pair<Tensor, Tensor> topk(const Tensor& input, int64_t k, int64_t dim, bool largest) {
  check_defined(input, "topk", "input");
  const int64_t axis = wrap_dim(dim, input.dim());
  const AxisView view = view_axis(input.shape(), axis);
  if (k < 0 || k > view.n) {
    raise<Error>("selected index k out of range\nk is {}, the axis has {} values", k, view.n);
  }
  const DType dtype = input.dtype();
  if (dtype == DType::kBool) refuse_type(dtype, "topk_cpu");
  if (const DType wide = widest_type(dtype); wide != dtype) {
    auto result = topk(input.to(wide), k, dim, largest);
    return {result.first.to(dtype), result.second};
  }
  Shape shape = input.shape();
  if (!shape.empty()) shape[static_cast<size_t>(axis)] = k;
  std::pair<Tensor, Tensor> result{Tensor::empty(shape, dtype), Tensor::empty(shape, DType::kInt64)};
  if (result.first.numel() == 0) return result;
  with_widest(dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* from = input.data<T>();
    T* values = result.first.data<T>();
    int64_t* indices = result.second.data<int64_t>();
    std::vector<int64_t> order(static_cast<size_t>(view.n));
    for (int64_t r = 0; r < view.outer * view.inner; ++r) {
      const T* row = from + r / view.inner * view.n * view.inner + r % view.inner;
      const auto at = [&](int64_t i) { return row[i * view.inner]; };
      std::iota(order.begin(), order.end(), 0);
      const auto before = [&](int64_t i, int64_t j) {
        const T a = at(i), b = at(j);
        if (is_nan(a) != is_nan(b)) return is_nan(a) == largest;
        if (a == b || is_nan(a)) return i < j;
        return largest ? a > b : a < b;
      };
      std::partial_sort(order.begin(), order.begin() + k, order.end(), before);
      const int64_t base = r / view.inner * k * view.inner + r % view.inner;
      for (int64_t i = 0; i < k; ++i) {
        values[base + i * view.inner] = at(order[static_cast<size_t>(i)]);
        indices[base + i * view.inner] = order[static_cast<size_t>(i)];
      }
    }
  });
  return result;
}

}  // namespace convoy::ops
