#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/image_codec.h"

namespace convoy::io {

namespace {

struct Png {
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf jump{};
  char message[160] = "";
};

struct PngReader : Png {
  explicit PngReader(const ImageBytes& file) : at(file.data), left(file.size) {}
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  const uint8_t* at;
  size_t left;
};

struct PngWriter : Png {
  PngWriter() = default;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
  std::vector<uint8_t> bytes;
};

[[noreturn]] void on_error(png_structp png, png_const_charp text) {
  Png& state = *static_cast<Png*>(png_get_error_ptr(png));
  std::snprintf(state.message, sizeof state.message, "%s", text);
  std::longjmp(state.jump, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t count) {
  PngReader& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader.left) png_error(png, "the file ends too early");
  std::memcpy(to, reader.at, count);
  reader.at += count;
  reader.left -= count;
}

void write_bytes(png_structp png, png_bytep from, size_t count) {
  bool done = true;
  try {
    std::vector<uint8_t>& bytes = static_cast<PngWriter*>(png_get_io_ptr(png))->bytes;
    bytes.insert(bytes.end(), from, from + count);
  } catch (...) {
    done = false;
  }
  if (!done) png_error(png, "not enough memory");
}

void flush_bytes(png_structp) {}

void start(PngReader& reader) {
  // Text, colour profiles and the like are of no use here; passing over them leaves less of the library open to hostile files.
  static constexpr png_byte kIgnored[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0hIST\0eXIf\0sCAL\0pCAL\0tIME";
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Png*>(&reader), on_error, on_warning);
  if (reader.png == nullptr) std::longjmp(reader.jump, 1);
  reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) std::longjmp(reader.jump, 1);
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, kIgnored, sizeof kIgnored / 5);
  png_set_read_fn(reader.png, &reader, read_bytes);
  png_read_info(reader.png, reader.info);
}

// Asks for 8 or 16 bits of grey or RGB.
void set_transformations(PngReader& reader) {
  const png_byte type = png_get_color_type(reader.png, reader.info);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(reader.png);
  if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(reader.png);
  png_set_strip_alpha(reader.png);
  if (png_get_bit_depth(reader.png, reader.info) == 16) png_set_swap(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
}

[[noreturn]] void fail(const ImageBytes& file, const Png& state) {
  raise<FileError>(
      "{}: broken PNG: {}\n"
      "open it in an image program and save it again",
      file.name, state.message[0] != '\0' ? state.message : "not enough memory");
}

}  // namespace

Tensor decode_png(const ImageBytes& file) {
  PngReader reader(file);
  if (!guarded(reader.jump, [&] { start(reader); })) fail(file, reader);
  const int64_t width = png_get_image_width(reader.png, reader.info), height = png_get_image_height(reader.png, reader.info);
  check_image_size(file, static_cast<uint64_t>(width), static_cast<uint64_t>(height));
  // Deflate shrinks by 1032 at most: what claims more is broken, and is refused before memory is asked for.
  const uint64_t unpacked = (png_get_rowbytes(reader.png, reader.info) + 1) * static_cast<uint64_t>(height);
  if (unpacked / 1032 > file.size) {
    raise<FileError>(
        "{}: broken PNG: {} bytes cannot hold {} x {} pixels\n"
        "open it in an image program and save it again",
        file.name, file.size, width, height);
  }
  if (!guarded(reader.jump, [&] { set_transformations(reader); })) fail(file, reader);

  const int channels = png_get_channels(reader.png, reader.info);
  const bool deep = png_get_bit_depth(reader.png, reader.info) == 16;
  const bool interlaced = png_get_interlace_type(reader.png, reader.info) != PNG_INTERLACE_NONE;
  const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  if ((channels != 1 && channels != 3) || row_bytes != static_cast<size_t>(width * channels) * (deep ? 2 : 1)) {
    raise<FileError>("{}: broken PNG: its rows have an unknown form\nopen it in an image program and save it again", file.name);
  }
  need_image_room(file, width, height, channels, interlaced ? row_bytes * static_cast<uint64_t>(height) : 0);
  Tensor image = Tensor::empty({channels, height, width});
  // Of uint16_t for its alignment; without values, so that a broken file takes no more memory than it fills.
  const auto buffer =
      std::make_unique_for_overwrite<uint16_t[]>((row_bytes + 1) / 2 * static_cast<size_t>(interlaced ? height : 1));
  std::vector<png_bytep> rows;
  for (int64_t y = 0; interlaced && y < height; ++y) {
    rows.push_back(reinterpret_cast<png_bytep>(buffer.get() + (row_bytes + 1) / 2 * static_cast<size_t>(y)));
  }
  float* to = image.data<float>();
  const auto spread = [&](const void* row, int64_t y) {
    if (deep) {
      spread_row(static_cast<const uint16_t*>(row), width, channels, 65535.0f, to + y * width, width * height);
    } else {
      spread_row(static_cast<const uint8_t*>(row), width, channels, 255.0f, to + y * width, width * height);
    }
  };
  const bool complete = guarded(reader.jump, [&] {
    if (interlaced) png_read_image(reader.png, rows.data());
    for (int64_t y = 0; y < height; ++y) {
      if (!interlaced) png_read_row(reader.png, reinterpret_cast<png_bytep>(buffer.get()), nullptr);
      spread(interlaced ? static_cast<const void*>(rows[static_cast<size_t>(y)]) : buffer.get(), y);
    }
    png_read_end(reader.png, nullptr);
  });
  if (!complete) fail(file, reader);
  return image;
}

std::vector<uint8_t> encode_png(const Tensor& image, const std::string& name) {
  const int64_t channels = image.size(0), height = image.size(1), width = image.size(2);
  const float* from = image.data<float>();
  std::vector<uint8_t> row(static_cast<size_t>(width * channels));
  PngWriter writer;
  const auto write_all = [&] {
    writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<Png*>(&writer), on_error, on_warning);
    if (writer.png == nullptr) std::longjmp(writer.jump, 1);
    writer.info = png_create_info_struct(writer.png);
    if (writer.info == nullptr) std::longjmp(writer.jump, 1);
    png_set_write_fn(writer.png, &writer, write_bytes, flush_bytes);
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8,
                 channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < channels; ++c) {
          const float value = from[(c * height + y) * width + x];
          const float inside = value > 0 ? std::min(value, 1.0f) : 0.0f;  // also for NaN
          row[static_cast<size_t>(x * channels + c)] = static_cast<uint8_t>(inside * 255.0f + 0.5f);
        }
      }
      png_write_row(writer.png, row.data());
    }
    png_write_end(writer.png, nullptr);
  };
  if (!guarded(writer.jump, write_all)) {
    raise<FileError>(
        "{}: cannot write: {}\n"
        "check that the folder exists and the disk has room",
        name, writer.message[0] != '\0' ? writer.message : "not enough memory");
  }
  return std::move(writer.bytes);
}

}  // namespace convoy::io
