#include "convoy/onnx/tensor_proto.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/parallel.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/io/file.h"
#include "convoy/onnx/external_data.h"
#include "convoy/shape/checked.h"

namespace convoy::onnx {
namespace {

struct TypeRow {
  const char* name;
  std::optional<DType> dtype;
};

// In the order of onnx.TensorProto.DataType.
constexpr TypeRow kTypes[] = {
    {"UNDEFINED", {}},
    {"FLOAT", DType::kFloat32},
    {"UINT8", DType::kUInt8},
    {"INT8", DType::kInt8},
    {"UINT16", DType::kUInt16},
    {"INT16", DType::kInt16},
    {"INT32", DType::kInt32},
    {"INT64", DType::kInt64},
    {"STRING", {}},
    {"BOOL", DType::kBool},
    {"FLOAT16", DType::kFloat16},
    {"DOUBLE", DType::kFloat64},
    {"UINT32", DType::kUInt32},
    {"UINT64", DType::kUInt64},
    {"COMPLEX64", {}},
    {"COMPLEX128", {}},
    {"BFLOAT16", DType::kBFloat16},
    {"FLOAT8E4M3FN", {}},
    {"FLOAT8E4M3FNUZ", {}},
    {"FLOAT8E5M2", {}},
    {"FLOAT8E5M2FNUZ", {}},
    {"UINT4", {}},
    {"INT4", {}},
    {"FLOAT4E2M1", {}},
    {"FLOAT8E8M0", {}},
    {"UINT2", {}},
    {"INT2", {}},
};
constexpr int64_t kString = 8;

// Bytes from which a tensor counts as weights.
constexpr size_t kLargeValues = 65536;

// The parts of a message, not yet looked into. A repeated field may come in several pieces, packed or one by one.
struct Parts {
  Shape dims;
  int64_t data_type = 0;
  std::string_view name;
  std::string_view raw;
  bool has_raw = false;
  bool external = false;
  std::vector<std::string_view> float_data, int32_data, int64_data, double_data, uint64_data;  // packed pieces
  std::vector<Field> loose;                                                                    // unpacked ones, field by field
  std::vector<std::string_view> strings;
  std::map<std::string, std::string, std::less<>> external_entries;
};

class TensorReader {
 public:
  TensorReader(const TensorSource& source, const std::string& what) : source_(source), what_(what) {}

  NamedValue read(std::string_view message) {
    // First, so that whatever is wrong is said of it: writers put it behind the sizes.
    for (Fields fields(source_.source, message); fields.next();) {
      if (fields.number() == 8) parts_.name = fields.bytes();
    }
    if (!parts_.name.empty()) what_ += " " + io::quote(parts_.name);
    parse(message);
    NamedValue result{std::string(parts_.name), {}};
    if (parts_.data_type == kString) {
      result.value = read_strings();
      return result;
    }
    const std::optional<DType> dtype = dtype_of_onnx(parts_.data_type);
    if (!dtype) {
      fail(
          "data_type is " + onnx_type_name(parts_.data_type),
          "types that can be read: FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8 to INT64, UINT8 to UINT64, BOOL and, for inputs, STRING");
    }
    result.value = read_values(*dtype);
    return result;
  }

 private:
  [[noreturn]] void fail(std::string_view reason, std::string_view fix = {}) const {
    raise<FileError>("{}: {}: {}\n{}", source_.source.name, what_, reason, fix);
  }

  void parse(std::string_view message) {
    Fields fields(source_.source, message);
    while (fields.next()) {
      const bool packed = fields.field().type == Field::Type::kBytes;
      switch (fields.number()) {
        case 1:
          if (packed) {
            std::string_view rest = fields.bytes();
            while (!rest.empty()) add_dim(static_cast<int64_t>(take_varint(source_.source, rest)));
          } else {
            add_dim(fields.integer());
          }
          break;
        case 2:
          parts_.data_type = fields.integer();
          break;
        case 3:
          fail("it is a segment of a larger tensor", "save the model with whole tensors");
        case 4:
          add_piece(fields, packed, parts_.float_data);
          break;
        case 5:
          add_piece(fields, packed, parts_.int32_data);
          break;
        case 6:
          parts_.strings.push_back(fields.bytes());
          break;
        case 7:
          add_piece(fields, packed, parts_.int64_data);
          break;
        case 9:
          parts_.raw = fields.bytes();
          parts_.has_raw = true;
          break;
        case 10:
          add_piece(fields, packed, parts_.double_data);
          break;
        case 11:
          add_piece(fields, packed, parts_.uint64_data);
          break;
        case 13:
          add_external_entry(fields.bytes());
          break;
        case 14:
          parts_.external = fields.integer() == 1;
          break;
        default:
          break;
      }
    }
  }

