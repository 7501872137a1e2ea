#include "convoy/io/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/utf8.h"
#include "convoy/io/elements.h"
#include "convoy/io/file.h"
#include "convoy/shape/checked.h"

namespace convoy::io {

namespace {

using nlohmann::json;

constexpr uint64_t kHeaderLimit = 100'000'000;
constexpr size_t kLengthBytes = 8;
constexpr size_t kMostAxes = 64;
constexpr int kDeepest = 16;
constexpr char kMetadataKey[] = "__metadata__";

struct TypeName {
  const char* name;
  DType dtype;
};
constexpr TypeName kTypeNames[] = {
    {"F32", DType::kFloat32}, {"F64", DType::kFloat64}, {"F16", DType::kFloat16}, {"BF16", DType::kBFloat16},
    {"I64", DType::kInt64},   {"I32", DType::kInt32},   {"I16", DType::kInt16},   {"I8", DType::kInt8},
    {"U64", DType::kUInt64},  {"U32", DType::kUInt32},  {"U16", DType::kUInt16},  {"U8", DType::kUInt8},
    {"BOOL", DType::kBool},
};

std::string known_types() {
  std::string text;
  for (const TypeName& row : kTypeNames) text += (text.empty() ? "" : ", ") + std::string(row.name);
  return text;
}

const char* name_of(DType dtype) {
  const auto* row = std::find_if(std::begin(kTypeNames), std::end(kTypeNames), [&](const TypeName& r) { return r.dtype == dtype; });
  return row->name;
}

// One tensor as the header describes it.
struct Entry {
  std::string name;
  std::optional<DType> dtype;
  std::optional<std::vector<uint64_t>> shape, offsets;
  uint64_t begin = 0, end = 0;
};

// Takes the header's JSON apart event by event: no tree is built, so that depth and memory are bounded by what a header may hold
// and repeated keys are seen.
class HeaderReader : public nlohmann::json_sax<json> {
 public:
  explicit HeaderReader(std::string path) : path_(std::move(path)) {}

  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { return scalar("null"); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return scalar(std::to_string(value)); }
  bool number_float(number_float_t value, const string_t& text) override { return scalar(text); }
  bool binary(binary_t& value) override { return scalar("binary"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape || place_ == Place::kOffsets) {
      std::vector<uint64_t>& list = place_ == Place::kShape ? *entries.back().shape : *entries.back().offsets;
      if (place_ == Place::kShape && list.size() == kMostAxes) {
        fail(formatted("{} has more than {} axes", tensor(), kMostAxes));
      }
      if (place_ == Place::kOffsets && list.size() == 2) fail(tensor() + ": data_offsets should be 2 numbers, but has more");
      list.push_back(value);
      return true;
    }
    return scalar(std::to_string(value));
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata[key_] = std::move(value);
      return true;
    }
    if (place_ == Place::kEntry && key_ == "dtype") {
      for (const TypeName& row : kTypeNames) {
        if (value == row.name) entries.back().dtype = row.dtype;
      }
      if (!entries.back().dtype)
        fail(formatted("{} has the unknown dtype {}", tensor(), quote(value)), "known are " + known_types());
      return true;
    }
    return scalar(quote(value));
  }

  bool start_object(size_t) override {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kRoot;
        return true;
      case Place::kRoot:
        if (key_ == kMetadataKey) {
          place_ = Place::kMetadata;
        } else {
          entries.emplace_back();
          entries.back().name = key_;
          place_ = Place::kEntry;
        }
        keys_in_entry_.clear();
        return true;
      default:
        return start_nested("an object");
    }
  }

  bool end_object() override {
    if (skipping_ > 0) {
      --skipping_;
    } else {
      place_ = place_ == Place::kRoot ? Place::kStart : Place::kRoot;
    }
    return true;
  }

  bool start_array(size_t) override {
    if (skipping_ == 0 && place_ == Place::kEntry && key_ == "shape") {
      entries.back().shape.emplace();
      place_ = Place::kShape;
      return true;
    }
    if (skipping_ == 0 && place_ == Place::kEntry && key_ == "data_offsets") {
      entries.back().offsets.emplace();
      place_ = Place::kOffsets;
      return true;
    }
    return start_nested("an array");
  }

