#include "convoy/data/idx.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "convoy/core/error.h"
#include "convoy/data/dataset.h"
#include "tests/mutation.h"
#include "tests/refusal.h"
#include "tests/temporary_folder.h"

namespace convoy::data {
namespace {

using testing::message;
using testing::TemporaryFolder;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string idx(const std::vector<uint32_t>& shape, const std::string& values, char type = 8) {
  std::string bytes = {'\0', '\0', type, static_cast<char>(shape.size())};
  for (const uint32_t n : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(n >> shift);
  }
  return bytes + values;
}

std::string gzipped(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, static_cast<uLong>(content.size())) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

IdxArray parse(const std::string& bytes, int axes) {
  return read_idx(io::ByteSource::memory(bytes.data(), bytes.size(), "f"), axes);
}
std::string refusal(const std::string& bytes, int axes = 1) {
  return message([&] { parse(bytes, axes); });
}

TEST(Idx, ReadsPlainAndPacked) {
  const std::string plain = idx({2, 1, 3}, std::string("\0\1\2\xff\4\5", 6));
  for (const std::string& bytes : {plain, gzipped(plain)}) {
    const IdxArray got = parse(bytes, 3);
    EXPECT_EQ(got.shape, (Shape{2, 1, 3}));
    EXPECT_EQ(got.values, (std::vector<uint8_t>{0, 1, 2, 255, 4, 5}));
  }
  EXPECT_EQ(parse(idx({0}, ""), 1).values.size(), 0U);
  const std::string zeros = gzipped(idx({1000, 100, 100}, std::string(10'000'000, '\0')));
  EXPECT_LT(zeros.size(), 20000U);
  EXPECT_EQ(parse(zeros, 3).values.size(), 10'000'000U);
}

TEST(Idx, RefusesWhatDoesNotFit) {
  EXPECT_EQ(refusal(""), "f: is not an IDX file\nMNIST's files begin with 0, 0, 8 and the number of dimensions");
  EXPECT_TRUE(contains(refusal("hello"), "f: is not an IDX file"));
  EXPECT_EQ(refusal(idx({1}, "x", 13)), "f: has values of IDX type 13\nunsigned bytes (type 8) can be read");
  EXPECT_EQ(refusal(idx({1, 1, 1}, "x")), "f: has 3 dimensions, but should have 1\nimages have 3, labels have 1");
  EXPECT_EQ(refusal(idx({1}, "x"), 3), "f: has 1 dimensions, but should have 3\nimages have 3, labels have 1");
  EXPECT_EQ(refusal(idx({3}, "abcd")), "f: too long: dimensions [3] need 3 values, but there are more");
  EXPECT_EQ(refusal(gzipped(idx({3}, "abcd"))), "f: too long: dimensions [3] need 3 values, but there are more");
  EXPECT_EQ(refusal(idx({3}, "ab")), "f: truncated: dimensions [3] need 3 values, but there are 2");
  EXPECT_EQ(refusal(gzipped(idx({300}, "ab"))), "f: truncated: dimensions [300] need 300 values, but there are 2");
  EXPECT_EQ(refusal(idx({5000}, "ab")), "f: truncated: dimensions [5000] are more than 10 bytes can hold");
  EXPECT_TRUE(contains(refusal(idx({0xffffffffu, 0xffffffffu, 0xffffffffu}, "ab"), 3),
                       "f: truncated: dimensions [4294967295, 4294967295, 4294967295]"));
  EXPECT_TRUE(contains(refusal(gzipped(idx({0xffffffffu}, "ab"))), "f: truncated: dimensions [4294967295] are more than"));
  std::string broken = gzipped(idx({300}, std::string(300, 'x')));
  broken[broken.size() - 5] = static_cast<char>(broken[broken.size() - 5] ^ 1);
  EXPECT_TRUE(contains(refusal(broken), "f: the compressed bytes are broken"));
}

TEST(Idx, EveryTruncationIsRefused) {
  const std::string plain = idx({2, 1, 3}, std::string("\0\1\2\xff\4\5", 6));
  for (const std::string& whole : {plain, gzipped(plain)}) {
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse(whole.substr(0, n), 3), FileError) << n;
  }
}

TEST(Idx, DamagedFilesGiveValuesOrAFileError) {
  const std::string images = idx({3, 4, 5}, std::string(60, 'x')), none = idx({0, 4, 5}, "");
  testing::expect_values_or_file_error("f", {images, none, gzipped(images), gzipped(none)},
                                       [](const std::string& bytes) { parse(bytes, 3); });
}

void write_mnist(const TemporaryFolder& folder, const std::string& separator, bool packed, const std::string& where = "") {
  const auto write = [&](const std::string& stem, const std::string& ending, const std::string& bytes) {
    folder.write(where + stem + separator + ending + (packed ? ".gz" : ""), packed ? gzipped(bytes) : bytes);
  };
  write("train-images", "idx3-ubyte", idx({3, 2, 2}, std::string("\0\1\2\3\4\5\6\7\x08\x09\x0a\xff", 12)));
  write("train-labels", "idx1-ubyte", idx({3}, std::string("\2\0\1", 3)));
  write("t10k-images", "idx3-ubyte", idx({1, 2, 2}, "abcd"));
  write("t10k-labels", "idx1-ubyte", idx({1}, "\3"));
}

TEST(IdxFolder, ReadsTheFourFilesUnderTheirUsualNames) {
  for (const std::string separator : {"-", "."}) {
    for (const std::string where : {"", "raw/"}) {
      for (const bool packed : {false, true}) {
        const TemporaryFolder folder;
        write_mnist(folder, separator, packed, where);
        const Split split = open_dataset("idx:" + folder.path());
        EXPECT_EQ(split.train.images.shape(), (Shape{3, 1, 2, 2}));
        EXPECT_EQ(split.train.images.at(11), 1.0);
        EXPECT_EQ(split.train.images.at(5), static_cast<double>(5.0f / 255.0f));
        EXPECT_EQ(split.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{2, 0, 1}));
        EXPECT_EQ(split.test.size(), 1);
        EXPECT_EQ(split.test.classes, (std::vector<std::string>{"0", "1", "2", "3"}));
        EXPECT_EQ(split.train.classes, split.test.classes);
      }
    }
  }
}

