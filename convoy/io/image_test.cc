#include "convoy/io/image.h"

#include <gtest/gtest.h>

#include <cstdio>
// clang-format off
#include <jpeglib.h>
// clang-format on
#include <png.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/core/storage.h"
#include "tests/mutation.h"
#include "tests/refusal.h"
#include "tests/sanitized.h"
#include "tests/temporary_folder.h"

namespace convoy::io {
namespace {

using testing::message;
using testing::TemporaryFolder;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Tensor decode(const std::string& bytes, int channels = 0) { return decode_image(bytes.data(), bytes.size(), "p.img", channels); }

struct PngSpec {
  png_uint_32 width = 1, height = 1;
  int depth = 8, type = PNG_COLOR_TYPE_GRAY, interlace = PNG_INTERLACE_NONE;
  std::vector<png_color> palette;
  bool transparent = false;
};

// Rows as libpng takes them, each of the same number of bytes.
std::string png_of(const PngSpec& spec, std::vector<uint8_t> values) {
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp p, png_bytep bytes, size_t n) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(bytes), n);
      },
      [](png_structp) {});
  png_set_IHDR(png, info, spec.width, spec.height, spec.depth, spec.type, spec.interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!spec.palette.empty()) png_set_PLTE(png, info, spec.palette.data(), static_cast<int>(spec.palette.size()));
  const png_byte alpha[] = {0, 128};
  png_color_16 key{};
  if (spec.transparent) png_set_tRNS(png, info, alpha, spec.palette.empty() ? 0 : 2, &key);
  png_text text{};
  char keyword[] = "Comment", words[] = "anything";
  text.compression = PNG_TEXT_COMPRESSION_zTXt;
  text.key = keyword;
  text.text = words;
  text.text_length = std::strlen(words);
  png_set_text(png, info, &text, 1);
  std::vector<png_bytep> rows;
  for (png_uint_32 y = 0; y < spec.height; ++y) rows.push_back(values.data() + values.size() / spec.height * y);
  png_write_info(png, info);
  png_write_image(png, rows.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return out;
}

struct JpegSpec {
  unsigned width = 16, height = 16;
  int components = 3;
  bool progressive = false;
  int quality = 95;
  bool subsample = false;
  bool arithmetic = false;
  bool two_scans = false;  // grey: DC, then all of AC
};

std::string jpeg_of(const JpegSpec& spec, const std::vector<uint8_t>& values) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT(google-runtime-int): the library's type
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = spec.width;
  info.image_height = spec.height;
  info.input_components = spec.components;
  info.in_color_space = spec.components == 1 ? JCS_GRAYSCALE : spec.components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, spec.quality, TRUE);
  if (!spec.subsample && spec.components == 3) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
  if (spec.progressive) jpeg_simple_progression(&info);
  info.arith_code = spec.arithmetic ? TRUE : FALSE;
  static const jpeg_scan_info kTwoScans[] = {{1, {0}, 0, 0, 0, 0}, {1, {0}, 1, 63, 0, 0}};
  if (spec.two_scans) {
    info.scan_info = kTwoScans;
    info.num_scans = 2;
  }
  jpeg_start_compress(&info, TRUE);
  const size_t row_bytes = spec.width * static_cast<size_t>(spec.components);
  while (info.next_scanline < spec.height) {
    JSAMPROW row = const_cast<JSAMPROW>(values.data() + row_bytes * info.next_scanline);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string out(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return out;
}

Tensor levels(const std::vector<int>& values, Shape shape, double scale = 255) {
  std::vector<float> floats;
  for (const int v : values) floats.push_back(static_cast<float>(v) / static_cast<float>(scale));
  return Tensor::from(floats, std::move(shape));
}

TEST(Png, RoundTripKeepsEveryLevel) {
  const TemporaryFolder folder;
  for (const int64_t channels : {1, 3}) {
    std::vector<int> values;
    for (int i = 0; i < 256 * channels; ++i) values.push_back(i * 7 % 256);
    const Tensor image = levels(values, {channels, 8, 32});
    write_png(folder.path("a.png"), image);
    EXPECT_TRUE(identical(read_image(folder.path("a.png")), image));
  }
  EXPECT_EQ(folder.count(), 1);
}

TEST(Png, WritingClampsAndRounds) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.png");
  write_png(path, Tensor::from({-1, 2, NAN, INFINITY, -INFINITY, 0.5f, 0.4999f / 255, 0.5f / 255}, {1, 2, 4}));
  EXPECT_TRUE(identical(read_image(path), levels({0, 255, 0, 255, 0, 128, 0, 1}, {1, 2, 4})));
}