  bool end_array() override {
    if (skipping_ > 0) {
      --skipping_;
    } else {
      place_ = Place::kEntry;
    }
    return true;
  }

  bool key(string_t& value) override {
    if (skipping_ > 0) return true;
    key_ = std::move(value);
    if (place_ == Place::kRoot && !names_.insert(key_).second) {
      fail(key_ == kMetadataKey ? "the header has __metadata__ twice" : "two tensors have the name " + quote(key_));
    }
    if (place_ == Place::kMetadata && metadata.count(key_) > 0) fail(formatted("__metadata__ has the key {} twice", quote(key_)));
    if (place_ == Place::kEntry) {
      if (std::find(keys_in_entry_.begin(), keys_in_entry_.end(), key_) != keys_in_entry_.end()) {
        fail(formatted("{} has the key {} twice", tensor(), quote(key_)));
      }
      if (keys_in_entry_.size() == kMostAxes) fail(formatted("{} has more than {} keys", tensor(), kMostAxes));
      keys_in_entry_.push_back(key_);
    }
    return true;
  }

  bool parse_error(size_t position, const std::string& token, const json::exception&) override {
    fail(formatted("the header is not valid JSON at byte {}{}", kLengthBytes + position,
                   token.empty() ? "" : ", near " + quote(token)));
  }

 private:
  enum class Place : uint8_t { kStart, kRoot, kMetadata, kEntry, kShape, kOffsets };

  [[noreturn]] void fail(std::string_view reason, std::string_view fix = {}) const {
    raise<FileError>("{}: {}\n{}", path_, reason, fix);
  }

  std::string tensor() const { return "tensor " + quote(entries.back().name); }

  // A value that is not what its place asks for; fields that the format does not know are passed over.
  bool scalar(const std::string& shown) {
    if (skipping_ > 0) return true;
    switch (place_) {
      case Place::kStart:
        fail("the header is not a JSON object");
      case Place::kRoot:
        fail(formatted("{} should be an object, but is {}", quote(key_), shown));
      case Place::kMetadata:
        fail(formatted("__metadata__ should hold text, but {} is {}", quote(key_), shown));
      case Place::kShape:
        fail(formatted("{}: a size in shape should be a whole number from 0, but is {}", tensor(), shown));
      case Place::kOffsets:
        fail(formatted("{}: data_offsets should be whole numbers from 0, but one is {}", tensor(), shown));
      case Place::kEntry:
        break;
    }
    if (key_ == "dtype" || key_ == "shape" || key_ == "data_offsets") {
      fail(formatted("{}: {} should be {}, but is {}", tensor(), key_, key_ == "dtype" ? "text" : "a list of numbers", shown));
    }
    return true;
  }

  bool start_nested(const std::string& kind) {
    if (skipping_ == 0) scalar(kind);
    if (++skipping_ > kDeepest) fail(formatted("the header is nested deeper than {} levels", kDeepest));
    return true;
  }

  std::string path_;
  Place place_ = Place::kStart;
  int skipping_ = 0;  // depth inside a value that is passed over
  std::string key_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> keys_in_entry_;
};

