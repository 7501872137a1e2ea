#include "convoy/io/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/elements.h"
#include "convoy/io/file.h"
#include "convoy/io/npy_format.h"
#include "convoy/shape/checked.h"

namespace convoy::io {

namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr uint32_t kHeaderLimit = 1 << 20;
constexpr size_t kMostAxes = 64;

struct Header {
  std::string type;
  bool fortran_order = false;
  Shape shape;
};

// Reads the Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and nothing else.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& path) : text_(text), path_(path) {}

  Header read() {
    Header header;
    std::vector<std::string> seen;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted_text();
      expect(':');
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) fail(formatted("has {} twice", quote(key)));
      seen.push_back(key);
      if (key == "descr") {
        header.type = type();
      } else if (key == "fortran_order") {
        header.fortran_order = truth();
      } else if (key == "shape") {
        header.shape = sizes();
      } else {
        fail("has the unknown key " + quote(key));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    for (const char* key : {"descr", "fortran_order", "shape"}) {
      if (std::find(seen.begin(), seen.end(), key) == seen.end()) fail(formatted("has no '{}'", key));
    }
    skip_space();
    if (at_ != text_.size()) fail("goes on after its end");
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    raise<FileError>("{}: the npy header {}\nnumpy.save writes files that can be read", path_, what);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(formatted("should have '{}' at character {}", c, at_));
  }
  std::string quoted_text() {
    skip_space();
    const char mark = at_ < text_.size() ? text_[at_] : '\0';
    if (mark != '\'' && mark != '"') fail(formatted("should have text in quotes at character {}", at_));
    const size_t end = text_.find(mark, at_ + 1);
    if (end == std::string_view::npos) fail(formatted("has a text without end at character {}", at_));
    const std::string text(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return text;
  }
  std::string type() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') {
      raise<FileError>("{}: is an array of records, which cannot be read\nsave each field as an array of its own", path_);
    }
    return quoted_text();
  }
  bool truth() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return word == "True";
      }
    }
    fail(formatted("should have True or False at character {}", at_));
  }
  Shape sizes() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMostAxes) fail(formatted("has a shape of more than {} axes", kMostAxes));
      shape.push_back(size());
      accept('L');  // as Python 2 wrote long numbers
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  int64_t size() {
    skip_space();
    const size_t begin = at_;
    shape::Checked value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') value = value * 10 + (text_[at_++] - '0');
    if (at_ == begin) fail(formatted("should have a size from 0 at character {}", at_));
    if (!value.ok()) fail(formatted("has the size {}, which is too large", quote(text_.substr(begin, at_ - begin))));
    return value.value();
  }

  std::string_view text_;
  const std::string& path_;
  size_t at_ = 0;
};

struct Type {
  DType dtype;
  bool big_endian;
};

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr TypeName kTypeNames[] = {{"f4", DType::kFloat32}, {"f8", DType::kFloat64}, {"f2", DType::kFloat16},
                                   {"i8", DType::kInt64},   {"i4", DType::kInt32},   {"i2", DType::kInt16},
                                   {"i1", DType::kInt8},    {"u8", DType::kUInt64},  {"u4", DType::kUInt32},
                                   {"u2", DType::kUInt16},  {"u1", DType::kUInt8},   {"b1", DType::kBool}};

Type element_type(const std::string& path, const std::string& text) {
  std::string_view name = text;
  const char order = name.empty() ? '\0' : name[0];
  if (order == '<' || order == '>' || order == '=' || order == '|') name.remove_prefix(1);
  for (const TypeName& row : kTypeNames) {
    if (row.name == name) return {row.dtype, order == '>'};
  }
  raise<FileError>(
      "{}: has the type {}, which cannot be read\n"
      "float16, float32, float64, bool, int8 to int64 and uint8 to uint64 can: in NumPy, array.astype(\"float32\")",
      path, quote(text));
}