TEST(Png, WritingTheSameImageGivesTheSameBytes) {
  const TemporaryFolder folder;
  Generator g(1);
  const Tensor image = rand({3, 20, 30}, DType::kFloat32, &g);
  write_png(folder.path("a.png"), image);
  write_png(folder.path("b.png"), image);
  EXPECT_EQ(folder.read("a.png"), folder.read("b.png"));
}

TEST(Png, ReadsEveryDepthOfGrey) {
  EXPECT_TRUE(identical(decode(png_of({.width = 8, .depth = 1}, {0b10110001})), levels({1, 0, 1, 1, 0, 0, 0, 1}, {1, 1, 8}, 1)));
  EXPECT_TRUE(identical(decode(png_of({.width = 4, .depth = 2}, {0b00011011})), levels({0, 1, 2, 3}, {1, 1, 4}, 3)));
  EXPECT_TRUE(identical(decode(png_of({.width = 3, .depth = 4}, {0x1f, 0x70})), levels({1, 15, 7}, {1, 1, 3}, 15)));
  EXPECT_TRUE(
      identical(decode(png_of({.width = 2, .depth = 16}, {0x12, 0x34, 0xff, 0xfe})), levels({0x1234, 0xfffe}, {1, 1, 2}, 65535)));
}

TEST(Png, ReadsColourPaletteAndDropsAlpha) {
  EXPECT_TRUE(identical(decode(png_of({.width = 2, .type = PNG_COLOR_TYPE_RGB}, {1, 2, 3, 4, 5, 6})),
                        levels({1, 4, 2, 5, 3, 6}, {3, 1, 2})));
  EXPECT_TRUE(identical(decode(png_of({.depth = 16, .type = PNG_COLOR_TYPE_RGB}, {1, 2, 3, 4, 5, 6})),
                        levels({258, 772, 1286}, {3, 1, 1}, 65535)));
  EXPECT_TRUE(identical(decode(png_of({.type = PNG_COLOR_TYPE_RGBA}, {10, 20, 30, 0})), levels({10, 20, 30}, {3, 1, 1})));
  EXPECT_TRUE(identical(decode(png_of({.type = PNG_COLOR_TYPE_GRAY_ALPHA}, {77, 0})), levels({77}, {1, 1, 1})));
  EXPECT_TRUE(identical(decode(png_of({.transparent = true}, {0})), levels({0}, {1, 1, 1})));
  const std::vector<png_color> palette = {{1, 2, 3}, {40, 50, 60}};
  for (const bool transparent : {false, true}) {
    EXPECT_TRUE(identical(
        decode(png_of({.width = 2, .type = PNG_COLOR_TYPE_PALETTE, .palette = palette, .transparent = transparent}, {1, 0})),
        levels({40, 1, 50, 2, 60, 3}, {3, 1, 2})));
    EXPECT_TRUE(identical(
        decode(png_of({.width = 2, .depth = 1, .type = PNG_COLOR_TYPE_PALETTE, .palette = palette, .transparent = transparent},
                      {0x80})),
        levels({40, 1, 50, 2, 60, 3}, {3, 1, 2})));
  }
}