// Checks one entry by itself: complete, and as many bytes as its shape and type need.
void check_entry(const std::string& path, Entry& entry, uint64_t buffer) {
  const auto fail = [&](std::string_view reason) {
    raise<FileError>(
        "{}: tensor {}{}\n"
        "the file is damaged or was made by a broken writer: write it again",
        path, quote(entry.name), reason);
  };
  if (!entry.dtype) fail(" has no dtype");
  if (!entry.shape) fail(" has no shape");
  if (!entry.offsets) fail(" has no data_offsets");
  if (entry.offsets->size() != 2) fail(formatted(": data_offsets should be 2 numbers, but has {}", entry.offsets->size()));
  entry.begin = (*entry.offsets)[0];
  entry.end = (*entry.offsets)[1];
  const std::string offsets = formatted("data_offsets [{}, {}]", entry.begin, entry.end);
  if (entry.begin > entry.end) fail(formatted(": {} are reversed", offsets));
  if (entry.end > buffer) {
    fail(formatted(": {} reach beyond the end of the file, whose values take {} bytes", offsets, buffer));
  }
  std::string shape = "[";
  shape::Checked count = 1, span = 16;  // span: what Tensor can address, a size of 0 counted as 1
  for (const uint64_t n : *entry.shape) {
    shape += (shape.size() > 1 ? ", " : "") + std::to_string(n);
    const auto size = static_cast<int64_t>(std::min<uint64_t>(n, INT64_MAX));
    count = count * size;
    span = span * std::max<int64_t>(size, 1);
  }
  shape += "]";
  if (!count.ok() || !span.ok()) fail(formatted(": the shape {} has more elements than 64 bits can count", shape));
  const auto needed = static_cast<uint64_t>(count.value()) * element_size(*entry.dtype);
  if (needed != entry.end - entry.begin) {
    fail(formatted(": shape {} of {} needs {} bytes, but {} give {}", shape, name_of(*entry.dtype), needed, offsets,
                   entry.end - entry.begin));
  }
}

// Checks that the tensors cover the buffer exactly once.
void check_tiling(const std::string& path, const std::vector<Entry>& entries, uint64_t buffer) {
  std::vector<const Entry*> sorted;
  sorted.reserve(entries.size());
  for (const Entry& entry : entries) sorted.push_back(&entry);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Entry* a, const Entry* b) { return a->begin != b->begin ? a->begin < b->begin : a->end < b->end; });
  uint64_t at = 0;
  const Entry* before = nullptr;
  for (const Entry* entry : sorted) {
    if (entry->begin < at) {
      raise<FileError>(
          "{}: tensors {} and {} overlap: the first ends at byte {}, the second begins at {}\n"
          "the file is damaged or was made by a broken writer: write it again",
          path, quote(before->name), quote(entry->name), at, entry->begin);
    }
    if (entry->begin > at) {
      raise<FileError>(
          "{}: bytes {} to {} before tensor {} belong to no tensor\n"
          "the file is damaged or was made by a broken writer: write it again",
          path, at, entry->begin, quote(entry->name));
    }
    at = entry->end;
    before = entry;
  }
  if (at != buffer) {
    raise<FileError>(
        "{}: the tensors end at byte {}, but the values take {} bytes\n"
        "the file is damaged or was made by a broken writer: write it again",
        path, at, buffer);
  }
}

// What a file that is no safetensors file seems to be.
std::string guess(const ByteSource& source) {
  std::array<unsigned char, 4> start{};
  source.read(0, start.data(), start.size());
  if (std::memcmp(start.data(), "PK\x03\x04", 4) == 0) {
    return "it looks like a zip file, as torch.save writes: in Python, safetensors.torch.save_file(state_dict, "
           "\"model.safetensors\") converts it";
  }
  if (std::memcmp(start.data(), "\x93NUM", 4) == 0) return "it looks like an npy file";
  if (start[0] == 0x80) return "it looks like a Python pickle";
  return "it is probably not a safetensors file";
}