  void add_dim(int64_t size) {
    if (size < 0) fail(formatted("dims has a negative size: {}", size), "sizes are 0 or more");
    if (size > source_.limits.dim) {
      fail(formatted("dims has a size of {}", size), formatted("sizes of more than {} are refused", source_.limits.dim));
    }
    if (static_cast<int64_t>(parts_.dims.size()) >= source_.limits.rank) {
      fail(formatted("dims has more than {} sizes", source_.limits.rank),
           formatted("tensors may have up to {} axes", source_.limits.rank));
    }
    parts_.dims.push_back(size);
  }

  void add_piece(const Fields& fields, bool packed, std::vector<std::string_view>& pieces) {
    if (packed) {
      pieces.push_back(fields.bytes());
    } else {
      parts_.loose.push_back(fields.field());
    }
  }

  void add_external_entry(std::string_view message) {
    std::string key, value;
    Fields fields(source_.source, message);
    while (fields.next()) {
      if (fields.number() == 1) key = fields.bytes();
      if (fields.number() == 2) value = fields.bytes();
    }
    parts_.external_entries[key] = value;
  }

  // The number of elements, known to fit into memory that may be asked for.
  int64_t checked_count(size_t size_of_one) const {
    shape::Checked bytes(static_cast<int64_t>(size_of_one)), apart_from_zeros(16);  // as numel() wants them
    for (const int64_t size : parts_.dims) {
      bytes = bytes * size;
      apart_from_zeros = apart_from_zeros * std::max<int64_t>(size, 1);
    }
    if (!apart_from_zeros.ok() || bytes.value() > source_.limits.tensor_bytes) {
      fail(formatted("dims {} need more than {} bytes", parts_.dims, source_.limits.tensor_bytes),
           "the limit is Limits::tensor_bytes");
    }
    return bytes.value() / static_cast<int64_t>(size_of_one);
  }

  graph::Value read_strings() const {
    const int64_t count = checked_count(1);
    if (count != static_cast<int64_t>(parts_.strings.size())) {
      fail(formatted("string_data has {} entries, dims {} need {}", parts_.strings.size(), parts_.dims, count),
           "store one string per element");
    }
    graph::Strings strings{parts_.dims, {}};
    for (const std::string_view text : parts_.strings) strings.values.emplace_back(text);
    return strings;
  }

  graph::Value read_values(DType dtype) const {
    const int64_t count = checked_count(element_size(dtype));
    if (parts_.external) return read_external(dtype, count);
    const size_t bytes = static_cast<size_t>(count) * element_size(dtype);
    if (parts_.has_raw) {
      if (parts_.raw.size() != bytes) {
        fail(formatted("raw_data has {} bytes, dims {} of {} need {}", parts_.raw.size(), parts_.dims, dtype, bytes),
             "store every element once, little-endian");
      }
      Tensor tensor = empty(dtype, bytes);
      if (source_.pending != nullptr && bytes >= kLargeValues && dtype != DType::kBool) {
        source_.pending->push_back({parts_.raw, tensor});
        return tensor;
      }
      source_.source.copy(parts_.raw, tensor.raw_data());
      make_bools(tensor);
      return tensor;
    }
    switch (dtype) {
      case DType::kFloat32:
        return fixed<float>(dtype, count, parts_.float_data, 4, "float_data");
      case DType::kFloat64:
        return fixed<double>(dtype, count, parts_.double_data, 10, "double_data");
      case DType::kInt64:
        return varints(dtype, count, parts_.int64_data, 7, "int64_data");
      case DType::kUInt64:
      case DType::kUInt32:
        return varints(dtype, count, parts_.uint64_data, 11, "uint64_data");
      default:
        return varints(dtype, count, parts_.int32_data, 5, "int32_data");
    }
  }

  void check_count(int64_t have, int64_t need, const char* field, DType dtype) const {
    if (have == need) return;
    fail(formatted("{} has {} elements, dims {} need {}", field, have, parts_.dims, need),
         formatted("values of {} are stored in raw_data or {}, every element once", dtype, field));
  }

  int64_t count_loose(uint32_t number) const {
    int64_t count = 0;
    for (const Field& field : parts_.loose) count += field.number == number;
    return count;
  }

