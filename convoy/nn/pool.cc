#include "convoy/nn/pool.h"

#include <algorithm>

#include "convoy/autograd/functions.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::nn {

namespace {

// What a pooling layer's options can get wrong without an input, in the words of PyTorch's functions.
struct PoolCheck {
  std::string type;      // "MaxPool2d"
  std::string function;  // "max_pool2d"
  int rank;

  [[noreturn]] void refuse(std::string_view reason, std::string_view fix) const { raise<Error>("{}\n{}", reason, fix); }

  void list(const IntList& values, const char* name) const {
    const size_t n = values.values().size();
    if (n == static_cast<size_t>(rank) || n == 1) return;
    const std::string fix = formatted("{} has {}{}", type, rank, rank == 1 ? " spatial axis" : " spatial axes");
    if (rank == 1) {
      refuse(formatted("{}() {} must be an int, list of ints or tuple of ints of size 1 but got size {}", function, name, n), fix);
    }
    const std::string option = name;
    const bool max = function.substr(0, 3) == "max";
    std::string must = " must either be ";
    if (max && option == "padding") must = " must be either be ";
    if (option == "dilation") must = " must be either ";
    if (!max && option == "kernel_size" && rank == 3) must = " must be ";
    refuse(formatted("{}: {}{}{}a single int, or a tuple of {} ints", function, name, must, option == "stride" ? "omitted, " : "",
                     rank == 2 ? "two" : "three"),
           fix);
  }

  bool below(const IntList& values, int64_t limit) const {
    return std::any_of(values.values().begin(), values.values().end(), [&](int64_t v) { return v < limit; });
  }

  // " dH: -1 dW: -1"
  std::string each(const IntList& values, const char* prefix) const {
    const char* const axes[] = {"T", "H", "W"};
    const std::vector<int64_t> expanded = values.expand(rank);
    std::string text;
    for (size_t i = 0; i < expanded.size(); ++i) {
      text += formatted("{}{}{}: {}", i > 0 ? " " : "", prefix, axes[i + 3 - expanded.size()], expanded[i]);
    }
    return text;
  }

  void window(const IntList& kernel_size, const IntList& stride, const IntList& padding, const IntList& dilation) const {
    require(!kernel_size.empty(), type, "kernel_size");
    list(kernel_size, "kernel_size");
    if (!stride.empty()) list(stride, "stride");
    list(padding, "padding");
    list(dilation, "dilation");
    const IntList& s = stride.empty() ? kernel_size : stride;
    if (!stride.empty() && std::count(s.values().begin(), s.values().end(), 0) > 0) {
      refuse("stride should not be zero", "leave stride out for the kernel_size, or use 1 or more");
    }
    if (below(kernel_size, 1)) {
      refuse("kernel size should be greater than zero, but got " + each(kernel_size, "k"),
             "a window of size 1 looks at one position");
    }
    if (below(s, 1)) refuse("stride should be greater than zero, but got " + each(s, "d"), "use 1 or more");
    if (below(dilation, 1)) {
      refuse("dilation should be greater than zero, but got " + each(dilation, "dilation"),
             "dilation 1 means neighbouring positions");
    }
    const std::vector<int64_t> k = kernel_size.expand(rank), p = padding.expand(rank);
    for (size_t i = 0; i < k.size(); ++i) {
      if (p[i] < 0) refuse(formatted("pad must be non-negative, but got pad: {}", p[i]), "use 0 or more");
      if (p[i] > k[i] / 2) {
        refuse(formatted("pad should be at most half of kernel size, but got pad={} and kernel_size={}", p[i], k[i]),
               formatted("the largest padding for a kernel of {} is {}", k[i], k[i] / 2));
      }
    }
  }
};

// What AvgPool1d stores: a tuple in any case.
std::string tuple_text(const IntList& values, int rank) { return rank == 1 ? python_tuple(values.values()) : python_text(values); }

}  // namespace

MaxPool::MaxPool(int rank, MaxPoolOptions options) : rank_(rank), options_(std::move(options)) {
  const MaxPoolOptions& o = options_;
  PoolCheck{type(), ranked("max_pool", rank), rank}.window(o.kernel_size, o.stride, o.padding, o.dilation);
}

std::string MaxPool::extra_repr() const {
  const MaxPoolOptions& o = options_;
  return formatted("kernel_size={}, stride={}, padding={}, dilation={}, ceil_mode={}", python_text(o.kernel_size),
                   python_text(o.stride.empty() ? o.kernel_size : o.stride), python_text(o.padding), python_text(o.dilation),
                   python_bool(o.ceil_mode));
}

