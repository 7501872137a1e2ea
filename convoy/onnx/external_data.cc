#include "convoy/onnx/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"

namespace convoy::onnx {
namespace {

[[noreturn]] void refuse(const std::string& location, std::string_view reason, std::string_view fix) {
  raise<Error>("external data {} {}\n{}", io::quote(location), reason, fix);
}

std::vector<std::string> components(const std::string& location) {
  std::vector<std::string> parts;
  std::string_view rest = location;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return parts;
}

}  // namespace

ExternalData::ExternalData(const std::string& folder, const std::string& location) : location_(location) {
  constexpr const char* kFix = "put the file into the model's folder and name it relative to that";
  if (location.empty()) refuse(location, "has no location", kFix);
  if (location.find('\0') != std::string::npos) refuse(location, "has a name with a zero byte", kFix);
  if (location.front() == '/' || location.find('\\') != std::string::npos)
    refuse(location, "is not a path inside the model's folder", kFix);
  const std::vector<std::string> parts = components(location);
  for (const std::string& part : parts) {
    if (part == "..") refuse(location, "leaves the model's folder", kFix);
  }
  if (parts.empty()) refuse(location, "names no file", kFix);

  int at = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (size_t i = 0; i < parts.size() && at >= 0; ++i) {
    const bool last = i + 1 == parts.size();
    const int next = ::openat(at, parts[i].c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY));
    ::close(at);
    at = next;
  }
  if (at < 0) {
    const bool link = errno == ELOOP || errno == ENOTDIR;
    refuse(location, link ? "cannot be opened without following links" : std::string("cannot be opened: ") + std::strerror(errno),
           kFix);
  }
  struct stat status = {};
  if (::fstat(at, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(at);
    refuse(location, "is no plain file", kFix);
  }
  if (status.st_nlink > 1) {
    ::close(at);
    refuse(location, "has more than one name (a hard link)", "copy the file");
  }
  file_ = at;
  size_ = static_cast<uint64_t>(status.st_size);
  device_ = status.st_dev;
  number_ = status.st_ino;
}

ExternalData::~ExternalData() {
  if (file_ >= 0) ::close(file_);
}

void ExternalData::check(uint64_t offset, uint64_t length, ExternalReads& reads) const {
  if (length > size_ || offset > size_ - length) {
    refuse(location_, formatted("has {} bytes; {} from offset {} are asked for", size_, length, offset),
           "was the file copied whole?");
  }
  constexpr uint64_t kMostTimes = 8;
  uint64_t& read = reads[{device_, number_}];
  read += length;
  if (read > kMostTimes * size_)
    refuse(location_, formatted("is asked for more than {} times", kMostTimes), "let tensors have bytes of their own");
}

void ExternalData::read(uint64_t offset, void* to, uint64_t length) const {
  auto* at = static_cast<char*>(to);
  while (length > 0) {
    const ssize_t got = ::pread(file_, at, length, static_cast<off_t>(offset));
    if (got <= 0) refuse(location_, "cannot be read", "was it cut while it was read?");
    at += got;
    offset += static_cast<uint64_t>(got);
    length -= static_cast<uint64_t>(got);
  }
}

uint64_t external_number(const std::string& text, const char* key, uint64_t otherwise) {
  if (text.empty()) return otherwise;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > static_cast<uint64_t>(INT64_MAX)) {
    raise<Error>("external data has {} {}\nit must be a number of bytes, 0 or more", key, io::quote(text));
  }
  return value;
}

}  // namespace convoy::onnx
