#include "convoy/data/idx.h"

#include <algorithm>
#include <optional>
#include <string>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/inflate.h"
#include "convoy/shape/checked.h"

namespace convoy::data {

namespace {

constexpr uint8_t kUnsignedByte = 8;
constexpr uint64_t kMostShrunk = 1032;  // what deflate makes of zeros

// The bytes of the file in order, unpacked if need be.
class Bytes {
 public:
  explicit Bytes(const io::ByteSource& source) : source_(source) {
    if (io::is_gzip(source)) gzip_.emplace(source);
  }

  size_t read(void* to, size_t count) {
    if (gzip_) return gzip_->read(to, count);
    const auto take = static_cast<size_t>(std::min<uint64_t>(count, source_.size() - offset_));
    source_.read(offset_, to, take);
    offset_ += take;
    return take;
  }

  /// An upper bound of what is there.
  uint64_t most() const { return gzip_ ? source_.size() * kMostShrunk : source_.size(); }

 private:
  const io::ByteSource& source_;
  std::optional<io::InflateReader> gzip_;
  uint64_t offset_ = 0;
};

}  // namespace

IdxArray read_idx(const io::ByteSource& source, int axes) {
  const std::string& path = source.name();
  const auto fail = [&](std::string_view reason, std::string_view fix = {}) { raise<FileError>("{}: {}\n{}", path, reason, fix); };
  Bytes bytes(source);
  uint8_t magic[4] = {};
  if (bytes.read(magic, sizeof magic) < sizeof magic || magic[0] != 0 || magic[1] != 0) {
    fail("is not an IDX file", "MNIST's files begin with 0, 0, 8 and the number of dimensions");
  }
  if (magic[2] != kUnsignedByte) {
    fail(formatted("has values of IDX type {}", magic[2]), "unsigned bytes (type 8) can be read");
  }
  if (magic[3] != axes) {
    fail(formatted("has {} dimensions, but should have {}", magic[3], axes), "images have 3, labels have 1");
  }
  IdxArray array;
  shape::Checked count = 1;
  for (int axis = 0; axis < axes; ++axis) {
    uint8_t size[4];
    if (bytes.read(size, sizeof size) < sizeof size) fail("truncated: it ends inside of the header");
    const uint32_t value =
        static_cast<uint32_t>(size[0]) << 24 | static_cast<uint32_t>(size[1]) << 16 | static_cast<uint32_t>(size[2]) << 8 | size[3];
    array.shape.push_back(value);
    count = count * value;
  }
  if (!count.ok() || static_cast<uint64_t>(count.value()) > bytes.most()) {
    fail(formatted("truncated: dimensions {} are more than {} bytes can hold", array.shape, source.size()));
  }
  io::need_room(formatted("{}: the array {} takes", path, array.shape), static_cast<uint64_t>(count.value()));
  array.values.resize(static_cast<size_t>(count.value()));
  const size_t got = bytes.read(array.values.data(), array.values.size());
  if (got < array.values.size()) {
    fail(formatted("truncated: dimensions {} need {} values, but there are {}", array.shape, array.values.size(), got));
  }
  uint8_t more = 0;
  if (bytes.read(&more, 1) != 0) {
    fail(formatted("too long: dimensions {} need {} values, but there are more", array.shape, array.values.size()));
  }
  return array;
}

}  // namespace convoy::data