SafeTensors read(const ByteSource& source) {
  const std::string& path = source.name();
  const auto fail = [&](std::string_view reason, std::string_view fix = {}) { raise<FileError>("{}: {}\n{}", path, reason, fix); };
  if (source.size() < kLengthBytes) {
    fail(formatted("too short for a safetensors file: it has {} bytes, and the header's length alone takes 8", source.size()));
  }
  uint64_t length = 0;
  source.read(0, &length, kLengthBytes);
  if (length > kHeaderLimit) {
    fail(formatted("the header's length is {} bytes, more than the limit of {}", length, kHeaderLimit), guess(source));
  }
  if (length > source.size() - kLengthBytes) {
    fail(formatted("truncated: the header should take {} bytes, but only {} follow", length, source.size() - kLengthBytes),
         guess(source));
  }
  std::string header(static_cast<size_t>(length), '\0');
  source.read(kLengthBytes, header.data(), header.size());
  if (header.empty() || header[0] != '{') fail("the header does not start with '{'", guess(source));
  if (const auto bad = first_bad_utf8(header)) fail(formatted("the header is not UTF-8: see byte {}", kLengthBytes + *bad));

  // The JSON reader takes a zero byte for the end of the text, and would not see what stands behind it.
  if (const size_t zero = header.find('\0'); zero != std::string::npos) {
    fail(formatted("the header is not valid JSON at byte {}, which is zero", kLengthBytes + zero));
  }

  HeaderReader reader(path);
  json::sax_parse(header, &reader);
  const uint64_t start = kLengthBytes + length;
  const uint64_t buffer = source.size() - start;
  for (Entry& entry : reader.entries) check_entry(path, entry, buffer);
  check_tiling(path, reader.entries, buffer);
  need_room(formatted("{}: its tensors take", path), buffer);

  SafeTensors contents;
  contents.metadata = std::move(reader.metadata);
  contents.tensors.reserve(reader.entries.size());
  for (Entry& entry : reader.entries) {
    Tensor tensor = Tensor::empty(Shape(entry.shape->begin(), entry.shape->end()), *entry.dtype);
    read_elements(source.from(start + entry.begin), /*big_endian=*/false, tensor);
    contents.tensors.emplace_back(std::move(entry.name), std::move(tensor));
  }
  return contents;
}

std::string json_text(const std::string& path, const std::string& text) {
  if (first_bad_utf8(text))
    raise<ValueError>("{}: cannot write the name {}, which is not UTF-8\ngive it a name in UTF-8", path, quote(text));
  return json(text).dump();
}

}  // namespace

const Tensor* SafeTensors::find(const std::string& name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

SafeTensors read_safetensors(const std::string& path) { return read(ByteSource::open(path)); }

SafeTensors parse_safetensors(const void* bytes, size_t size, const std::string& name) {
  return read(ByteSource::memory(bytes, size, name));
}

void write_safetensors(const std::string& path, const SafeTensors& contents) {
  std::unordered_set<std::string> names = {kMetadataKey};
  for (const auto& [name, tensor] : contents.tensors) {
    if (name == kMetadataKey)
      raise<ValueError>("{}: a tensor cannot have the name __metadata__\nthe format keeps it for itself", path);
    if (!names.insert(name).second)
      raise<ValueError>(
          "{}: two tensors have the name {}\n"
          "give each its own name",
          path, quote(name));
    if (!tensor.defined())
      raise<ValueError>("{}: tensor {} is undefined\nleave it out, or give it values first", path, quote(name));
  }

  const size_t count = contents.tensors.size();
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return element_size(contents.tensors[a].second.dtype()) > element_size(contents.tensors[b].second.dtype());
  });
  std::vector<uint64_t> begin(count);
  uint64_t buffer = 0;
  for (const size_t i : order) {
    begin[i] = buffer;
    buffer += contents.tensors[i].second.nbytes();
  }

  std::string header = "{";
  if (!contents.metadata.empty()) {
    header += "\"__metadata__\":{";
    const char* separator = "";
    for (const auto& [key, value] : contents.metadata) {
      header += formatted("{}{}:{}", separator, json_text(path, key), json_text(path, value));
      separator = ",";
    }
    header += "}";
  }
  for (size_t i = 0; i < count; ++i) {
    const auto& [name, tensor] = contents.tensors[i];
    header += formatted("{}{}:{\"dtype\":\"{}\",\"shape\":[", header.size() > 1 ? "," : "", json_text(path, name),
                        name_of(tensor.dtype()));
    for (int64_t axis = 0; axis < tensor.dim(); ++axis) header += (axis > 0 ? "," : "") + std::to_string(tensor.size(axis));
    header += formatted("],\"data_offsets\":[{},{}]}", begin[i], begin[i] + tensor.nbytes());
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the values start aligned
  const uint64_t length = header.size();
  if (length > kHeaderLimit) {
    raise<ValueError>(
        "{}: the header would take {} bytes, more than the limit of {}\n"
        "write fewer tensors a file, or shorter names",
        path, length, kHeaderLimit);
  }

  OutputFile file(path);
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (const size_t i : order) file.write(contents.tensors[i].second.raw_data(), contents.tensors[i].second.nbytes());
  file.commit();
}

}  // namespace convoy::io
