#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <unordered_set>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"
#include "convoy/io/inflate.h"
#include "convoy/io/npy.h"
#include "convoy/io/npy_format.h"

namespace convoy::io {

namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50, kLocator64Magic = 0x07064b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr uint16_t kStored = 0, kDeflated = 8;
constexpr uint16_t kEncryptedFlag = 1, kUtf8Flag = 1 << 11;
constexpr uint64_t kDirectoryLimit = 64 << 20;
constexpr uint32_t kIn64 = 0xffffffffu;  // "see the zip64 field"
constexpr std::string_view kEnding = ".npy";

template <class T>
T get(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct Entry {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint32_t checksum = 0;
  uint64_t packed = 0, size = 0, header = 0;
  uint64_t begin = 0;  // of the packed bytes
};

struct Directory {
  uint64_t entries = 0, size = 0, offset = 0;
};

class ZipReader {
 public:
  explicit ZipReader(const ByteSource& source) : source_(source), path_(source.name()) {}

  std::vector<Entry> entries() {
    const Directory directory = find_directory();
    if (directory.offset > source_.size() || directory.size > source_.size() - directory.offset) {
      fail("the zip directory lies outside of the file");
    }
    if (directory.size > kDirectoryLimit) fail(formatted("the zip directory takes {} bytes", directory.size));
    if (directory.entries > directory.size / kCentralBytes) fail("the zip directory is too short for its entries");
    std::vector<uint8_t> bytes(static_cast<size_t>(directory.size));
    source_.read(directory.offset, bytes.data(), bytes.size());

    std::vector<Entry> entries;
    std::unordered_set<std::string> names;
    size_t at = 0;
    for (uint64_t i = 0; i < directory.entries; ++i) {
      entries.push_back(entry(bytes, at));
      if (!names.insert(entries.back().name).second) fail("two entries have the name " + quote(entries.back().name));
    }
    if (at != bytes.size()) fail("the zip directory goes on after its entries");
    for (Entry& e : entries) locate(e, directory.offset);
    check_overlap(entries);
    return entries;
  }

  /// The array of an entry, unpacked piece by piece; an undefined tensor if `wanted` says no.
  Tensor array(const Entry& entry, size_t arrays, const ArrayFilter& wanted) {
    const std::string shown = "entry " + quote(entry.name);
    const auto broken = [&] { fail(shown + ": the compressed bytes are broken"); };
    std::optional<InflateReader> packed;
    if (entry.method == kDeflated) packed.emplace(source_, entry.begin, entry.packed, formatted("{}: {}", path_, shown));
    const ReadBytes stored = source_.from(entry.begin);
    uLong checksum = crc32(0, nullptr, 0);
    const ReadBytes read = [&](void* to, size_t count) {
      constexpr size_t kBlock = size_t{1} << 20;
      for (size_t at = 0; at < count; at += kBlock) {
        uint8_t* const block = static_cast<uint8_t*>(to) + at;
        const size_t bytes = std::min(kBlock, count - at);
        if (!packed) {
          stored(block, bytes);
        } else if (packed->read(block, bytes) < bytes) {
          broken();
        }
        checksum = crc32_z(checksum, block, bytes);
      }
    };
    ArrayInfo info{.name = entry.name.substr(0, entry.name.size() - kEnding.size()), .arrays = arrays};
    const Tensor values = read_npy_bytes(formatted("{}: {}", path_, shown), entry.size, read, wanted, std::move(info));
    if (!values.defined()) return values;
    uint8_t more = 0;
    if (packed && (packed->read(&more, 1) != 0 || packed->left() != 0)) broken();
    if (checksum != entry.checksum) fail(shown + ": the checksum is wrong");
    return values;
  }

 private:
  [[noreturn]] void fail(std::string_view reason, std::string_view fix = {}) const {
    raise<FileError>("{}: {}\n{}", path_, reason, fix);
  }

  Directory find_directory() {
    if (source_.size() < kEndBytes) fail("is not an npz file: too short for a zip archive");
    const auto length = static_cast<size_t>(std::min<uint64_t>(source_.size(), kEndBytes + 0xffff));
    const uint64_t tail_begin = source_.size() - length;
    std::vector<uint8_t> tail(length);
    source_.read(tail_begin, tail.data(), length);
    for (size_t at = length - kEndBytes + 1; at-- > 0;) {
      const uint8_t* end = tail.data() + at;
      if (get<uint32_t>(end) != kEndMagic || get<uint16_t>(end + 20) != length - at - kEndBytes) continue;
      Directory directory{get<uint16_t>(end + 10), get<uint32_t>(end + 12), get<uint32_t>(end + 16)};
      const uint64_t end_offset = tail_begin + at;
      if (end_offset >= kLocatorBytes) {
        std::vector<uint8_t> locator(kLocatorBytes);
        source_.read(end_offset - kLocatorBytes, locator.data(), kLocatorBytes);
        if (get<uint32_t>(locator.data()) == kLocator64Magic) directory = find_directory64(get<uint64_t>(locator.data() + 8));
      }
      return directory;
    }
    fail("is not an npz file: the zip directory is missing", "the file may be truncated");
  }

  Directory find_directory64(uint64_t offset) {
    if (source_.size() < kEnd64Bytes || offset > source_.size() - kEnd64Bytes) fail("the zip64 directory lies outside of the file");
    std::vector<uint8_t> end(kEnd64Bytes);
    source_.read(offset, end.data(), kEnd64Bytes);
    if (get<uint32_t>(end.data()) != kEnd64Magic) fail("the zip64 directory is broken");
    return {get<uint64_t>(end.data() + 32), get<uint64_t>(end.data() + 40), get<uint64_t>(end.data() + 48)};
  }

  Entry entry(const std::vector<uint8_t>& bytes, size_t& at) {
    if (bytes.size() - at < kCentralBytes || get<uint32_t>(bytes.data() + at) != kCentralMagic) fail("the zip directory is broken");
    const uint8_t* p = bytes.data() + at;
    Entry e;
    e.flags = get<uint16_t>(p + 8);
    e.method = get<uint16_t>(p + 10);
    e.checksum = get<uint32_t>(p + 16);
    e.packed = get<uint32_t>(p + 20);
    e.size = get<uint32_t>(p + 24);
    e.header = get<uint32_t>(p + 42);
    const size_t name = get<uint16_t>(p + 28), extra = get<uint16_t>(p + 30), comment = get<uint16_t>(p + 32);
    if (bytes.size() - at - kCentralBytes < name + extra + comment) fail("the zip directory is broken");
    e.name.assign(reinterpret_cast<const char*>(p + kCentralBytes), name);
    read_zip64(p + kCentralBytes + name, extra, e);
    at += kCentralBytes + name + extra + comment;

    const std::string shown = "entry " + quote(e.name);
    if ((e.flags & kEncryptedFlag) != 0) fail(shown + " is encrypted");
    if (e.method != kStored && e.method != kDeflated) {
      fail(formatted("{} is packed by method {}", shown, e.method), "stored (0) and deflated (8) entries can be read");
    }
    if (e.method == kStored && e.packed != e.size) fail(shown + " is stored, but its two sizes differ");
    // Deflate shrinks by 1032 at most.
    if (e.size / 1032 > e.packed) fail(formatted("{}: {} bytes cannot hold {}", shown, e.packed, e.size));
    return e;
  }

  // Sizes that do not fit 32 bits stand in an extra field, in this order, and only those.
  void read_zip64(const uint8_t* extra, size_t length, Entry& e) {
    uint64_t* const missing[] = {e.size == kIn64 ? &e.size : nullptr, e.packed == kIn64 ? &e.packed : nullptr,
                                 e.header == kIn64 ? &e.header : nullptr};
    while (length >= 4) {
      const size_t kind = get<uint16_t>(extra), field = get<uint16_t>(extra + 2);
      if (field > length - 4) fail(formatted("entry {}: the extra field is broken", quote(e.name)));
      size_t at = 0;
      for (uint64_t* value : missing) {
        if (kind != 1 || value == nullptr) continue;
        if (field - at < 8) fail(formatted("entry {}: the zip64 field is broken", quote(e.name)));
        *value = get<uint64_t>(extra + 4 + at);
        at += 8;
      }
      if (kind == 1) return;
      extra += 4 + field;
      length -= 4 + field;
    }
  }

  void locate(Entry& e, uint64_t limit) {
    const std::string shown = "entry " + quote(e.name);
    if (e.header > limit || limit - e.header < kLocalBytes) fail(shown + " lies outside of the file");
    std::vector<uint8_t> local(kLocalBytes);
    source_.read(e.header, local.data(), local.size());
    const size_t name = get<uint16_t>(local.data() + 26), extra = get<uint16_t>(local.data() + 28);
    if (get<uint32_t>(local.data()) != kLocalMagic) fail(shown + " does not begin where the directory says");
    const uint64_t room = limit - e.header - kLocalBytes;
    if (name + extra > room || e.packed > room - name - extra) fail(shown + " lies outside of the file");
    std::string here(name, '\0');
    source_.read(e.header + kLocalBytes, here.data(), here.size());
    if (here != e.name) fail(formatted("{} is called {} where it begins", shown, quote(here)));
    e.begin = e.header + kLocalBytes + name + extra;
  }

  // Entries that share bytes are how a small archive unpacks to terabytes.
  void check_overlap(const std::vector<Entry>& entries) {
    std::vector<const Entry*> sorted;
    for (const Entry& e : entries) sorted.push_back(&e);
    std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) { return a->header < b->header; });
    for (size_t i = 1; i < sorted.size(); ++i) {
      if (sorted[i]->header < sorted[i - 1]->begin + sorted[i - 1]->packed) {
        fail(formatted("entries {} and {} overlap", quote(sorted[i - 1]->name), quote(sorted[i]->name)));
      }
    }
  }

