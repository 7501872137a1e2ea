#include "convoy/core/tensor.h"

#include <algorithm>
#include <cstring>

#include "convoy/core/convert.h"
#include "convoy/core/error.h"
#include "convoy/core/storage.h"
#include "convoy/shape/checked.h"

namespace convoy {

namespace {

[[noreturn]] void refuse_undefined() {
  throw Error("the tensor is undefined", "give it values first, for example Tensor::zeros({2, 3})");
}

}  // namespace

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

int64_t numel(const Shape& shape) {
  shape::Checked count(1);
  shape::Checked bytes(16);
  for (const int64_t n : shape) {
    if (n < 0) {
      throw Error("Trying to create tensor with negative dimension " + std::to_string(n) + ": " + to_string(shape),
                  "every size must be 0 or more");
    }
    count = count * n;
    bytes = bytes * std::max<int64_t>(n, 1);
  }
  if (!count.ok() || !bytes.ok()) {
    throw Error("numel: integer multiplication overflow",
                "the shape " + to_string(shape) + " has more elements than 64 bits can count");
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
    throw Error("shape '" + to_string(t.shape()) + "' is invalid for input of size " + std::to_string(values.size()),
                "give " + std::to_string(t.numel()) + " values");
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
    throw Error("Dimension specified as " + std::to_string(axis) + " but tensor has no dimensions",
                "a tensor without axes has one value: item()");
  const int64_t at = axis < 0 ? axis + dim() : axis;
  if (at < 0 || at >= dim()) {
    throw Error("Dimension out of range (expected to be in range of [" + std::to_string(-dim()) + ", " + std::to_string(dim() - 1) +
                    "], but got " + std::to_string(axis) + ")",
                "axes count from 0, or from -1 at the end");
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
    throw Error(
        std::string("expected scalar type ") + scalar_type_name(dtype_of<T>::value) + " but found " + scalar_type_name(dtype_),
        std::string("convert it with to(DType), it holds ") + dtype_name(dtype_));
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
    throw ValueError("only one element tensors can be converted to Python scalars", "this tensor has shape " + to_string(shape_));
  }
  return at(0);
}

double Tensor::at(int64_t i) const {
  if (i < 0 || i >= numel_) {
    throw Error("index " + std::to_string(i) + " is out of bounds for a tensor with " + std::to_string(numel_) + " elements",
                numel_ > 0 ? "elements count from 0 to " + std::to_string(numel_ - 1) : "the tensor is empty");
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
    throw Error("shape '" + to_string(asked) + "' is invalid for input of size " + std::to_string(numel_),
                "the tensor has shape " + to_string(shape_));
  };
  int64_t known = 1;
  int64_t* free_size = nullptr;
  for (int64_t& n : shape) {
    if (n == -1) {
      if (free_size != nullptr) throw Error("only one dimension can be inferred", "the shape asked for is " + to_string(asked));
      free_size = &n;
    } else if (n < 0) {
      throw Error("invalid shape dimension " + std::to_string(n),
                  "sizes are 0 or more; one may be -1, which stands for what is left");
    } else if (__builtin_mul_overflow(known, n, &known)) {
      refuse();
    }
  }
  if (free_size != nullptr) {
    if (known == 0) {
      throw Error("cannot reshape tensor of " + std::to_string(numel_) + " elements into shape " + to_string(asked) +
                      " because the unspecified dimension size -1 can be any value and is ambiguous",
                  "give the size in place of -1");
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
  if (dim() == 0) throw Error("slice() cannot be applied to a 0-dim tensor.", "give it an axis first: reshape({1})");
  if (begin < 0 || end < begin || end > shape_[0]) {
    throw Error("slice [" + std::to_string(begin) + ", " + std::to_string(end) + ") is out of range for a first axis of size " +
                    std::to_string(shape_[0]),
                "0 <= begin <= end <= " + std::to_string(shape_[0]) + " works");
  }
  Tensor t = *this;
  const int64_t stride = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  t.shape_[0] = end - begin;
  t.numel_ = stride * (end - begin);
  t.data_ = static_cast<char*>(data_) + static_cast<size_t>(begin * stride) * element_size(dtype_);
  return t;
}

Tensor Tensor::select(int64_t i) const {
  if (dim() == 0) throw Error("select() cannot be applied to a 0-dim tensor.", "a tensor without axes has one value: item()");
  if (i < 0 || i >= shape_[0]) {
    throw Error(
        "select(): index " + std::to_string(i) + " out of range for tensor of size " + to_string(shape_) + " at dimension 0",
        shape_[0] > 0 ? "0 to " + std::to_string(shape_[0] - 1) + " work" : "the axis is empty");
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
    throw Error("cannot copy a " + std::string(dtype_name(source.dtype_)) + " tensor of shape " + to_string(source.shape_) +
                    " into a " + dtype_name(dtype_) + " tensor of shape " + to_string(shape_),
                "convert with to(dtype) and reshape(shape), or make a new tensor with clone()");
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
