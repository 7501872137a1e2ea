#include "convoy/io/image.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/file.h"
#include "convoy/io/image_codec.h"

namespace convoy::io {

namespace {

constexpr uint64_t kFileLimit = uint64_t{64} << 20;
constexpr uint64_t kPixelLimit =
    178956970;  // where Pillow, too, takes an image for an attack; the largest cameras have 151 million

// `start`: the first 12 bytes.
std::string other_kind(std::string_view start) {
  struct Kind {
    std::string_view magic;
    const char* name;
  };
  constexpr Kind kKinds[] = {{"GIF8", "GIF"}, {"BM", "BMP"}, {"II*", "TIFF"}, {"MM", "TIFF"},
                             {"P5", "PGM"},   {"P6", "PPM"}, {"%PDF", "PDF"}};
  for (const Kind& kind : kKinds) {
    if (start.substr(0, kind.magic.size()) == kind.magic) return kind.name;
  }
  if (start.substr(0, 4) == "RIFF" && start.substr(8, 4) == "WEBP") return "WebP";
  if (start.substr(4, 4) == "ftyp") return "HEIF, AVIF or a film";
  return {};
}

Tensor with_channels(const Tensor& image, int channels) {
  const int64_t has = image.size(0), area = image.size(1) * image.size(2);
  if (channels == 0 || channels == has) return image;
  Tensor out = Tensor::empty({channels, image.size(1), image.size(2)});
  const float* from = image.data<float>();
  float* to = out.data<float>();
  if (channels == 3) {
    for (int c = 0; c < 3; ++c) std::memcpy(to + c * area, from, static_cast<size_t>(area) * sizeof(float));
    return out;
  }
  for (int64_t i = 0; i < area; ++i) {
    to[i] = static_cast<float>((299.0 * from[i] + 587.0 * from[area + i] + 114.0 * from[2 * area + i]) / 1000.0);
  }
  return out;
}

void check_channels(int channels) {
  if (channels != 0 && channels != 1 && channels != 3) {
    raise<ValueError>("read_image expects channels 0, 1 or 3, but got {}\n1 is grey, 3 is RGB, 0 is what the file has", channels);
  }
}

}  // namespace

void check_image_size(const ImageBytes& file, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0 || width > kPixelLimit / height) {
    raise<FileError>("{}: the image is {} x {} pixels\nfrom 1 to {} pixels can be read: make it smaller", file.name, width, height,
                     kPixelLimit);
  }
}

void need_image_room(const ImageBytes& file, int64_t width, int64_t height, int channels, uint64_t beside) {
  const auto pixels = static_cast<uint64_t>(width * height);
  const auto planes = static_cast<uint64_t>(channels + (file.channels == channels ? 0 : file.channels));
  need_room(formatted("{}: the image of {} x {} pixels takes", file.name, width, height), pixels * planes * sizeof(float) + beside);
}

Tensor decode_image(const void* bytes, size_t size, const std::string& name, int channels) {
  check_channels(channels);
  const ImageBytes file{static_cast<const uint8_t*>(bytes), size, name, channels};
  std::string start(12, '\0');
  if (size > 0) std::memcpy(start.data(), bytes, std::min(size, start.size()));
  if (start.compare(0, 8, "\x89PNG\r\n\x1a\n") == 0) return with_channels(decode_png(file), channels);
  if (start.compare(0, 3, "\xff\xd8\xff") == 0) return with_channels(decode_jpeg(file), channels);
  if (size == 0) raise<FileError>("{}: is empty\ngive a PNG or JPEG file", name);
  const std::string kind = other_kind(start);
  raise<FileError>(
      "{}: is neither PNG nor JPEG\n"
      "{}",
      name, kind.empty() ? "" : formatted("it seems to be {}: convert it to PNG first", kind));
}

Tensor read_image(const std::string& path, int channels) {
  check_channels(channels);
  const std::vector<uint8_t> bytes = ByteSource::open(path).read_all(kFileLimit);
  return decode_image(bytes.data(), bytes.size(), path, channels);
}

void write_png(const std::string& path, const Tensor& image) {
  constexpr int64_t kLongestSide = 1'000'000;  // libpng's limit
  const bool legal =
      image.defined() && image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3) && image.dtype() == DType::kFloat32;
  if (!legal) {
    raise<ValueError>(
        "write_png expects a float32 image of shape (1 or 3, height, width), but got {}\n"
        "image.to(DType::kFloat32), with values from 0 to 1, one image at a time: batch.select(0)",
        image.defined() ? formatted("{} {}", image.dtype(), image.shape()) : "an undefined tensor");
  }
  for (const int64_t side : {image.size(1), image.size(2)}) {
    if (side < 1 || side > kLongestSide) {
      raise<ValueError>("write_png expects sides from 1 to {} pixels, but got {}\ncrop or resize it", kLongestSide, image.shape());
    }
  }
  const std::vector<uint8_t> bytes = encode_png(image, path);
  OutputFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace convoy::io
