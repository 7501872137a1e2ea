#include "convoy/io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/core/storage.h"
#include "convoy/core/suggest.h"
#include "convoy/io/text.h"

namespace convoy::io {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kPipeLimit = uint64_t{1} << 30;
constexpr size_t kLargestTransfer = size_t{1} << 30;  // Linux moves at most 2^31 - 4096 bytes per call

std::string folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  return folder.empty() ? "." : folder.string();
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// What a folder offers in place of a missing file: of the names with the same ending the one like it, or all.
std::string alternatives(const std::string& path) {
  const std::string folder = folder_of(path);
  if (!is_folder(folder)) return formatted("the folder {} does not exist", folder);
  std::error_code failed;
  std::vector<std::string> names;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end && names.size() < 10000; at.increment(failed)) {
    if (at->path().extension() == fs::path(path).extension()) names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  if (names.empty()) return formatted("the folder {} has no such file", folder);
  std::vector<std::string> stems;
  for (const std::string& name : names) stems.push_back(fs::path(name).stem().string());
  const std::string nearest = suggestion(fs::path(path).stem().string(), stems);
  if (!nearest.empty()) {
    const std::string name = nearest + fs::path(path).extension().string();
    return formatted("did you mean {}?", (fs::path(path).parent_path() / name).string());
  }
  return formatted("the folder {} holds {}", folder, listed(names));
}

// Where the system lets a file without a name be given one.
std::string path_of(int file) { return formatted("/proc/self/fd/{}", file); }

// A new file in `folder` that has no name yet, so that nothing is left of it if the process is killed; -1 where there is no such
// thing.
int open_nameless([[maybe_unused]] const std::string& folder) {
#ifdef O_TMPFILE
  const int file = ::open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (file < 0 || ::access(path_of(file).c_str(), F_OK) == 0) return file;
  ::close(file);
#endif
  return -1;
}

std::string system_text(int code) {
  switch (code) {
    case EACCES:
      return "permission denied";
    case ENOSPC:
      return "the disk is full";
    case EROFS:
      return "the file system is read-only";
    default:
      return std::generic_category().message(code);
  }
}

}  // namespace

std::string quote(std::string_view text) {
  constexpr size_t kLongest = 120;
  std::string out = "\"";
  size_t at = 0;
  while (at < text.size() && at < kLongest) {
    const size_t length = shown_character(text.substr(at));
    if (length == 0) {
      constexpr char kDigits[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(text[at++]);
      out.append("\\x").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    } else {
      if (at + length > kLongest) break;
      out += text.substr(at, length);
      at += length;
    }
  }
  return out + (at < text.size() ? "...\"" : "\"");
}

std::string listed(const std::vector<std::string>& names, size_t limit) {
  if (names.empty()) return "nothing";
  std::string out;
  const size_t shown = std::min(limit, names.size());
  for (size_t i = 0; i < shown; ++i) out += (i > 0 ? ", " : "") + names[i];
  if (shown < names.size()) out += formatted(" and {} more", names.size() - shown);
  return out;
}

void need_room(const std::string& what, uint64_t bytes) {
  const int64_t room = memory_room();
  if (bytes > static_cast<uint64_t>(room))
    raise<OutOfMemory>("{} {} bytes, and {} are available\nmake it smaller, or use a machine with more memory", what, bytes, room);
}

ByteSource ByteSource::open(const std::string& path) {
  if (path.empty()) raise<FileError>("cannot read: the file name is empty\ngive a file name");
  ByteSource source;
  source.name_ = path;
  source.file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (source.file_ < 0) {
    const int code = errno;
    if (code == ENOENT) raise<FileError>("{}: no such file\n{}", path, alternatives(path));
    raise<FileError>(
        "{}: cannot read: {}\n"
        "check the path; it is taken from the folder the program runs in",
        path, system_text(code));
  }
  struct stat status {};
  if (::fstat(source.file_, &status) != 0)
    raise<FileError>("{}: cannot read: {}\ncheck the path and its permissions", path, system_text(errno));
  if (S_ISDIR(status.st_mode)) raise<FileError>("{}: is a folder, not a file\ngive a file inside it", path);
  if (S_ISREG(status.st_mode)) {
    source.size_ = static_cast<uint64_t>(status.st_size);
    return source;
  }
  constexpr size_t kBlock = size_t{1} << 16;
  for (size_t used = 0;;) {
    if (used >= kPipeLimit) raise<FileError>("{}: gives more than {} bytes\nuse a regular file", path, kPipeLimit);
    source.buffer_.resize(used + kBlock);
    const ssize_t got = ::read(source.file_, source.buffer_.data() + used, kBlock);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise<FileError>("{}: cannot read: {}\ncheck the path and its permissions", path, system_text(errno));
    used += static_cast<size_t>(got);
    if (got == 0) {
      source.buffer_.resize(used);
      break;
    }
  }
  source.bytes_ = source.buffer_.data();
  source.size_ = source.buffer_.size();
  return source;
}

ByteSource ByteSource::memory(const void* bytes, size_t size, std::string name) {
  ByteSource source;
  source.name_ = std::move(name);
  source.bytes_ = static_cast<const uint8_t*>(bytes);
  source.size_ = size;
  return source;
}

ByteSource::~ByteSource() {
  if (file_ >= 0) ::close(file_);
}

ByteSource::ByteSource(ByteSource&& other) noexcept
    : name_(std::move(other.name_)),
      size_(other.size_),
      file_(std::exchange(other.file_, -1)),
      bytes_(other.bytes_),
      buffer_(std::move(other.buffer_)) {}

void ByteSource::read(uint64_t offset, void* to, size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    raise<FileError>(
        "{}: ends after {} bytes, but bytes {} to {} are needed\n"
        "the file was cut short: copy or write it again",
        name_, size_, offset, offset + count);
  }
  if (count == 0) return;
  if (bytes_ != nullptr) {
    std::memcpy(to, bytes_ + offset, count);
    return;
  }
  auto* at = static_cast<uint8_t*>(to);
  while (count > 0) {
    const ssize_t got = ::pread(file_, at, std::min(count, kLargestTransfer), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) raise<FileError>("{}: cannot read: {}\ncheck the disk, and read it again", name_, system_text(errno));
    if (got == 0) raise<FileError>("{}: became shorter while it was read\nread it when nobody writes to it", name_);
    at += got;
    offset += static_cast<uint64_t>(got);
    count -= static_cast<size_t>(got);
  }
}