  template <class T>
  graph::Value fixed(DType dtype, int64_t count, const std::vector<std::string_view>& pieces, uint32_t number,
                     const char* name) const {
    int64_t have = count_loose(number);
    for (const std::string_view piece : pieces) {
      if (piece.size() % sizeof(T) != 0) fail(std::string(name) + " ends inside a number", "store whole numbers");
      have += static_cast<int64_t>(piece.size() / sizeof(T));
    }
    check_count(have, count, name, dtype);
    Tensor tensor = empty(dtype, static_cast<size_t>(count) * sizeof(T));
    T* to = tensor.data<T>();
    for (const std::string_view piece : pieces) {
      source_.source.copy(piece, to);
      to += piece.size() / sizeof(T);
    }
    for (const Field& field : parts_.loose) {
      if (field.number != number) continue;
      if constexpr (sizeof(T) == 4) {
        *to++ = std::bit_cast<T>(static_cast<uint32_t>(field.integer));
      } else {
        *to++ = std::bit_cast<T>(field.integer);
      }
    }
    return tensor;
  }

  graph::Value varints(DType dtype, int64_t count, const std::vector<std::string_view>& pieces, uint32_t number,
                       const char* name) const {
    int64_t have = count_loose(number);
    for (const std::string_view piece : pieces) have += count_varints(piece);
    check_count(have, count, name, dtype);
    Tensor tensor = Tensor::empty(parts_.dims, dtype);
    int64_t at = 0;
    const auto store = [&](uint64_t bits) {
      with_dtype(dtype, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
          tensor.data<T>()[at++] = std::bit_cast<T>(static_cast<uint16_t>(bits));
        } else if constexpr (std::is_same_v<T, bool>) {
          tensor.data<T>()[at++] = bits != 0;
        } else {
          tensor.data<T>()[at++] = static_cast<T>(bits);
        }
      });
    };
    for (std::string_view piece : pieces) {
      while (!piece.empty()) store(take_varint(source_.source, piece));
    }
    for (const Field& field : parts_.loose) {
      if (field.number == number) store(field.integer);
    }
    return tensor;
  }

  // Weights live long, and go for good when their kernels have packed them.
  Tensor empty(DType dtype, size_t bytes) const {
    if (bytes < kLargeValues) return Tensor::empty(parts_.dims, dtype);
    std::shared_ptr<void> memory = allocate_once(bytes);
    void* const data = memory.get();
    return Tensor::over(std::move(memory), data, parts_.dims, dtype);
  }

  // A byte other than 0 and 1 is no bool.
  static void make_bools(Tensor& tensor) {
    if (tensor.dtype() != DType::kBool) return;
    auto* bytes = static_cast<uint8_t*>(tensor.raw_data());
    for (int64_t i = 0; i < tensor.numel(); ++i) bytes[i] = bytes[i] != 0;
  }

  graph::Value read_external(DType dtype, int64_t count) const {
    const auto entry = [&](const char* key) {
      const auto found = parts_.external_entries.find(key);
      return found == parts_.external_entries.end() ? std::string() : found->second;
    };
    const std::string location = entry("location");
    if (source_.folder.empty()) {
      fail("its values lie in another file, " + io::quote(location),
           "such files are read only if ModelOptions::external_data (--external-data) allows it");
    }
    Tensor tensor;
    try {
      ExternalData data(source_.folder, location);
      const uint64_t need = static_cast<uint64_t>(count) * element_size(dtype);
      const uint64_t offset = external_number(entry("offset"), "offset", 0);
      const uint64_t length = external_number(entry("length"), "length", need);
      if (length != need) {
        fail(formatted("length of its external data is {}, dims {} of {} need {}", length, parts_.dims, dtype, need),
             "store every element once, little-endian");
      }
      data.check(offset, length, *source_.external_reads);
      tensor = empty(dtype, length);
      data.read(offset, tensor.raw_data(), length);
    } catch (const FileError&) {
      throw;
    } catch (const Error& e) {
      fail(e.reason(), e.fix());
    }
    make_bools(tensor);
    return tensor;
  }

  const TensorSource& source_;
  std::string what_;
  Parts parts_;
};

}  // namespace

void read_pending(const Source& source, const std::vector<PendingValues>& pending,
                  const std::function<void(int64_t done)>& progress) {
  constexpr size_t kPart = size_t{1} << 20, kRound = 64;  // bytes of a task, tasks between two calls of progress
  struct Part {
    std::string_view from;
    char* to;
  };
  std::vector<Part> parts;
  for (const PendingValues& values : pending) {
    auto* to = static_cast<char*>(Tensor(values.to).raw_data());
    for (size_t at = 0; at < values.from.size(); at += kPart) parts.push_back({values.from.substr(at, kPart), to + at});
  }
  int64_t done = 0;
  std::mutex mutex;
  std::exception_ptr failed;
  for (size_t first = 0; first < parts.size(); first += kRound) {
    const size_t count = std::min(kRound, parts.size() - first);
    parallel_for(static_cast<int64_t>(count), [&](int64_t task) {
      const Part& part = parts[first + static_cast<size_t>(task)];
      try {
        source.copy(part.from, part.to);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (failed == nullptr) failed = std::current_exception();
      }
    });
    if (failed != nullptr) std::rethrow_exception(failed);
    for (size_t i = first; i < first + count; ++i) done += static_cast<int64_t>(parts[i].from.size());
    if (progress) progress(done);
  }
}