  const ByteSource& source_;
  const std::string& path_;
};

std::vector<std::pair<std::string, Tensor>> read(const ByteSource& source, const ArrayFilter& wanted) {
  ZipReader zip(source);
  const std::vector<Entry> entries = zip.entries();
  for (const Entry& e : entries) {
    if (e.name.size() < kEnding.size() || e.name.substr(e.name.size() - kEnding.size()) != kEnding) {
      raise<FileError>("{}: entry {} is not an array\nthe names in an npz archive end with .npy", source.name(), quote(e.name));
    }
  }
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const Entry& e : entries) {
    Tensor values = zip.array(e, entries.size(), wanted);
    if (values.defined()) tensors.emplace_back(e.name.substr(0, e.name.size() - kEnding.size()), std::move(values));
  }
  return tensors;
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path, const ArrayFilter& wanted) {
  return read(ByteSource::open(path), wanted);
}

std::vector<std::pair<std::string, Tensor>> parse_npz(const void* bytes, size_t size, const std::string& name) {
  return read(ByteSource::memory(bytes, size, name), {});
}

void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors) {
  std::unordered_set<std::string> names;
  uint64_t total = kEndBytes;
  const auto unknown_to_numpy = [](const auto& entry) {
    return entry.second.defined() && entry.second.dtype() == DType::kBFloat16;
  };
  if (std::any_of(tensors.begin(), tensors.end(), unknown_to_numpy)) {
    auto widened = tensors;
    for (auto& entry : widened) {
      if (unknown_to_numpy(entry)) entry.second = entry.second.to(DType::kFloat32);
    }
    return write_npz(path, widened);
  }
  for (const auto& [name, tensor] : tensors) {
    if (!names.insert(name).second) raise<ValueError>("{}: two arrays have the name {}\ngive each its own name", path, quote(name));
    if (!tensor.defined()) raise<ValueError>("{}: array {} is undefined\nleave it out, or give it values first", path, quote(name));
    if (name.size() > 60000) raise<ValueError>("{}: the name {} is too long\nnames may have up to 65535 bytes", path, quote(name));
    total += kLocalBytes + kCentralBytes + 2 * (name.size() + kEnding.size()) + npy_header(tensor).size() + tensor.nbytes();
  }
  if (total >= kIn64 || tensors.size() >= 0xffff) {
    raise<ValueError>(
        "{}: {} arrays of {} bytes together do not fit an npz file\n"
        "65534 arrays and 4 GiB do; a safetensors file has no such limit",
        path, tensors.size(), total);
  }

  OutputFile file(path);
  std::string directory;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string entry = name + std::string(kEnding), header = npy_header(tensor);
    uLong checksum = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    checksum = crc32_z(checksum, static_cast<const Bytef*>(tensor.raw_data()), tensor.nbytes());
    std::string common;  // of the local header and the directory: version needed, flags, method, time, sizes
    put<uint16_t>(common, 20);
    put<uint16_t>(common, is_ascii(entry) ? 0 : kUtf8Flag);
    put<uint16_t>(common, kStored);
    put<uint16_t>(common, 0);
    put<uint16_t>(common, 0x21);  // 1 January 1980: the same tensors give the same file
    put<uint32_t>(common, static_cast<uint32_t>(checksum));
    put<uint32_t>(common, static_cast<uint32_t>(header.size() + tensor.nbytes()));
    put<uint32_t>(common, static_cast<uint32_t>(header.size() + tensor.nbytes()));
    put<uint16_t>(common, static_cast<uint16_t>(entry.size()));
    put<uint16_t>(common, 0);

    std::string local;
    put(local, kLocalMagic);
    local += common + entry + header;
    file.write(local.data(), local.size());
    file.write(tensor.raw_data(), tensor.nbytes());

    put(directory, kCentralMagic);
    put<uint16_t>(directory, 20);
    directory += common;
    put<uint16_t>(directory, 0);
    put<uint16_t>(directory, 0);
    put<uint16_t>(directory, 0);
    put<uint32_t>(directory, 0);
    put<uint32_t>(directory, static_cast<uint32_t>(offset));
    directory += entry;
    offset += local.size() + tensor.nbytes();
  }
  const size_t directory_size = directory.size();
  put(directory, kEndMagic);
  put<uint32_t>(directory, 0);
  put<uint16_t>(directory, static_cast<uint16_t>(tensors.size()));
  put<uint16_t>(directory, static_cast<uint16_t>(tensors.size()));
  put<uint32_t>(directory, static_cast<uint32_t>(directory_size));
  put<uint32_t>(directory, static_cast<uint32_t>(offset));
  put<uint16_t>(directory, 0);
  file.write(directory.data(), directory.size());
  file.commit();
}

}  // namespace convoy::io
