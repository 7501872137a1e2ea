#include <cstdio>  // before jpeglib.h, which needs FILE and size_t
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/image_codec.h"

namespace convoy::io {

namespace {

// A progressive image may repeat scans without end, each as much work as the whole image; real encoders use about ten.
constexpr int kMostScans = 100;

struct JpegReader {
  JpegReader() = default;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = "";
};

JpegReader& reader_of(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

[[noreturn]] void stop(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  (*info->err->format_message)(info, reader.message);
  std::longjmp(reader.jump, 1);
}

// The library goes on after broken data and fills up with grey. Broken is broken here; what many cameras do slightly wrong passes.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_MUST_RESYNC:
      stop(info);
    default:
      break;
  }
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  if (reader.info.input_scan_number > kMostScans) {
    std::snprintf(reader.message, sizeof reader.message, "more than %d scans", kMostScans);
    std::longjmp(reader.jump, 1);
  }
}

void start(JpegReader& reader, const ImageBytes& file) {
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = stop;
  reader.errors.emit_message = on_message;
  reader.errors.output_message = on_output;
  reader.info.client_data = &reader;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = on_progress;
  reader.info.progress = &reader.progress;
  jpeg_mem_src(&reader.info, file.data, static_cast<unsigned long>(file.size));  // NOLINT(google-runtime-int): the library's type
  jpeg_read_header(&reader.info, TRUE);
}

// Photo editors store CMYK inverted, and say so by an Adobe marker.
void cmyk_to_rgb(uint8_t* row, int64_t width, bool inverted) {
  for (int64_t x = 0; x < width; ++x) {
    const uint8_t* cmyk = row + 4 * x;
    const int k = inverted ? cmyk[3] : 255 - cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int light = inverted ? cmyk[c] : 255 - cmyk[c];
      row[3 * x + c] = static_cast<uint8_t>((light * k + 127) / 255);
    }
  }
}

[[noreturn]] void fail(const ImageBytes& file, const JpegReader& reader) {
  raise<FileError>("{}: broken JPEG: {}\nopen it in an image program and save it again", file.name, reader.message);
}

}  // namespace

Tensor decode_jpeg(const ImageBytes& file) {
  JpegReader reader;
  jpeg_decompress_struct& info = reader.info;
  if (!guarded(reader.jump, [&] { start(reader, file); })) fail(file, reader);
  check_image_size(file, info.image_width, info.image_height);
  // The library decodes nothing into an image without end where arithmetic coding is used; hardly anything writes it.
  if (info.arith_code != FALSE)
    raise<FileError>("{}: is a JPEG with arithmetic coding\nsave it with Huffman coding, as is usual", file.name);
  // A block of 8 x 8 values takes a bit at least: what claims more pixels is broken, and is refused before memory is asked for.
  const uint64_t pixels = uint64_t{info.image_width} * info.image_height;
  if (pixels / (64 * 8) > file.size) {
    raise<FileError>(
        "{}: broken JPEG: {} bytes cannot hold {} x {} pixels\n"
        "open it in an image program and save it again",
        file.name, file.size, info.image_width, info.image_height);
  }
  const int components = info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    raise<FileError>("{}: the JPEG has {} components\n1, 3 and 4 can be read", file.name, components);
  }
  info.out_color_space = components == 1 ? JCS_GRAYSCALE : components == 3 ? JCS_RGB : JCS_CMYK;

  const int64_t width = info.image_width, height = info.image_height;
  const int channels = components == 1 ? 1 : 3;
  // Of a progressive image the library keeps all coefficients, of two bytes.
  need_image_room(file, width, height, channels,
                  info.progressive_mode != FALSE ? 2 * pixels * static_cast<uint64_t>(components) : 0);
  Tensor image = Tensor::empty({channels, height, width});
  float* to = image.data<float>();
  std::vector<uint8_t> row(static_cast<size_t>(width * components));
  const bool complete = guarded(reader.jump, [&] {
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      const int64_t y = info.output_scanline;
      JSAMPROW rows[] = {row.data()};
      jpeg_read_scanlines(&info, rows, 1);
      if (components == 4) cmyk_to_rgb(row.data(), width, info.saw_Adobe_marker != FALSE);
      spread_row(row.data(), width, channels, 255.0f, to + y * width, width * height);
    }
    jpeg_finish_decompress(&info);
  });
  if (!complete) fail(file, reader);
  return image;
}

}  // namespace convoy::io