Variable MaxPool::forward(const Variable& input) { return max_pool(rank_, input, options_); }

std::pair<Variable, Tensor> MaxPool::forward_with_indices(const Variable& input) {
  return max_pool_with_indices(rank_, input, options_);
}

AvgPool::AvgPool(int rank, AvgPoolOptions options) : rank_(rank), options_(std::move(options)) {
  const AvgPoolOptions& o = options_;
  PoolCheck{type(), ranked("avg_pool", rank), rank}.window(o.kernel_size, o.stride, o.padding, 1);
  if (rank == 1 && o.divisor_override) {
    raise<ValueError>(
        "AvgPool1d.__init__() got an unexpected keyword argument 'divisor_override'\n"
        "AvgPool2d and AvgPool3d have it");
  }
  if (o.divisor_override == 0)
    raise<Error>("divisor must be not zero\nleave divisor_override out to divide by the size of the window");
}

std::string AvgPool::extra_repr() const {
  const AvgPoolOptions& o = options_;
  return formatted("kernel_size={}, stride={}, padding={}", tuple_text(o.kernel_size, rank_),
                   tuple_text(o.stride.empty() ? o.kernel_size : o.stride, rank_), tuple_text(o.padding, rank_));
}

std::string AvgPool::unprinted() const {
  const AvgPoolOptions& o = options_;
  std::string text;
  if (o.ceil_mode) text += ", ceil_mode=True";
  if (!o.count_include_pad) text += ", count_include_pad=False";
  if (o.divisor_override) text += formatted(", divisor_override={}", *o.divisor_override);
  return text.empty() ? text : text.substr(2);
}

Variable AvgPool::forward(const Variable& input) { return avg_pool(rank_, input, options_); }

LPPool::LPPool(int rank, LPPoolOptions options) : rank_(rank), options_(std::move(options)) {
  const LPPoolOptions& o = options_;
  PoolCheck{type(), ranked("avg_pool", rank), rank}.window(o.kernel_size, o.stride, 0, 1);
  if (o.norm_type.value() == 0)
    raise<ValueError>("norm_type must be non-zero\n{} takes the norm_type-th root: 1 sums, 2 is the Euclidean norm", type());
}

std::string LPPool::extra_repr() const {
  const LPPoolOptions& o = options_;
  return formatted("norm_type={}, kernel_size={}, stride={}, ceil_mode={}", python_text(o.norm_type), python_text(o.kernel_size),
                   o.stride.empty() ? "None" : python_text(o.stride), python_bool(o.ceil_mode));
}

Variable LPPool::forward(const Variable& input) {
  return lp_pool(rank_, input, options_.norm_type, options_.kernel_size, options_.stride, options_.ceil_mode);
}

AdaptivePool::AdaptivePool(bool maximum, int rank, AdaptivePoolOptions options)
    : maximum_(maximum), rank_(rank), options_(std::move(options)) {
  const OutputSize& size = options_.output_size;
  require(!size.empty(), type(), "output_size");
  const std::string function = ranked(maximum ? "adaptive_max_pool" : "adaptive_avg_pool", rank);
  const size_t n = size.sizes().size();
  if (n != static_cast<size_t>(rank) && !size.single()) {
    const std::string fix =
        formatted("{} takes one number, or {}{}", type(), rank, rank == 1 ? " in a list" : ", one per spatial axis");
    if (rank == 1) raise<Error>("{}() argument 'output_size' should contain one int (got {})\n{}", function, n, fix);
    raise<Error>(
        "{}{}{}\n"
        "{}",
        function, maximum ? "(): internal error: output_size.size() must be " : ": output_size must be ", rank, fix);
  }
  for (const std::optional<int64_t>& s : size.sizes()) {
    if (!s || *s >= 0) continue;
    std::string list;
    for (int axis = 0; axis < rank; ++axis) {
      const std::optional<int64_t>& v = size.sizes()[size.single() ? 0 : static_cast<size_t>(axis)];
      list += (axis > 0 ? ", " : "") + (v ? std::to_string(*v) : "None");
    }
    raise<Error>(
        "{}: elements of output_size must be greater than or equal to 0 but received {{}}\n"
        "None (std::nullopt) keeps the input's size",
        function, list);
  }
}

Variable AdaptivePool::forward(const Variable& input) {
  const AdaptiveSize& size = options_.output_size.sizes();
  return maximum_ ? adaptive_max_pool(rank_, input, size) : adaptive_avg_pool(rank_, input, size);
}

}  // namespace convoy::nn