TEST(Png, InterlacedIsTheSameAsPlain) {
  Generator g(4);
  for (const int type : {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA}) {
    for (const int depth : {8, 16}) {
      for (const png_uint_32 width : {1u, 3u, 17u}) {
        const size_t samples = type == PNG_COLOR_TYPE_GRAY ? 1 : type == PNG_COLOR_TYPE_RGB ? 3 : 4;
        std::vector<uint8_t> values(width * 9 * samples * static_cast<size_t>(depth / 8));
        for (uint8_t& v : values) v = static_cast<uint8_t>(g.next32());
        PngSpec spec{.width = width, .height = 9, .depth = depth, .type = type};
        const Tensor plain = decode(png_of(spec, values));
        spec.interlace = PNG_INTERLACE_ADAM7;
        EXPECT_TRUE(identical(decode(png_of(spec, values)), plain)) << type << " " << depth << " " << width;
      }
    }
  }
}

TEST(ReadImage, ConvertsChannels) {
  const std::string rgb = png_of({.width = 2, .type = PNG_COLOR_TYPE_RGB}, {255, 0, 0, 90, 90, 90});
  EXPECT_TRUE(identical(decode(rgb, 1), Tensor::from({0.299f, 90.0f / 255}, {1, 1, 2})));
  EXPECT_EQ(decode(rgb, 3).shape(), (Shape{3, 1, 2}));
  const std::string grey = png_of({.width = 2}, {7, 200});
  EXPECT_TRUE(identical(decode(grey, 3), levels({7, 200, 7, 200, 7, 200}, {3, 1, 2})));
  std::vector<uint8_t> all(256 * 3);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint8_t>(i / 3);
  const Tensor same = decode(png_of({.width = 256, .type = PNG_COLOR_TYPE_RGB}, all), 1);
  for (int i = 0; i < 256; ++i) EXPECT_EQ(same.at(i), static_cast<float>(i) / 255.0f) << "grey stays grey";
  EXPECT_TRUE(contains(message([&] { decode(grey, 2); }), "read_image expects channels 0, 1 or 3, but got 2"));
}

TEST(Jpeg, ReadsGreyColourAndCmyk) {
  const std::vector<uint8_t> grey(16 * 16, 100);
  Tensor got = decode(jpeg_of({.components = 1}, grey));
  EXPECT_EQ(got.shape(), (Shape{1, 16, 16}));
  for (int64_t i = 0; i < got.numel(); ++i) EXPECT_NEAR(got.at(i) * 255, 100, 1);

  for (const bool progressive : {false, true}) {
    for (const bool subsample : {false, true}) {
      std::vector<uint8_t> rgb;
      for (int i = 0; i < 23 * 13; ++i) rgb.insert(rgb.end(), {200, 60, 30});
      got = decode(jpeg_of({.width = 23, .height = 13, .progressive = progressive, .subsample = subsample}, rgb));
      ASSERT_EQ(got.shape(), (Shape{3, 13, 23}));
      for (int64_t i = 0; i < got.numel(); ++i) EXPECT_NEAR(got.at(i) * 255, (i < 299 ? 200 : i < 598 ? 60 : 30), 3);
    }
  }

  std::vector<uint8_t> cmyk;
  for (int i = 0; i < 256; ++i) cmyk.insert(cmyk.end(), {255, 128, 0, 255});  // inverted, as libjpeg marks it: full cyan off
  got = decode(jpeg_of({.components = 4}, cmyk));
  ASSERT_EQ(got.shape(), (Shape{3, 16, 16}));
  EXPECT_NEAR(got.at(0) * 255, 255, 2);
  EXPECT_NEAR(got.at(256) * 255, 128, 2);
  EXPECT_NEAR(got.at(512) * 255, 0, 2);
}

TEST(Jpeg, KeepsPlaces) {
  std::vector<uint8_t> values(32 * 24);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<uint8_t>(i % 32 * 4 + i / 32 * 5);
  const Tensor got = decode(jpeg_of({.width = 32, .height = 24, .components = 1, .quality = 100}, values));
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(got.at(static_cast<int64_t>(i)) * 255, values[i], 3) << i;
}

