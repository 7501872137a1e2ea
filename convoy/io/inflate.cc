#include "convoy/io/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::io {

struct InflateReader::State {
  State(const ByteSource& from, uint64_t begin, uint64_t size, std::string shown, int window_bits)
      : source(from), name(std::move(shown)), offset(begin), left(size), block(size_t{1} << 16) {
    if (inflateInit2(&stream, window_bits) != Z_OK) throw std::bad_alloc();
  }
  ~State() { inflateEnd(&stream); }

  const ByteSource& source;
  const std::string name;
  uint64_t offset, left;
  std::vector<uint8_t> block;
  z_stream stream{};
  bool done = false;
};

constexpr int kGzip = 16;  // asks zlib for the header and checksum of gzip

InflateReader::InflateReader(const ByteSource& source)
    : state_(std::make_unique<State>(source, 0, source.size(), source.name(), MAX_WBITS + kGzip)) {}
InflateReader::InflateReader(const ByteSource& source, uint64_t begin, uint64_t size, std::string name)
    : state_(std::make_unique<State>(source, begin, size, std::move(name), -MAX_WBITS)) {}
InflateReader::~InflateReader() = default;

uint64_t InflateReader::left() const { return state_->left + state_->stream.avail_in; }

size_t InflateReader::read(void* to, size_t count) {
  State& s = *state_;
  size_t done = 0;
  while (done < count && !s.done) {
    if (s.stream.avail_in == 0) {
      if (s.left == 0) raise<FileError>("{}: truncated: the compressed bytes end too early\ncopy or download it again", s.name);
      const auto take = static_cast<size_t>(std::min<uint64_t>(s.left, s.block.size()));
      s.source.read(s.offset, s.block.data(), take);
      s.offset += take;
      s.left -= take;
      s.stream.next_in = s.block.data();
      s.stream.avail_in = static_cast<uInt>(take);
    }
    const size_t room = std::min(count - done, size_t{1} << 30);
    s.stream.next_out = static_cast<Bytef*>(to) + done;
    s.stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&s.stream, Z_NO_FLUSH);
    done += room - s.stream.avail_out;
    if (status == Z_STREAM_END) {
      s.done = true;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      raise<FileError>(
          "{}: the compressed bytes are broken{}\n"
          "copy or download it again",
          s.name, s.stream.msg != nullptr ? std::string(": ") + s.stream.msg : std::string());
    }
  }
  return done;
}

}  // namespace convoy::io
