#include "convoy/onnx/file_bytes.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::onnx {
namespace {

constexpr size_t kStep = 4096;          // of reading on
constexpr size_t kLargeValues = 65536;  // bytes of a tensor's values that are left in the file

// From ModelProto to the values: the field that leads on, and at the end those that hold values as they lie in memory.
constexpr uint64_t kGraph = 7, kInitializer = 5, kFloatData = 4, kRawData = 9, kDoubleData = 10;
constexpr int kModelLevel = 0, kGraphLevel = 1, kTensorLevel = 2;

}  // namespace

FileBytes::FileBytes(const std::string& path, int64_t limit) : file_(io::ByteSource::open(path)) {
  if (file_.size() > static_cast<uint64_t>(limit)) {
    raise<FileError>("{}: the file has {} bytes\nthe limit is Limits::file_bytes", path, file_.size());
  }
  size_ = static_cast<size_t>(file_.size());
  // Pages that nobody touches cost nothing.
  reserved_ = std::max<size_t>(size_, 1);
  void* const memory = ::mmap(nullptr, reserved_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    raise<OutOfMemory>("not enough memory: tried to allocate {} bytes\nclose other programs", size_);
  }
  bytes_ = static_cast<char*>(memory);
  try {
    // What is damaged is read whole: the reader says where.
    skim(0, size_, kModelLevel);
    need(size_);
  } catch (...) {
    ::munmap(bytes_, reserved_);
    throw;
  }
}

FileBytes::~FileBytes() { ::munmap(bytes_, reserved_); }

void FileBytes::copy(std::string_view part, void* to) const {
  if (part.empty()) return;
  const auto begin = static_cast<size_t>(part.data() - bytes_);
  const auto after = std::upper_bound(gaps_.begin(), gaps_.end(), begin, [](size_t at, const Gap& gap) { return at < gap.begin; });
  if (after != gaps_.begin() && begin < std::prev(after)->end) {
    file_.read(begin, to, part.size());
  } else {
    std::memcpy(to, part.data(), part.size());
  }
}

void FileBytes::need(size_t end) {
  if (end <= read_) return;
  const size_t to = std::min(size_, std::max(end, read_ + kStep));
  file_.read(read_, bytes_ + read_, to - read_);
  read_ = to;
}

bool FileBytes::number(size_t& at, size_t end, uint64_t& value) {
  value = 0;
  for (int shift = 0; at < end && shift < 64; shift += 7) {
    need(at + 1);
    const auto byte = static_cast<unsigned char>(bytes_[at++]);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool FileBytes::head(size_t& at, size_t end, Head& field) {
  uint64_t key = 0;
  if (at >= end || !number(at, end, key)) return false;
  field = {key >> 3, static_cast<int>(key & 7), 0};
  switch (field.wire) {
    case 0: {
      uint64_t value = 0;
      return number(at, end, value);
    }
    case 1:
      field.length = 8;
      break;
    case 2:
      if (!number(at, end, field.length)) return false;
      break;
    case 5:
      field.length = 4;
      break;
    default:
      return false;
  }
  return field.length <= std::min<uint64_t>(end - at, UINT32_MAX);  // the reader counts in 32 bits
}

// Walks over [begin, end), a message of the level. False if it is damaged.
bool FileBytes::skim(size_t begin, size_t end, int level) {
  size_t at = begin;
  Head field;
  while (at < end) {
    if (!head(at, end, field)) return false;
    const size_t next = at + static_cast<size_t>(field.length);
    const bool leads_on = field.wire == 2 && ((level == kModelLevel && field.number == kGraph) ||
                                              (level == kGraphLevel && field.number == kInitializer));
    const bool values = field.wire == 2 && level == kTensorLevel && next - at >= kLargeValues &&
                        (field.number == kRawData || field.number == kFloatData || field.number == kDoubleData);
    if (leads_on) {
      if (!skim(at, next, level + 1)) return false;
    } else if (values) {
      gaps_.push_back({at, next});
      read_ = std::max(read_, next);
    } else {
      need(next);
    }
    at = next;
  }
  return true;
}

}  // namespace convoy::onnx
