#include "convoy/io/npy.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/core/storage.h"
#include "tests/mutation.h"
#include "tests/refusal.h"
#include "tests/temporary_folder.h"

namespace convoy::io {
namespace {

using testing::message;
using testing::TemporaryFolder;
using Named = std::vector<std::pair<std::string, Tensor>>;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class T>
std::string bytes_of_values(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

std::string npy(const std::string& header, const std::string& values = {}, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + values;
}

Tensor parse(const std::string& bytes) { return parse_npy(bytes.data(), bytes.size(), "a.npy"); }
std::string refusal(const std::string& bytes) {
  return message([&] { parse(bytes); });
}

std::string header_of(const std::string& type, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }          \n";
}

Tensor integers(const std::vector<int64_t>& v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }

TEST(Npy, RoundTrip) {
  const TemporaryFolder folder;
  Generator g(1);
  const Tensor tensors[] = {randn({3, 4, 5}, DType::kFloat32, &g),
                            randn({7}, DType::kFloat64, &g),
                            integers({INT64_MIN, 0, INT64_MAX}),
                            Tensor::scalar(2.5),
                            Tensor::empty({2, 0, 3}),
                            Tensor::from({NAN, INFINITY, -0.0f, 1e-45f}, {4, 1})};
  for (const Tensor& tensor : tensors) {
    write_npy(folder.path("a.npy"), tensor);
    EXPECT_TRUE(identical(read_npy(folder.path("a.npy")), tensor)) << to_string(tensor.shape());
  }
  EXPECT_EQ(folder.count(), 1);
}

TEST(Npy, WritesWhatNumpyWrites) {
  const TemporaryFolder folder;
  write_npy(folder.path("a.npy"), Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3}));
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  header.resize(117, ' ');
  EXPECT_EQ(folder.read("a.npy"), npy(header + "\n", bytes_of_values<float>({1, 2, 3, 4, 5, 6})));
  write_npy(folder.path("a.npy"), integers({5}));
  EXPECT_TRUE(contains(folder.read("a.npy"), "'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"));
  write_npy(folder.path("a.npy"), Tensor::scalar(5, DType::kFloat64));
  EXPECT_TRUE(contains(folder.read("a.npy"), "'descr': '<f8', 'fortran_order': False, 'shape': (), }"));
}

TEST(Npy, ReadsOtherTypesAndByteOrders) {
  EXPECT_TRUE(identical(parse(npy(header_of("<f2", "(2,)"), bytes_of_values<uint16_t>({0x3c00, 0xc000}))),
                        Tensor::from({1, -2}, {2}).to(DType::kFloat16)));
  EXPECT_TRUE(identical(parse(npy(header_of(">f4", "(1,)"), std::string("\x3f\x80\0\0", 4))), Tensor::from({1}, {1})));
  EXPECT_TRUE(identical(parse(npy(header_of(">f8", "(1,)"), std::string("\x3f\xf0\0\0\0\0\0\0", 8))),
                        Tensor::full({1}, 1, DType::kFloat64)));
  EXPECT_TRUE(identical(parse(npy(header_of(">i8", "(1,)"), std::string("\0\0\0\0\0\0\1\2", 8))), integers({258})));
  EXPECT_TRUE(
      identical(parse(npy(header_of(">i4", "(1,)"), std::string("\xff\xff\xff\xfe", 4))), integers({-2}).to(DType::kInt32)));
  EXPECT_TRUE(
      identical(parse(npy(header_of("<i4", "(2,)"), bytes_of_values<int32_t>({-7, 8}))), integers({-7, 8}).to(DType::kInt32)));
  EXPECT_TRUE(identical(parse(npy(header_of("<u4", "(1,)"), bytes_of_values<uint32_t>({UINT32_MAX}))),
                        integers({UINT32_MAX}).to(DType::kUInt32)));
  EXPECT_TRUE(identical(parse(npy(header_of("<i2", "(1,)"), bytes_of_values<int16_t>({-3}))), integers({-3}).to(DType::kInt16)));
  EXPECT_TRUE(
      identical(parse(npy(header_of("|u1", "(3,)"), std::string("\0\x01\xff", 3))), integers({0, 1, 255}).to(DType::kUInt8)));
  EXPECT_TRUE(identical(parse(npy(header_of("|i1", "(1,)"), "\xff")), integers({-1}).to(DType::kInt8)));
  EXPECT_TRUE(identical(parse(npy(header_of("|b1", "(2,)"), std::string("\0\x01", 2))), integers({0, 1}).to(DType::kBool)));
  EXPECT_TRUE(
      identical(parse(npy(header_of("<u8", "(1,)"), bytes_of_values<uint64_t>({UINT64_MAX}))), integers({-1}).to(DType::kUInt64)));
}