ReadBytes ByteSource::from(uint64_t offset) const {
  return [this, offset](void* to, size_t count) mutable {
    read(offset, to, count);
    offset += count;
  };
}

std::vector<uint8_t> ByteSource::read_all(uint64_t limit) const {
  if (size_ > limit) {
    raise<FileError>("{}: has {} bytes, more than the limit of {}\na smaller file works", name_, size_, limit);
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(size_));
  read(0, bytes.data(), bytes.size());
  return bytes;
}

OutputFile::OutputFile(const std::string& path) : path_(path), target_(path) {
  const std::string start = path_ + ": cannot write: ";
  if (path_.empty()) raise<FileError>("cannot write: the file name is empty\ngive a file name");
  struct stat status {};
  const bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) raise<FileError>("{}it is a folder\nadd a file name", start);
  if (exists && ::access(path_.c_str(), W_OK) != 0)
    raise<FileError>("{}{}\ncheck that the folder exists and may be written to", start, system_text(errno));
  if (exists && !S_ISREG(status.st_mode)) {
    direct_ = true;
    file_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (file_ < 0) raise<FileError>("{}{}\ncheck that the folder exists and may be written to", start, system_text(errno));
    return;
  }
  std::error_code failed;
  if (exists) {
    const fs::path followed = fs::canonical(path_, failed);
    if (!failed) target_ = followed.string();
  }
  const std::string folder = folder_of(target_);
  if (!is_folder(folder)) raise<FileError>("{}the folder {} does not exist\ncreate it first: mkdir -p {}", start, folder, folder);
  if (fs::path(target_).filename().empty()) raise<FileError>("{}it names a folder\nadd a file name", start);

  file_ = open_nameless(folder);
  bool taken = file_ < 0;
  while (taken) {
    name_temporary();
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    taken = file_ < 0 && errno == EEXIST;
  }
  if (file_ < 0) {
    const int code = errno;
    raise<FileError>("{}{} (in the folder {})\nchoose a folder that you may write to", start, system_text(code), folder);
  }
  if (exists) static_cast<void>(::fchmod(file_, status.st_mode & 07777));  // a replaced file keeps its permissions where possible
}

void OutputFile::name_temporary() {
  static std::atomic<unsigned> count{0};
  temporary_ = formatted("{}/.convoy-{}-{}.tmp", folder_of(target_), ::getpid(), count++);
}

OutputFile::~OutputFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::write(const void* bytes, size_t count) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  while (count > 0) {
    const ssize_t done = ::write(file_, at, std::min(count, kLargestTransfer));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0)
      raise<FileError>(
          "{}: cannot write: {}\n"
          "check that the disk has room; the file that was there before is untouched",
          path_, system_text(errno));
    at += done;
    count -= static_cast<size_t>(done);
  }
}

void OutputFile::commit() {
  const auto fail = [&] {
    raise<FileError>(
        "{}: cannot write: {}\n"
        "check that the disk has room; the file that was there before is untouched",
        path_, system_text(errno));
  };
  // Without fsync a crash of the machine soon after the rename could leave an empty file in place of the old one.
  if (!direct_ && ::fsync(file_) != 0) fail();
  if (!direct_ && temporary_.empty()) {
    const std::string nameless = path_of(file_);
    const auto link_as = [&](const std::string& name) {
      return ::linkat(AT_FDCWD, nameless.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    // A name that is taken can only be taken over by renaming: then the file has another for a moment.
    bool linked = link_as(target_);
    while (!linked && errno == EEXIST) {
      name_temporary();
      linked = link_as(temporary_);
    }
    if (!linked) fail();
  }
  if (::close(std::exchange(file_, -1)) != 0) fail();
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail();
  temporary_.clear();
}

}  // namespace convoy::io