std::optional<DType> dtype_of_onnx(int64_t data_type) {
  if (data_type < 0 || data_type >= static_cast<int64_t>(std::size(kTypes))) return std::nullopt;
  return kTypes[data_type].dtype;
}

int64_t onnx_of_dtype(DType dtype) {
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (kTypes[i].dtype == dtype) return static_cast<int64_t>(i);
  }
  return 0;
}

std::string onnx_type_name(int64_t data_type) {
  if (data_type < 0 || data_type >= static_cast<int64_t>(std::size(kTypes)))
    return formatted("{}, which is no type of ONNX", data_type);
  return kTypes[data_type].name;
}

NamedValue read_tensor_proto(const TensorSource& source, std::string_view message, const std::string& what) {
  return TensorReader(source, what).read(message);
}

NamedValue read_sparse_tensor_proto(const TensorSource& source, std::string_view message, const std::string& what) {
  NamedValue values, indices;
  Shape dims;
  Fields fields(source.source, message);
  while (fields.next()) {
    if (fields.number() == 1) values = read_tensor_proto(source, fields.bytes(), what + " values");
    if (fields.number() == 2) indices = read_tensor_proto(source, fields.bytes(), what + " indices");
    if (fields.number() == 3) {
      if (fields.field().type == Field::Type::kBytes) {
        std::string_view rest = fields.bytes();
        while (!rest.empty() && dims.size() <= 16) dims.push_back(static_cast<int64_t>(take_varint(source.source, rest)));
      } else if (dims.size() <= 16) {
        dims.push_back(fields.integer());
      }
    }
  }
  const std::string where = formatted("{}: {}: ", source.source.name, what);
  if (!values.value.is_tensor() || !indices.value.is_tensor() || indices.value.tensor().dtype() != DType::kInt64) {
    raise<FileError>("{}a sparse tensor without values or int64 indices\nstore it dense", where);
  }
  const Tensor &entries = values.value.tensor(), &places = indices.value.tensor();
  shape::Checked bytes(static_cast<int64_t>(element_size(entries.dtype())));
  for (const int64_t size : dims) {
    if (size < 0) raise<FileError>("{}dims has a negative size: {}\nsizes are 0 or more", where, size);
    bytes = bytes * size;
  }
  // What is stored in few bytes must not become many.
  constexpr int64_t kMostDense = int64_t{1} << 24;
  if (!bytes.ok() || bytes.value() > kMostDense || static_cast<int64_t>(dims.size()) > source.limits.rank) {
    raise<FileError>("{}a sparse tensor of shape {} would need more than {} bytes\nstore it dense", where, dims, kMostDense);
  }
  const auto rank = static_cast<int64_t>(dims.size());
  const bool linear = places.dim() == 1;
  if (entries.dim() != 1 || places.numel() != entries.numel() * (linear ? 1 : rank)) {
    raise<FileError>(
        "{}a sparse tensor has {} values and {} indices\n"
        "one index, or one per axis, for each value",
        where, entries.shape(), places.shape());
  }
  Tensor dense = Tensor::zeros(dims, entries.dtype());
  const size_t size = element_size(entries.dtype());
  const auto* index = places.data<int64_t>();
  int64_t before = -1;
  for (int64_t i = 0; i < entries.numel(); ++i) {
    int64_t at = 0;
    bool inside = true;
    for (int64_t axis = 0; axis < (linear ? 1 : rank); ++axis) {
      const int64_t place = index[linear ? i : i * rank + axis], n = linear ? dense.numel() : dims[static_cast<size_t>(axis)];
      inside = inside && place >= 0 && place < n;
      if (inside) at = linear ? place : at * n + place;
    }
    if (!inside) raise<FileError>("{}a sparse tensor has an index outside its shape {}\nindices count from 0", where, dims);
    if (at <= before)
      raise<FileError>(
          "{}the indices of a sparse tensor do not ascend\n"
          "list every entry once, in the order of the dense tensor",
          where);
    before = at;
    std::memcpy(static_cast<char*>(dense.raw_data()) + static_cast<size_t>(at) * size,
                static_cast<const char*>(entries.raw_data()) + static_cast<size_t>(i) * size, size);
  }
  return {values.name, dense};
}

}  // namespace convoy::onnx