TEST(Npy, KeepsEveryType) {
  const TemporaryFolder folder;
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto dtype = static_cast<DType>(type);
    const Tensor values = Tensor::from({0, 1, 2, 100}, {4}).to(dtype);
    write_npy(folder.path("a.npy"), values);
    const Tensor read = read_npy(folder.path("a.npy"));
    EXPECT_TRUE(identical(read, dtype == DType::kBFloat16 ? values.to(DType::kFloat32) : values)) << dtype_name(dtype);
    write_npz(folder.path("a.npz"), {{"a", values}});
    EXPECT_TRUE(identical(read_npz(folder.path("a.npz")).at(0).second, read)) << dtype_name(dtype);
  }
}

TEST(Npy, ReadsFortranOrder) {
  const std::string values = bytes_of_values<float>({0, 3, 1, 4, 2, 5});
  EXPECT_TRUE(identical(parse(npy(header_of("<f4", "(2, 3)", "True"), values)), Tensor::arange(6).reshape({2, 3})));
  EXPECT_TRUE(identical(parse(npy(header_of("<f4", "(6,)", "True"), values)), Tensor::from({0, 3, 1, 4, 2, 5}, {6})));
  EXPECT_EQ(parse(npy(header_of("<f4", "(2, 0)", "True"))).shape(), (Shape{2, 0}));
  // Value 100 i + 10 j + k at [i, j, k]; k runs slowest in the file.
  std::string bytes;
  std::vector<float> expected;
  for (int k = 0; k < 4; ++k) {
    for (int j = 0; j < 3; ++j) {
      for (int i = 0; i < 2; ++i) bytes += bytes_of_values<int64_t>({100 * i + 10 * j + k});
    }
  }
  const Tensor got = parse(npy(header_of("<i8", "(2, 3, 4)", "True"), bytes));
  for (int64_t n = 0; n < 24; ++n) EXPECT_EQ(got.at(n), static_cast<double>(100 * (n / 12) + 10 * (n / 4 % 3) + n % 4));
}

TEST(Npy, ReadsWhatPythonMayWriteInTheHeader) {
  const std::string value = bytes_of_values<float>({1});
  for (const char* header :
       {"{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": (1,)}", "{'shape':(1L,),'fortran_order':True,'descr':'f4'}",
        "  { 'descr' : '=f4' , 'fortran_order' : False , 'shape' : ( 1 , ) , } \n\n"}) {
    EXPECT_TRUE(identical(parse(npy(header, value)), Tensor::from({1}, {1}))) << header;
  }
  EXPECT_EQ(parse(npy(header_of("<f4", "()"), value)).dim(), 0);
  for (const int version : {2, 3})
    EXPECT_TRUE(identical(parse(npy(header_of("<f4", "(1,)"), value, version)), Tensor::from({1}, {1})));
}