TEST(ReadImage, RefusesOtherKindsByTheirBytes) {
  EXPECT_EQ(testing::reason([] { decode(""); }), "p.img: is empty");
  EXPECT_EQ(message([] { decode("GIF89a......"); }), "p.img: is neither PNG nor JPEG\nit seems to be GIF: convert it to PNG first");
  EXPECT_EQ(message([] { decode("RIFF1234WEBPVP8 "); }),
            "p.img: is neither PNG nor JPEG\nit seems to be WebP: convert it to PNG first");
  EXPECT_EQ(message([] { decode("hello"); }), "p.img: is neither PNG nor JPEG");
  EXPECT_EQ(message([] { decode("\xff"); }), "p.img: is neither PNG nor JPEG");
  const TemporaryFolder folder;
  const std::string path = folder.write("photo.jpg", png_of({}, {9}));
  EXPECT_EQ(read_image(path).shape(), (Shape{1, 1, 1})) << "the name does not count";
  EXPECT_TRUE(contains(message([&] { read_image(folder.path("no.png")); }), "no.png: no such file"));
  EXPECT_EQ(testing::reason([&] { read_image(folder.path()); }), folder.path() + ": is a folder, not a file");
}

TEST(ReadImage, RefusesLargeFilesWithoutReadingThem) {
  const TemporaryFolder folder;
  const std::string path = folder.write("big.png", "");
  std::filesystem::resize_file(path, (uint64_t{64} << 20) + 1);
  EXPECT_EQ(testing::reason([&] { read_image(path); }), path + ": has 67108865 bytes, more than the limit of 67108864");
}

void put32(std::string& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

std::string png_claiming(uint32_t width, uint32_t height, int interlace = PNG_INTERLACE_NONE) {
  std::string bytes = png_of({.width = 4, .height = 4, .interlace = interlace}, std::vector<uint8_t>(16));
  put32(bytes, 16, width);
  put32(bytes, 20, height);
  uint32_t crc = 0xffffffffu;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<uint8_t>(bytes[i]);
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
  }
  put32(bytes, 29, ~crc);
  return bytes;
}

TEST(ReadImage, RefusesSizesThatCannotBe) {
  EXPECT_TRUE(contains(message([] { decode(png_claiming(999999, 999999)); }),
                       "p.img: the image is 999999 x 999999 pixels\nfrom 1 to 178956970 pixels can be read: make it smaller"));
  EXPECT_TRUE(contains(message([] { decode(png_claiming(13000, 13000)); }), "cannot hold 13000 x 13000 pixels"));
  EXPECT_TRUE(contains(message([] { decode(png_claiming(0, 4)); }), "p.img: broken PNG"));
  EXPECT_TRUE(contains(message([] { decode(png_claiming(0x80000000u, 4)); }), "p.img: broken PNG"));

  std::string jpeg = jpeg_of({.components = 1}, std::vector<uint8_t>(256));
  const size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  const auto claim = [&](int height, int width) {
    jpeg[frame + 5] = static_cast<char>(height >> 8);
    jpeg[frame + 6] = static_cast<char>(height);
    jpeg[frame + 7] = static_cast<char>(width >> 8);
    jpeg[frame + 8] = static_cast<char>(width);
    return message([&] { decode(jpeg); });
  };
  EXPECT_TRUE(contains(claim(65000, 65000), "the image is 65000 x 65000 pixels"));
  EXPECT_TRUE(contains(claim(13000, 13000), "cannot hold 13000 x 13000 pixels"));
  EXPECT_TRUE(contains(claim(0, 16), "broken JPEG"));
  EXPECT_TRUE(contains(claim(64, 16), "broken JPEG")) << "more rows than there are";
}

