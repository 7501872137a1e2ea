// Tensor: a dense row-major array of values, cheap to copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "convoy/core/dtype.h"

namespace convoy {

/// The sizes of a tensor's axes, outermost first: (N, C, H, W).
using Shape = std::vector<int64_t>;

/// "[1, 3, 8, 8]", as PyTorch prints a size inside a message.
std::string to_string(const Shape& shape);

/// The number of elements of a shape; 1 for a scalar. Throws Error on a negative size or if the byte count leaves int64_t:
/// "numel: integer multiplication overflow".
int64_t numel(const Shape& shape);

/// A handle on dense, row-major values. Copies share the values (as in PyTorch); clone() makes new ones. The storage is aligned
/// to 64 bytes. A default-constructed Tensor is undefined and stands for "none" (no bias, no gradient).
///
/// Errors: data<T>() and item() throw Error if the type or the element count does not fit.
class Tensor {
 public:
  Tensor() = default;

  /// New values, uninitialised.
  static Tensor empty(Shape shape, DType dtype = DType::kFloat32);
  static Tensor zeros(Shape shape, DType dtype = DType::kFloat32);
  static Tensor ones(Shape shape, DType dtype = DType::kFloat32);
  static Tensor full(Shape shape, double value, DType dtype = DType::kFloat32);
  /// 0, 1, ..., n - 1.
  static Tensor arange(int64_t n, DType dtype = DType::kFloat32);
  /// Copies `values`, of any element type but bool; their count must be the shape's.
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape);
  /// float32 values in row-major order.
  static Tensor from(std::initializer_list<float> values, Shape shape);
  /// Values that lie in memory of somebody else's, `owner` keeping it: `data` must be inside, with room for the shape.
  static Tensor over(std::shared_ptr<void> owner, void* data, Shape shape, DType dtype);
  /// A tensor of no axes.
  static Tensor scalar(double value, DType dtype = DType::kFloat32);

  bool defined() const noexcept { return storage_ != nullptr; }
  const Shape& shape() const noexcept { return shape_; }
  int64_t dim() const noexcept { return static_cast<int64_t>(shape_.size()); }
  /// The size of one axis; negative axes count from the end.
  int64_t size(int64_t axis) const;
  int64_t numel() const noexcept { return numel_; }
  size_t nbytes() const noexcept { return static_cast<size_t>(numel_) * element_size(dtype_); }
  DType dtype() const noexcept { return dtype_; }

  /// The values. T must be the dtype's: float, double, int64_t, Float16, BFloat16, int32_t, ..., uint64_t or bool.
  template <class T>
  T* data();
  template <class T>
  const T* data() const;
  void* raw_data() noexcept { return data_; }
  const void* raw_data() const noexcept { return data_; }

  /// The value of a one-element tensor.
  double item() const;
  /// Element i in row-major order, as a double.
  double at(int64_t i) const;
  /// All values as a vector of float, double, int64_t or int32_t (converted).
  template <class T>
  std::vector<T> to_vector() const;

  /// The same values under another shape; one size may be -1.
  Tensor reshape(Shape shape) const;
  /// Entries [begin, end) of the first axis; shares the values.
  Tensor slice(int64_t begin, int64_t end) const;
  /// Entry i of the first axis, that axis removed; shares the values.
  Tensor select(int64_t i) const;
  Tensor clone() const;
  /// Converted to another type as convert_element does (shares the values if it has that type already).
  Tensor to(DType dtype) const;
  /// Copies the values of a tensor with the same shape and type into this one.
  void copy_(const Tensor& source);
  void fill_(double value);
  void zero_();
  bool shares_storage(const Tensor& other) const noexcept {
    return !storage_.owner_before(other.storage_) && !other.storage_.owner_before(storage_);
  }
  /// Whether no other Tensor shares the values, so that they may be changed or given away without anyone noticing.
  bool sole_owner() const noexcept { return storage_.use_count() == 1; }

 private:
  std::shared_ptr<void> storage_;
  void* data_ = nullptr;
  Shape shape_;
  int64_t numel_ = 0;
  DType dtype_ = DType::kFloat32;
};

/// Equal shape, type and bits (a NaN equals the same NaN).
bool identical(const Tensor& a, const Tensor& b);

}  // namespace convoy