TEST(Npy, RefusesWhatIsNotOne) {
  const auto has = [](const std::string& bytes, const std::string& part) { return contains(refusal(bytes), "a.npy: " + part); };
  EXPECT_PRED2(has, "", "is not an npy file");
  EXPECT_PRED2(has, "PK\x03\x04", "is not an npy file");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1,)"), "1234", 4), "has npy version 4.0");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1,)"), "1234", 0), "has npy version 0.0");
  EXPECT_PRED2(has, std::string("\x93NUMPY\x01\0\xff\xff{", 11),
               "truncated: the npy header should take 65535 bytes, but the file has only 11");
  EXPECT_PRED2(has, std::string("\x93NUMPY\x02\0\xff\xff\xff\xff{", 13), "truncated: the npy header should take 4294967295 bytes");
  EXPECT_PRED2(has, std::string("\x93NUMPY\x01\0", 8), "truncated");
  EXPECT_PRED2(has, npy(std::string((1 << 20) + 1, ' '), "", 2),
               "the npy header takes 1048577 bytes, more than the limit of 1048576");
  EXPECT_PRED2(has, npy("(1, 2)"), "the npy header should have '{' at character 0");
  EXPECT_PRED2(has, npy("{'descr': '<f4'"), "the npy header should have '}' at character 15");
  EXPECT_PRED2(has, npy("{'descr': '<f4"), "the npy header has a text without end at character 10");
  EXPECT_PRED2(has, npy("{'descr': '<f4', 'descr': '<f4'}"), "the npy header has \"descr\" twice");
  EXPECT_PRED2(has, npy("{'other': 1}"), "the npy header has the unknown key \"other\"");
  EXPECT_PRED2(has, npy("{}"), "the npy header has no 'descr'");
  EXPECT_PRED2(has, npy("{'descr': '<f4', 'fortran_order': False}"), "the npy header has no 'shape'");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1,)", "Maybe")), "the npy header should have True or False at character 34");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1,)") + "x"), "the npy header goes on after its end");
  EXPECT_PRED2(has, npy(header_of("<f4", "[1]")), "the npy header should have '(' at character");
  EXPECT_PRED2(has, npy(header_of("<f4", "(-1,)")), "the npy header should have a size from 0 at character");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1.5,)")), "the npy header should have ')' at character");
  EXPECT_PRED2(has, npy(header_of("<f4", "(9223372036854775808,)")),
               "the npy header has the size \"9223372036854775808\", which is too large");
  EXPECT_PRED2(has, npy(header_of("<f4", "(4294967296, 4294967296)")),
               "the shape [4294967296, 4294967296] has more elements than 64 bits can count");
  EXPECT_PRED2(has, npy(header_of("<f4", "(0, 4611686018427387904, 4)")),
               "the shape [0, 4611686018427387904, 4] has more elements");
  std::string axes;
  for (int i = 0; i < 65; ++i) axes += "1,";
  EXPECT_PRED2(has, npy(header_of("<f4", "(" + axes + ")")), "the npy header has a shape of more than 64 axes");
  EXPECT_PRED2(has, npy(header_of("<c8", "(1,)")), "has the type \"<c8\", which cannot be read");
  EXPECT_PRED2(has, npy(header_of("|O", "(1,)")), "has the type \"|O\", which cannot be read");
  EXPECT_PRED2(has, npy(header_of("<c8", "(1,)")), "has the type \"<c8\", which cannot be read");
  EXPECT_PRED2(has, npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
               "is an array of records, which cannot be read");
  EXPECT_PRED2(has, npy(header_of("<f4", "(2,)"), "1234"),
               "truncated: shape [2] of type \"<f4\" needs 8 bytes, but 4 follow the header");
  EXPECT_PRED2(has, npy(header_of("<f4", "(2,)"), "123456789"),
               "too long: shape [2] of type \"<f4\" needs 8 bytes, but 9 follow the header");
  EXPECT_PRED2(has, npy(header_of("<f4", "(1000000000000,)"), "1234"), "truncated: shape [1000000000000]");
}

TEST(Npy, EveryTruncationIsRefused) {
  const std::string whole = npy(header_of("<f4", "(3,)"), bytes_of_values<float>({1, 2, 3}));
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse(whole.substr(0, n)), FileError) << n;
}

TEST(Npz, RoundTrip) {
  const TemporaryFolder folder;
  Generator g(2);
  const Named in = {{"x", randn({3, 4}, DType::kFloat32, &g)},
                    {"layer/0.weight", randn({2, 2}, DType::kFloat64, &g)},
                    {"\u00fc", integers({1, 2, 3})},
                    {"", Tensor::scalar(1)},
                    {"empty", Tensor::empty({0})}};
  write_npz(folder.path("a.npz"), in);
  const Named out = read_npz(folder.path("a.npz"));
  ASSERT_EQ(out.size(), in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    EXPECT_EQ(out[i].first, in[i].first);
    EXPECT_TRUE(identical(out[i].second, in[i].second));
  }
  write_npz(folder.path("b.npz"), in);
  EXPECT_EQ(folder.read("a.npz"), folder.read("b.npz")) << "no time stamps";
  write_npz(folder.path("none.npz"), {});
  EXPECT_TRUE(read_npz(folder.path("none.npz")).empty());
}