// What decoding takes is known from the header.
TEST(ReadImage, RefusesMoreThanThereIsRoomForBeforeItDecodes) {
  const std::vector<uint8_t> grey(1000 * 1000);
  const std::string plain = jpeg_of({.width = 1000, .height = 1000, .components = 1}, grey);
  const std::string progressive = jpeg_of({.width = 1000, .height = 1000, .components = 1, .progressive = true}, grey);
  const std::string png = png_of({.width = 1000, .height = 1000}, grey);
  const std::string interlaced = png_of({.width = 1000, .height = 1000, .interlace = PNG_INTERLACE_ADAM7}, grey);
  const auto take = [](const std::string& file, int channels, int64_t bytes) {
    const MemoryBudget budget(bytes - 1);
    EXPECT_EQ(message([&] { decode_image(file.data(), file.size(), "p.img", channels); }),
              "p.img: the image of 1000 x 1000 pixels takes " + std::to_string(bytes) + " bytes, and " + std::to_string(bytes - 1) +
                  " are available\nmake it smaller, or use a machine with more memory");
    EXPECT_EQ(budget.peak_bytes(), 0);
  };
  for (const std::string& file : {plain, png}) {
    take(file, 0, 4000000);
    take(file, 1, 4000000);
    take(file, 3, 16000000);
  }
  take(progressive, 1, 6000000);
  take(interlaced, 1, 5000000);
  const MemoryBudget enough(5 << 20);
  EXPECT_EQ(decode_image(png.data(), png.size(), "p.img", 1).shape(), (Shape{1, 1000, 1000}));
}

TEST(Png, BrokenFilesTakeNoMemoryForPixelsThatAreNotThere) {
#ifdef CONVOY_SANITIZED
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  const std::string file = png_claiming(13000, 13000, PNG_INTERLACE_ADAM7) + std::string(300000, '\0');
  std::fflush(nullptr);
  const pid_t child = ::fork();  // what a process has used at most never falls
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool refused = contains(message([&] { decode(file); }), "broken PNG");
    rusage use = {};
    ::getrusage(RUSAGE_SELF, &use);
    ::_exit(refused && use.ru_maxrss < 64 << 10 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Jpeg, RefusesEndlessScans) {
  std::vector<uint8_t> noise(32 * 32);
  Generator g(2);
  for (uint8_t& v : noise) v = static_cast<uint8_t>(g.next32());
  const std::string jpeg = jpeg_of({.width = 32, .height = 32, .components = 1, .two_scans = true}, noise);
  const size_t last = jpeg.rfind("\xff\xda");
  const std::string scan = jpeg.substr(last, jpeg.size() - 2 - last);
  std::string many = jpeg.substr(0, jpeg.size() - 2);
  for (int i = 0; i < 300; ++i) many += scan;
  EXPECT_EQ(decode(jpeg).shape(), (Shape{1, 32, 32}));
  EXPECT_TRUE(contains(message([&] { decode(many + "\xff\xd9"); }), "broken JPEG: more than 100 scans"));
}

TEST(Jpeg, RefusesArithmeticCoding) {
  const std::string jpeg = jpeg_of({.components = 1, .arithmetic = true}, std::vector<uint8_t>(256));
  EXPECT_TRUE(contains(message([&] { decode(jpeg); }), "p.img: is a JPEG with arithmetic coding"));
}

TEST(ReadImage, EveryTruncationIsRefused) {
  Generator g(8);
  std::vector<uint8_t> noise(12 * 12 * 3);
  for (uint8_t& v : noise) v = static_cast<uint8_t>(g.next32());
  const std::string files[] = {
      png_of({.width = 12, .height = 12, .type = PNG_COLOR_TYPE_RGB}, noise),
      png_of({.width = 12, .height = 12, .type = PNG_COLOR_TYPE_RGB, .interlace = PNG_INTERLACE_ADAM7}, noise),
      jpeg_of({.width = 12, .height = 12}, noise), jpeg_of({.width = 12, .height = 12, .progressive = true}, noise)};
  for (const std::string& whole : files) {
    EXPECT_EQ(decode(whole).shape(), (Shape{3, 12, 12}));
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(decode(whole.substr(0, n)), FileError) << n << " of " << whole.size();
  }
}

TEST(ReadImage, FlippedBitsGiveAnErrorOrAnImage) {
  Generator g(9);
  std::vector<uint8_t> noise(12 * 12 * 3);
  for (uint8_t& v : noise) v = static_cast<uint8_t>(g.next32());
  const std::string files[] = {png_of({.width = 12, .height = 12, .type = PNG_COLOR_TYPE_RGB}, noise),
                               jpeg_of({.width = 12, .height = 12}, noise),
                               jpeg_of({.width = 12, .height = 12, .progressive = true}, noise)};
  for (const std::string& whole : files) {
    int refused = 0;
    for (size_t bit = 0; bit < whole.size() * 8; bit += 3) {
      std::string broken = whole;
      broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
      try {
        const Tensor image = decode(broken);
        EXPECT_LE(image.numel(), int64_t{3} << 28);
      } catch (const FileError& e) {
        EXPECT_EQ(e.reason().substr(0, 7), "p.img: ");
        ++refused;
      }
    }
    EXPECT_GT(refused, 0);
  }
}

// Gives the chunks of a PNG their checksums, so that damage reaches what lies behind them.
void repair_checksums(std::string& png) {
  const auto get32 = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(png[at + i]);
    return value;
  };
  for (size_t at = 8; at + 12 <= png.size();) {
    const size_t length = get32(at);
    if (length > png.size() - at - 12) return;
    const uLong checksum = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + at + 4, static_cast<uInt>(length + 4));
    put32(png, at + 8 + length, static_cast<uint32_t>(checksum));
    at += length + 12;
  }
}