TEST(IdxFolder, NamesWhatIsWrong) {
  const auto error = [](const TemporaryFolder& folder) { return message([&] { idx_folder(folder.path()); }); };
  {
    const TemporaryFolder folder;
    EXPECT_TRUE(contains(error(folder), folder.path() + ": the file train-images-idx3-ubyte is missing\nit holds nothing; "));
    folder.write("notes.txt", "");
    EXPECT_TRUE(contains(error(folder), "it holds notes.txt; "));
    EXPECT_TRUE(contains(message([&] { idx_folder(folder.path() + "/no"); }), "/no: no such folder"));
    EXPECT_TRUE(contains(message([&] { idx_folder(folder.path() + "/notes.txt"); }), "notes.txt: is not a folder"));
    EXPECT_TRUE(contains(message([&] { idx_folder(""); }), "no such folder"));
  }
  const auto with = [&](const std::string& name, const std::string& bytes) {
    const TemporaryFolder folder;
    write_mnist(folder, "-", false);
    folder.write(name, bytes);
    return error(folder);
  };
  EXPECT_TRUE(contains(with("train-labels-idx1-ubyte", idx({2}, "ab")), "has 2 labels for the 3 images of"));
  EXPECT_TRUE(contains(with("train-images-idx3-ubyte", idx({3}, "abc")), "train-images-idx3-ubyte: has 1 dimensions"));
  EXPECT_TRUE(
      contains(with("t10k-images-idx3-ubyte", idx({1, 1, 4}, "abcd")), "the images to train on are 2 x 2, those to test on 1 x 4"));
  EXPECT_TRUE(contains(with("t10k-images-idx3-ubyte", idx({1, 0, 4}, "")), "has no images"));
}

}  // namespace
}  // namespace convoy::data
