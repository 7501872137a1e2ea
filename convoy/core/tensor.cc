#include "convoy/core/tensor.h"

#include <algorithm>
#include <cstring>

#include "convoy/core/convert.h"
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/shape/checked.h"

namespace convoy {

namespace {

[[noreturn]] void refuse_undefined() {
  raise<Error>("the tensor is undefined\ngive it values first, for example Tensor::zeros({2, 3})");
}

}  // namespace

std::string to_string(const Shape& shape) {
  constexpr size_t kMost = 64;  // files may hold lists of any length, and messages show them
  std::string text = "[";
  for (size_t i = 0; i < std::min(shape.size(), kMost); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  if (shape.size() > kMost) text += ", ... " + std::to_string(shape.size()) + " numbers";
  return text + "]";
}

int64_t numel(const Shape& shape) {
  shape::Checked count(1);
  shape::Checked bytes(16);
  for (const int64_t n : shape) {
    if (n < 0) {
      raise<Error>("Trying to create tensor with negative dimension {}: {}\nevery size must be 0 or more", n, shape);
    }
    count = count * n;
    bytes = bytes * std::max<int64_t>(n, 1);
  }
  if (!count.ok() || !bytes.ok()) {
    raise<ShapeMismatch>("numel: integer multiplication overflow\nthe shape {} has more elements than 64 bits can count", shape);
  }
  return count.value();
}

Tensor Tensor::empty(Shape shape, DType dtype) {
  Tensor t;
  t.numel_ = convoy::numel(shape);
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.storage_ = allocate(static_cast<uint64_t>(t.numel_) * element_size(dtype));  // nbytes() fits an address only afterwards
  t.data_ = t.storage_.get();
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  t.zero_();
  return t;
}

Tensor Tensor::over(std::shared_ptr<void> owner, void* data, Shape shape, DType dtype) {
  Tensor t;
  t.numel_ = convoy::numel(shape);
  t.shape_ = std::move(shape);
  t.dtype_ = dtype;
  t.storage_ = std::move(owner);
  t.data_ = data;
  return t;
}

Tensor Tensor::ones(Shape shape, DType dtype) { return full(std::move(shape), 1.0, dtype); }

Tensor Tensor::full(Shape shape, double value, DType dtype) {
  Tensor t = empty(std::move(shape), dtype);
  t.fill_(value);
  return t;
}

Tensor Tensor::arange(int64_t n, DType dtype) {
  Tensor t = empty({n}, dtype);
  with_dtype(dtype, [&](auto zero) {
    auto* p = t.data<decltype(zero)>();
    for (int64_t i = 0; i < n; ++i) p[i] = convert_element<decltype(zero)>(i);
  });
  return t;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values, Shape shape) {
  Tensor t = empty(std::move(shape), dtype_of<T>::value);
  if (t.numel() != static_cast<int64_t>(values.size())) {
    raise<Error>("shape '{}' is invalid for input of size {}\ngive {} values", t.shape(), values.size(), t.numel());
  }
  if (!values.empty()) std::memcpy(t.data_, values.data(), t.nbytes());
  return t;
}
#define CONVOY_FROM(T) template Tensor Tensor::from(const std::vector<T>&, Shape)
CONVOY_FROM(float);
CONVOY_FROM(double);
CONVOY_FROM(int64_t);
CONVOY_FROM(Float16);
CONVOY_FROM(BFloat16);
CONVOY_FROM(int32_t);
CONVOY_FROM(int16_t);
CONVOY_FROM(int8_t);
CONVOY_FROM(uint8_t);
CONVOY_FROM(uint16_t);
CONVOY_FROM(uint32_t);
CONVOY_FROM(uint64_t);
#undef CONVOY_FROM

Tensor Tensor::from(std::initializer_list<float> values, Shape shape) { return from(std::vector<float>(values), std::move(shape)); }

Tensor Tensor::scalar(double value, DType dtype) { return full({}, value, dtype); }

int64_t Tensor::size(int64_t axis) const {
  if (shape_.empty())
    raise<Error>("Dimension specified as {} but tensor has no dimensions\na tensor without axes has one value: item()", axis);
  const int64_t at = axis < 0 ? axis + dim() : axis;
  if (at < 0 || at >= dim()) {
    raise<Error>(
        "Dimension out of range (expected to be in range of [{}, {}], but got {})\n"
        "axes count from 0, or from -1 at the end",
        -dim(), dim() - 1, axis);
  }
  return shape_[static_cast<size_t>(at)];
}

template <class T>
T* Tensor::data() {
  return const_cast<T*>(static_cast<const Tensor*>(this)->data<T>());
}
template <class T>
const T* Tensor::data() const {
  if (!defined()) refuse_undefined();
  if (dtype_ != dtype_of<T>::value) {
    raise<Error>(
        "expected scalar type {} but found {}\n"
        "convert it with to(DType), it holds {}",
        scalar_type_name(dtype_of<T>::value), scalar_type_name(dtype_), dtype_);
  }
  return static_cast<const T*>(data_);
}
#define CONVOY_DATA(T)           \
  template T* Tensor::data<T>(); \
  template const T* Tensor::data<T>() const
CONVOY_DATA(float);
CONVOY_DATA(double);
CONVOY_DATA(int64_t);
CONVOY_DATA(Float16);
CONVOY_DATA(BFloat16);
CONVOY_DATA(int32_t);
CONVOY_DATA(int16_t);
CONVOY_DATA(int8_t);
CONVOY_DATA(uint8_t);
CONVOY_DATA(uint16_t);
CONVOY_DATA(uint32_t);
CONVOY_DATA(uint64_t);
CONVOY_DATA(bool);
#undef CONVOY_DATA

double Tensor::item() const {
  if (numel_ != 1) {
    raise<ValueError>("only one element tensors can be converted to Python scalars\nthis tensor has shape {}", shape_);
  }
  return at(0);
}

double Tensor::at(int64_t i) const {
  if (i < 0 || i >= numel_) {
    raise<Error>(
        "index {} is out of bounds for a tensor with {} elements\n"
        "{}",
        i, numel_, numel_ > 0 ? formatted("elements count from 0 to {}", numel_ - 1) : "the tensor is empty");
  }
  return with_dtype(dtype_, [&](auto zero) { return static_cast<double>(data<decltype(zero)>()[i]); });
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  if (!defined()) refuse_undefined();
  std::vector<T> values(static_cast<size_t>(numel_));
  convert(data_, dtype_, values.data(), dtype_of<T>::value, numel_);
  return values;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;

Tensor Tensor::reshape(Shape shape) const {
  const Shape asked = shape;
  const auto refuse = [&] {
    raise<Error>("shape '{}' is invalid for input of size {}\nthe tensor has shape {}", asked, numel_, shape_);
  };
  int64_t known = 1;
  int64_t* free_size = nullptr;
  for (int64_t& n : shape) {
    if (n == -1) {
      if (free_size != nullptr) raise<Error>("only one dimension can be inferred\nthe shape asked for is {}", asked);
      free_size = &n;
    } else if (n < 0) {
      raise<Error>("invalid shape dimension {}\nsizes are 0 or more; one may be -1, which stands for what is left", n);
    } else if (__builtin_mul_overflow(known, n, &known)) {
      refuse();
    }
  }
  if (free_size != nullptr) {
    if (known == 0) {
      raise<Error>(
          "cannot reshape tensor of {} elements into shape {} because the unspecified dimension size -1 can be any value and is "
          "ambiguous\n"
          "give the size in place of -1",
          numel_, asked);
    }
    if (numel_ % known != 0) refuse();
    *free_size = numel_ / known;
  } else if (known != numel_) {
    refuse();
  }
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  if (dim() == 0) raise<Error>("slice() cannot be applied to a 0-dim tensor.\ngive it an axis first: reshape({1})");
  if (begin < 0 || end < begin || end > shape_[0]) {
    raise<Error>(
        "slice [{}, {}) is out of range for a first axis of size {}\n"
        "0 <= begin <= end <= {} works",
        begin, end, shape_[0], shape_[0]);
  }
  Tensor t = *this;
  const int64_t stride = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  t.shape_[0] = end - begin;
  t.numel_ = stride * (end - begin);
  t.data_ = static_cast<char*>(data_) + static_cast<size_t>(begin * stride) * element_size(dtype_);
  return t;
}

Tensor Tensor::select(int64_t i) const {
  if (dim() == 0) raise<Error>("select() cannot be applied to a 0-dim tensor.\na tensor without axes has one value: item()");
  if (i < 0 || i >= shape_[0]) {
    raise<Error>(
        "select(): index {} out of range for tensor of size {} at dimension 0\n"
        "{}",
        i, shape_, shape_[0] > 0 ? formatted("0 to {} work", shape_[0] - 1) : "the axis is empty");
  }
  Tensor t = slice(i, i + 1);
  t.shape_.erase(t.shape_.begin());
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty(shape_, dtype_);
  if (numel_ > 0) std::memcpy(t.data_, data_, nbytes());
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (!defined() || dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype);
  convert(data_, dtype_, t.data_, dtype, numel_);
  return t;
}

void Tensor::copy_(const Tensor& source) {
  if (source.shape_ != shape_ || source.dtype_ != dtype_) {
    raise<Error>(
        "cannot copy a {} tensor of shape {} into a {} tensor of shape {}\n"
        "convert with to(dtype) and reshape(shape), or make a new tensor with clone()",
        source.dtype_, source.shape_, dtype_, shape_);
  }
  if (numel_ > 0) std::memmove(data_, source.data_, nbytes());
}

void Tensor::fill_(double value) {
  with_dtype(dtype_, [&](auto zero) {
    auto* p = data<decltype(zero)>();
    std::fill(p, p + numel_, convert_element<decltype(zero)>(value));
  });
}

void Tensor::zero_() {
  if (numel_ > 0) std::memset(data_, 0, nbytes());
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.numel() == 0 || std::memcmp(a.raw_data(), b.raw_data(), a.nbytes()) == 0);
}

}  // namespace convoy