TEST(Npz, WritingRefusesWhatCannotBe) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  EXPECT_TRUE(contains(message([&] {
                         write_npz(path, {{"a", Tensor::zeros({1})}, {"a", Tensor::zeros({1})}});
                       }),
                       "two arrays have the name \"a\""));
  EXPECT_TRUE(contains(message([&] { write_npz(path, {{"a", Tensor()}}); }), "array \"a\" is undefined"));
  EXPECT_TRUE(contains(message([&] { write_npy(path, Tensor()); }), "undefined"));
  EXPECT_EQ(folder.count(), 0);
}

// Zip archives by hand, to be wrong in one place at a time.
template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct ZipEntry {
  std::string name, content;
  bool deflate = false;
  uint16_t flags = 0;
  int method = -1;    // what is claimed; -1: the truth
  int64_t size = -1;  // the same
  int64_t packed_size = -1;
  int64_t offset = -1;
  uint32_t checksum_error = 0;
  std::string local_name = "=";
  bool zip64 = false;
};

std::string deflated(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, static_cast<uLong>(content.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zip(const std::vector<ZipEntry>& entries, bool zip64 = false, const std::string& comment = {}) {
  std::string out, directory;
  for (const ZipEntry& e : entries) {
    const std::string packed = e.deflate ? deflated(e.content) : e.content;
    const auto method = static_cast<uint16_t>(e.method >= 0 ? e.method : e.deflate ? 8 : 0);
    const uint64_t size = e.size >= 0 ? static_cast<uint64_t>(e.size) : e.content.size();
    const uint64_t packed_size = e.packed_size >= 0 ? static_cast<uint64_t>(e.packed_size) : packed.size();
    const uint64_t offset = e.offset >= 0 ? static_cast<uint64_t>(e.offset) : out.size();
    const uLong checksum =
        crc32(0, reinterpret_cast<const Bytef*>(e.content.data()), static_cast<uInt>(e.content.size())) ^ e.checksum_error;
    const std::string local_name = e.local_name == "=" ? e.name : e.local_name;
    put<uint32_t>(out, 0x04034b50);
    for (const uint16_t v : {uint16_t{45}, e.flags, method, uint16_t{0}, uint16_t{0}}) put(out, v);
    for (int i = 0; i < 3; ++i) put<uint32_t>(out, 0);  // as streaming writers do
    put(out, static_cast<uint16_t>(local_name.size()));
    put<uint16_t>(out, 20);
    out += local_name + std::string(20, '\0') + packed;

    std::string extra;
    if (e.zip64) {
      put<uint16_t>(extra, 0x5455);
      put<uint16_t>(extra, 1);
      extra += 'x';
      put<uint16_t>(extra, 1);
      put<uint16_t>(extra, 24);
      put(extra, size);
      put(extra, packed_size);
      put(extra, offset);
    }
    put<uint32_t>(directory, 0x02014b50);
    for (const uint16_t v : {uint16_t{45}, uint16_t{45}, e.flags, method, uint16_t{0}, uint16_t{0}}) put(directory, v);
    put(directory, static_cast<uint32_t>(checksum));
    put(directory, e.zip64 ? 0xffffffffu : static_cast<uint32_t>(packed_size));
    put(directory, e.zip64 ? 0xffffffffu : static_cast<uint32_t>(size));
    put(directory, static_cast<uint16_t>(e.name.size()));
    put(directory, static_cast<uint16_t>(extra.size()));
    for (const uint16_t v : {0, 0, 0, 0, 0}) put(directory, v);
    put(directory, e.zip64 ? 0xffffffffu : static_cast<uint32_t>(offset));
    directory += e.name + extra;
  }
  const uint64_t at = out.size();
  out += directory;
  if (zip64) {
    const uint64_t end = out.size();
    put<uint32_t>(out, 0x06064b50);
    put<uint64_t>(out, 44);
    put<uint32_t>(out, 0);
    put<uint64_t>(out, 0);
    put<uint64_t>(out, entries.size());
    put<uint64_t>(out, entries.size());
    put<uint64_t>(out, directory.size());
    put<uint64_t>(out, at);
    put<uint32_t>(out, 0x07064b50);
    put<uint32_t>(out, 0);
    put<uint64_t>(out, end);
    put<uint32_t>(out, 1);
  }
  put<uint32_t>(out, 0x06054b50);
  put<uint32_t>(out, 0);
  put(out, zip64 ? uint16_t{0xffff} : static_cast<uint16_t>(entries.size()));
  put(out, zip64 ? uint16_t{0xffff} : static_cast<uint16_t>(entries.size()));
  put(out, zip64 ? 0xffffffffu : static_cast<uint32_t>(directory.size()));
  put(out, zip64 ? 0xffffffffu : static_cast<uint32_t>(at));
  put(out, static_cast<uint16_t>(comment.size()));
  return out + comment;
}

Named unzip(const std::string& bytes) { return parse_npz(bytes.data(), bytes.size(), "a.npz"); }

TEST(Npz, ReadsStoredDeflatedStreamedAndZip64) {
  const std::string a = npy(header_of("<f4", "(2,)"), bytes_of_values<float>({1, 2}));
  const std::string b = npy(header_of("|u1", "(100000,)"), std::string(100000, '\x07'));
  for (const bool big : {false, true}) {
    const Named got = unzip(zip(
        {{.name = "a.npy", .content = a, .flags = 8, .zip64 = big}, {.name = "b.npy", .content = b, .deflate = true, .zip64 = big}},
        big, "a comment PK\x05\x06"));
    ASSERT_EQ(got.size(), 2U);
    EXPECT_EQ(got[0].first, "a");
    EXPECT_TRUE(identical(got[0].second, Tensor::from({1, 2}, {2})));
    EXPECT_TRUE(identical(got[1].second, Tensor::full({100000}, 7, DType::kUInt8)));
  }
}

TEST(Npz, RefusesBrokenArchives) {
  const std::string a = npy(header_of("<f4", "(2,)"), bytes_of_values<float>({1, 2}));
  const auto refuses = [](const std::vector<ZipEntry>& entries, const std::string& part) {
    const std::string error = message([&] { unzip(zip(entries)); });
    EXPECT_TRUE(contains(error, "a.npz: " + part)) << error;
  };
  EXPECT_TRUE(contains(message([] { unzip(""); }), "a.npz: is not an npz file: too short"));
  EXPECT_TRUE(contains(message([] { unzip(std::string(100, 'x')); }), "a.npz: is not an npz file: the zip directory is missing"));
  refuses({{.name = "a.txt", .content = "hello"}}, "entry \"a.txt\" is not an array");
  refuses({{.name = "a.npy", .content = "hello"}}, "entry \"a.npy\": is not an npy file");
  refuses({{.name = "a.npy", .content = a}, {.name = "a.npy", .content = a}}, "two entries have the name \"a.npy\"");
  refuses({{.name = "a.npy", .content = a, .flags = 1}}, "entry \"a.npy\" is encrypted");
  refuses({{.name = "a.npy", .content = a, .method = 12}}, "entry \"a.npy\" is packed by method 12");
  refuses({{.name = "a.npy", .content = a, .size = 5}}, "entry \"a.npy\" is stored, but its two sizes differ");
  refuses({{.name = "a.npy", .content = a, .checksum_error = 1}}, "entry \"a.npy\": the checksum is wrong");
  refuses({{.name = "a.npy", .content = a, .deflate = true, .checksum_error = 1}}, "entry \"a.npy\": the checksum is wrong");
  refuses({{.name = "a.npy", .content = a, .method = 8}}, "entry \"a.npy\": the compressed bytes are broken");
  refuses({{.name = "a.npy", .content = a, .deflate = true, .size = 60}}, "entry \"a.npy\": truncated: ");
  refuses({{.name = "a.npy", .content = a, .deflate = true, .size = 90}}, "entry \"a.npy\": too long: ");
  const auto size = static_cast<int64_t>(a.size());
  for (const std::string& content : {a.substr(0, a.size() - 1), a + "x"})  // whatever the directory says
    refuses({{.name = "a.npy", .content = content, .deflate = true, .size = size}},
            "entry \"a.npy\": the compressed bytes are broken");
  refuses({{.name = "a.npy", .content = a, .deflate = true, .size = 4000000000}}, "entry \"a.npy\": ");
  refuses({{.name = "a.npy", .content = a, .deflate = true, .size = int64_t{1} << 40, .zip64 = true}}, "entry \"a.npy\": ");
  refuses({{.name = "a.npy", .content = a, .size = 1 << 20, .packed_size = 1 << 20}}, "entry \"a.npy\" lies outside of the file");
  refuses({{.name = "a.npy", .content = a, .offset = 1 << 20}}, "entry \"a.npy\" lies outside of the file");
  refuses({{.name = "a.npy", .content = a, .offset = INT64_MAX, .zip64 = true}}, "entry \"a.npy\" lies outside of the file");
  refuses({{.name = "a.npy", .content = a, .offset = 1}}, "entry \"a.npy\" does not begin where the directory says");
  refuses({{.name = "a.npy", .content = a, .local_name = "b.npy"}}, "entry \"a.npy\" is called \"b.npy\" where it begins");
  // The second entry begins inside of the first: its local header is content of the first.
  const std::string inner = zip({{.name = "b.npy", .content = a}});
  refuses({{.name = "a.npy", .content = inner}, {.name = "b.npy", .content = a, .offset = 30 + 5 + 20}},
          "entries \"a.npy\" and \"b.npy\" overlap");
}

// 130 KB that would unpack to 128 MB.
TEST(Npz, AsksBeforeItUnpacks) {
  const TemporaryFolder folder;
  const std::string bomb = npy(header_of("|u1", "(134217728,)"), std::string(size_t{1} << 27, '\0'));
  const std::string small = npy(header_of("|u1", "(3,)"), "abc");
  const std::string path = folder.write("a.npz", zip({{.name = "bomb.npy", .content = bomb, .deflate = true, .checksum_error = 1},
                                                      {.name = "small.npy", .content = small}}));
  const MemoryBudget budget(1 << 20);
  std::vector<std::string> seen;
  const Named got = read_npz(path, [&](const ArrayInfo& info) {
    seen.push_back(info.name + " " + to_string(info.shape));
    EXPECT_EQ(info.arrays, 2U);
    EXPECT_EQ(info.dtype, DType::kUInt8);
    return info.name == "small";
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"bomb [134217728]", "small [3]"}));
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].first, "small");
  EXPECT_LT(budget.peak_bytes(), 1 << 10);
  EXPECT_EQ(message([&] { read_npz(path); }), path + ": entry \"bomb.npy\": the array takes 134217728 bytes, and " +
                                                  std::to_string(memory_room()) +
                                                  " are available\nmake it smaller, or use a machine with more memory");
}

