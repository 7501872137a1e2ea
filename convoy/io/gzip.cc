#include "convoy/io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"

namespace convoy::io {

struct GzipReader::State {
  explicit State(const ByteSource& from) : source(from), block(size_t{1} << 16) {}
  const ByteSource& source;
  uint64_t offset = 0;
  std::vector<uint8_t> block;
  z_stream stream{};
  bool done = false;
};

GzipReader::GzipReader(const ByteSource& source) : state_(std::make_unique<State>(source)) {
  constexpr int kGzip = 16;  // asks zlib for the header and checksum of gzip
  if (inflateInit2(&state_->stream, MAX_WBITS + kGzip) != Z_OK) throw std::bad_alloc();
}

GzipReader::~GzipReader() { inflateEnd(&state_->stream); }

size_t GzipReader::read(void* to, size_t count) {
  State& s = *state_;
  const std::string& path = s.source.name();
  size_t done = 0;
  while (done < count && !s.done) {
    if (s.stream.avail_in == 0) {
      const uint64_t left = s.source.size() - s.offset;
      if (left == 0) raise<FileError>("{}: truncated: the compressed bytes end too early\ncopy or download it again", path);
      const auto take = static_cast<size_t>(std::min<uint64_t>(left, s.block.size()));
      s.source.read(s.offset, s.block.data(), take);
      s.offset += take;
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
          path, s.stream.msg != nullptr ? std::string(": ") + s.stream.msg : std::string());
    }
  }
  return done;
}

}  // namespace convoy::io