TEST(Png, DamagedFilesGiveValuesOrAFileError) {
  Generator g(10);
  std::vector<uint8_t> noise(9 * 9 * 8);
  for (uint8_t& v : noise) v = static_cast<uint8_t>(g.next32());
  std::vector<std::string> files;
  for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
    files.push_back(png_of({.width = 9, .height = 9, .interlace = interlace}, noise));
    files.push_back(png_of({.width = 9, .height = 9, .depth = 16, .type = PNG_COLOR_TYPE_RGBA, .interlace = interlace}, noise));
    files.push_back(png_of({.width = 9,
                            .height = 9,
                            .depth = 1,
                            .type = PNG_COLOR_TYPE_PALETTE,
                            .interlace = interlace,
                            .palette = {{1, 2, 3}, {4, 5, 6}},
                            .transparent = true},
                           noise));
    files.push_back(png_of({.width = 9, .height = 9, .depth = 2, .interlace = interlace}, noise));
  }
  testing::expect_values_or_file_error(
      "p.img", files, [](const std::string& bytes) { decode(bytes, 1); },
      [](std::string& bytes, testing::Mutator& mutator) {
        if (mutator.below(4) != 0) repair_checksums(bytes);
      });
}

TEST(Jpeg, DamagedFilesGiveValuesOrAFileError) {
  Generator g(11);
  std::vector<uint8_t> noise(20 * 20 * 4);
  for (uint8_t& v : noise) v = static_cast<uint8_t>(g.next32());
  std::vector<std::string> files;
  for (const bool progressive : {false, true}) {
    for (const int components : {1, 3, 4}) {
      files.push_back(jpeg_of(
          {.width = 20, .height = 20, .components = components, .progressive = progressive, .subsample = progressive}, noise));
    }
  }
  testing::expect_values_or_file_error("p.img", files, [](const std::string& bytes) { decode(bytes, 3); });
}

TEST(WritePng, RefusesOtherShapesAndPlaces) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.png");
  EXPECT_TRUE(contains(message([&] { write_png(path, Tensor::zeros({2, 4, 4})); }), "write_png expects"));
  EXPECT_TRUE(contains(message([&] { write_png(path, Tensor::zeros({4, 4})); }), "but got float32 [4, 4]"));
  EXPECT_TRUE(contains(message([&] { write_png(path, Tensor::zeros({1, 4, 4}, DType::kFloat64)); }), "float64"));
  EXPECT_TRUE(contains(message([&] { write_png(path, Tensor()); }), "undefined"));
  EXPECT_TRUE(contains(message([&] { write_png(path, Tensor::zeros({1, 0, 4})); }), "sides from 1"));
  EXPECT_TRUE(contains(message([&] { write_png(folder.path() + "/no/a.png", Tensor::zeros({1, 4, 4})); }), "does not exist"));
  EXPECT_EQ(folder.count(), 0);
}

}  // namespace
}  // namespace convoy::io