TEST(Npy, AsksBeforeItReads) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.npy", npy(header_of("<f4", "(268435456, 1024)")));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + (uint64_t{1} << 40));  // of holes
  const MemoryBudget budget(1 << 20);
  EXPECT_TRUE(contains(message([&] { read_npy(path); }), "a.npy: the array takes 1099511627776 bytes, and 1048576 are available"));
  EXPECT_FALSE(read_npy(path, [](const ArrayInfo& info) {
                 EXPECT_EQ(info.shape, (Shape{268435456, 1024}));
                 return false;
               }).defined());
}

TEST(Npz, EveryTruncationIsRefused) {
  const std::string a = npy(header_of("<f4", "(2,)"), bytes_of_values<float>({1, 2}));
  for (const bool big : {false, true}) {
    const std::string whole =
        zip({{.name = "a.npy", .content = a, .zip64 = big}, {.name = "b.npy", .content = a, .deflate = true}}, big);
    EXPECT_EQ(unzip(whole).size(), 2U);
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(unzip(whole.substr(0, n)), FileError) << n;
  }
}

TEST(Npy, DamagedFilesGiveValuesOrAFileError) {
  testing::expect_values_or_file_error(
      "a.npy",
      {npy(header_of("<f4", "(2, 3)", "True"), std::string(24, 'x')), npy(header_of(">i2", "(5,)"), std::string(10, 'y'), 2),
       npy(header_of("|b1", "(1, 0, 2)")), npy(header_of("<f2", "()"), "zz", 3)},
      [](const std::string& bytes) { parse(bytes); });
}

TEST(Npz, DamagedFilesGiveValuesOrAFileError) {
  const std::string a = npy(header_of("<f4", "(2,)"), bytes_of_values<float>({1, 2}));
  const std::string b = npy(header_of("|u1", "(300,)"), std::string(300, '\x07'));
  testing::expect_values_or_file_error(
      "a.npz",
      {zip({{.name = "a.npy", .content = a}, {.name = "b.npy", .content = b, .deflate = true}}),
       zip({{.name = "a.npy", .content = a, .zip64 = true}, {.name = "b.npy", .content = b, .deflate = true, .zip64 = true}}, true),
       zip({}, false, "comment")},
      [](const std::string& bytes) { unzip(bytes); });
}

}  // namespace
}  // namespace convoy::io