// Values in the order of the reversed shape to row-major order.
template <class T>
void from_fortran_order(const T* from, const Shape& shape, T* to) {
  const size_t axes = shape.size();
  std::vector<int64_t> stride(axes), index(axes);
  int64_t count = 1;
  for (size_t i = 0; i < axes; ++i) {
    stride[i] = count;
    count *= shape[i];
  }
  int64_t at = 0;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = from[at];
    for (size_t axis = axes; axis-- > 0;) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

Tensor read_npy_bytes(const std::string& path, uint64_t size, const ReadBytes& read, const ArrayFilter& wanted, ArrayInfo info) {
  std::array<uint8_t, 12> start{};
  constexpr uint64_t kShortStart = 10;  // of version 1
  read(start.data(), static_cast<size_t>(std::min(size, kShortStart)));
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
    raise<FileError>(
        "{}: is not an npy file\n"
        "numpy.save writes them; npz, safetensors and image files have functions of their own",
        path);
  const int major = start[6];
  if (major < 1 || major > 3 || start[7] != 0) {
    raise<FileError>("{}: has npy version {}.{}\n1.0, 2.0 and 3.0 can be read", path, major, start[7]);
  }
  const uint64_t text_begin = major == 1 ? kShortStart : start.size();
  if (size >= text_begin) read(start.data() + kShortStart, static_cast<size_t>(text_begin - kShortStart));
  uint32_t length = start[8] | static_cast<uint32_t>(start[9]) << 8;
  if (major > 1) length |= static_cast<uint32_t>(start[10]) << 16 | static_cast<uint32_t>(start[11]) << 24;
  if (size < text_begin || length > size - text_begin) {
    raise<FileError>(
        "{}: truncated: the npy header should take {} bytes, but the file has only {}\n"
        "copy or write it again",
        path, length, size);
  }
  if (length > kHeaderLimit) {
    raise<FileError>(
        "{}: the npy header takes {} bytes, more than the limit of {}\n"
        "numpy.save writes shorter headers",
        path, length, kHeaderLimit);
  }
  std::string text(length, '\0');
  read(text.data(), text.size());
  const Header header = HeaderReader(text, path).read();
  const Type type = element_type(path, header.type);

  shape::Checked count = 1, span = 16;  // span: what Tensor can address, a size of 0 counted as 1
  for (const int64_t n : header.shape) {
    count = count * n;
    span = span * std::max<int64_t>(n, 1);
  }
  if (!span.ok())
    raise<FileError>(
        "{}: the shape {} has more elements than 64 bits can count\n"
        "the header is damaged: write the file again",
        path, header.shape);
  const uint64_t needed = static_cast<uint64_t>(count.value()) * element_size(type.dtype);
  const uint64_t has = size - text_begin - length;
  if (needed != has) {
    raise<FileError>(
        "{}{}: shape {} of type {} needs {} bytes, but {} follow the header\n"
        "copy or write it again",
        path, needed > has ? ": truncated" : ": too long", header.shape, quote(header.type), needed, has);
  }

  info.shape = header.shape;
  info.dtype = type.dtype;
  if (wanted && !wanted(info)) return {};

  Shape stored = header.shape;
  const bool reorder = header.fortran_order && stored.size() > 1;
  need_room(formatted("{}: the array takes", path), needed * (reorder ? 2 : 1));
  if (reorder) std::reverse(stored.begin(), stored.end());
  Tensor values = Tensor::empty(stored, type.dtype);
  read_elements(read, type.big_endian, values);
  if (!reorder) return values;
  Tensor ordered = Tensor::empty(header.shape, values.dtype());
  with_element_size(values.dtype(), [&](auto bits) {
    using T = decltype(bits);
    from_fortran_order(static_cast<const T*>(values.raw_data()), header.shape, static_cast<T*>(ordered.raw_data()));
  });
  return ordered;
}

std::string npy_header(const Tensor& tensor) {
  std::string text = "{'descr': '";
  const auto* row =
      std::find_if(std::begin(kTypeNames), std::end(kTypeNames), [&](const TypeName& r) { return r.dtype == tensor.dtype(); });
  text += element_size(tensor.dtype()) == 1 ? '|' : '<';
  text += row->name;
  text += "', 'fortran_order': False, 'shape': (";
  for (int64_t axis = 0; axis < tensor.dim(); ++axis) text += (axis > 0 ? ", " : "") + std::to_string(tensor.size(axis));
  text += tensor.dim() == 1 ? ",), }" : "), }";
  constexpr size_t kStart = 10, kAlignment = 64;  // so that the values can be mapped
  text.resize((kStart + text.size() + 1 + kAlignment - 1) / kAlignment * kAlignment - kStart, ' ');
  text.back() = '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return header + text;
}

Tensor read_npy(const std::string& path, const ArrayFilter& wanted) {
  const ByteSource source = ByteSource::open(path);
  return read_npy_bytes(path, source.size(), source.from(0), wanted, {});
}

Tensor parse_npy(const void* bytes, size_t size, const std::string& name) {
  const ByteSource source = ByteSource::memory(bytes, size, name);
  return read_npy_bytes(name, size, source.from(0), {}, {});
}

void write_npy(const std::string& path, const Tensor& tensor) {
  if (!tensor.defined()) raise<ValueError>("{}: cannot write an undefined tensor\ngive it values first", path);
  if (tensor.dtype() == DType::kBFloat16) return write_npy(path, tensor.to(DType::kFloat32));
  const std::string header = npy_header(tensor);
  OutputFile file(path);
  file.write(header.data(), header.size());
  file.write(tensor.raw_data(), tensor.nbytes());
  file.commit();
}

}  // namespace convoy::io
