// What stands in for png.cc, jpeg.cc, npz.cc and inflate.cc in a build without libpng, libjpeg and zlib (CONVOY_CODECS=OFF,
// WebAssembly).
#include "convoy/core/error.h"
#include "convoy/core/raise.h"
#include "convoy/io/image_codec.h"
#include "convoy/io/inflate.h"
#include "convoy/io/npy.h"

namespace convoy::io {

namespace {

[[noreturn]] void refuse(const std::string& name, const char* files, const char* fix) {
  raise<FileError>("{}: this build of Convoy has no {} files\n{}", name, files, fix);
}

constexpr const char* kNpy = "npy and safetensors files work: numpy.save";

}  // namespace

Tensor decode_png(const ImageBytes& file) { refuse(file.name, "PNG", kNpy); }
Tensor decode_jpeg(const ImageBytes& file) { refuse(file.name, "JPEG", kNpy); }
std::vector<uint8_t> encode_png(const Tensor&, const std::string& name) { refuse(name, "PNG", kNpy); }

std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path, const ArrayFilter&) { refuse(path, "npz", kNpy); }
std::vector<std::pair<std::string, Tensor>> parse_npz(const void*, size_t, const std::string& name) { refuse(name, "npz", kNpy); }
void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>&) { refuse(path, "npz", kNpy); }

struct InflateReader::State {};

InflateReader::InflateReader(const ByteSource& source) { refuse(source.name(), "gzip", "unpack it first: gunzip"); }
InflateReader::~InflateReader() = default;
size_t InflateReader::read(void*, size_t) { return 0; }

}  // namespace convoy::io
