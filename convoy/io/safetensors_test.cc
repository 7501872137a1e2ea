#include "convoy/io/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "convoy/core/error.h"
#include "convoy/core/random.h"
#include "convoy/core/storage.h"
#include "tests/mutation.h"
#include "tests/temporary_folder.h"

namespace convoy::io {
namespace {

using testing::TemporaryFolder;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string with_length(uint64_t length, const std::string& rest) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + rest;
}

std::string file(const std::string& header, const std::string& values = {}) { return with_length(header.size(), header + values); }

SafeTensors parse(const std::string& bytes) { return parse_safetensors(bytes.data(), bytes.size(), "m.safetensors"); }

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const FileError& e) {
    EXPECT_PRED2(contains, e.reason(), "m.safetensors: ");
    return e.reason().substr(std::strlen("m.safetensors: "));
  }
  return "accepted";
}

std::string one(const std::string& fields, size_t values) { return file("{\"a\":{" + fields + "}}", std::string(values, '\0')); }

template <class T>
std::string bytes_of_values(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

TEST(SafeTensors, RoundTripKeepsOrderNamesTypesBitsAndMetadata) {
  const TemporaryFolder folder;
  Generator g(3);
  SafeTensors in;
  in.tensors.emplace_back("conv.weight", randn({3, 1, 5}, DType::kFloat32, &g));
  in.tensors.emplace_back("steps", Tensor::from(std::vector<int64_t>{INT64_MIN, -1, INT64_MAX}, {3}));
  in.tensors.emplace_back("a \"quoted\"\n\tname \u00fc\u4e2d\U0001F600", randn({2}, DType::kFloat64, &g));
  in.tensors.emplace_back("scalar", Tensor::scalar(-0.0));
  in.tensors.emplace_back("empty", Tensor::empty({4, 0, 2}));
  in.tensors.emplace_back("special", Tensor::from({std::nanf("7"), INFINITY, -INFINITY, 1e-45f}, {2, 2}));
  in.tensors.emplace_back("", Tensor::zeros({1}));
  in.metadata = {{"format", "pt"}, {"text", "{\"json\": [1]}"}};
  const std::string path = folder.path("m.safetensors");
  write_safetensors(path, in);
  const SafeTensors out = read_safetensors(path);
  EXPECT_EQ(out.metadata, in.metadata);
  ASSERT_EQ(out.tensors.size(), in.tensors.size());
  for (size_t i = 0; i < in.tensors.size(); ++i) {
    EXPECT_EQ(out.tensors[i].first, in.tensors[i].first);
    EXPECT_TRUE(identical(out.tensors[i].second, in.tensors[i].second)) << in.tensors[i].first;
  }
  EXPECT_EQ(out.find("steps"), &out.tensors[1].second);
  EXPECT_EQ(out.find("nothing"), nullptr);
  EXPECT_EQ(folder.count(), 1) << "the temporary file should be gone";
}

TEST(SafeTensors, WritesTheFormatToTheByteAndAlignsEveryTensor) {
  const TemporaryFolder folder;
  SafeTensors in;
  in.tensors.emplace_back("w", Tensor::from({1, 2, 3}, {1, 3}));
  in.tensors.emplace_back("n", Tensor::from(std::vector<int64_t>{5}, {}));
  in.metadata = {{"format", "pt"}};
  write_safetensors(folder.path("m"), in);
  std::string header =
      "{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[8,20]},"
      "\"n\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(folder.read("m"), file(header, bytes_of_values<int64_t>({5}) + bytes_of_values<float>({1, 2, 3})));

  write_safetensors(folder.path("none"), {});
  EXPECT_EQ(folder.read("none"), file("{}      "));
  EXPECT_TRUE(read_safetensors(folder.path("none")).tensors.empty());
}

TEST(SafeTensors, ConvertsNarrowTypesWithoutLoss) {
  const auto values = [](const std::string& dtype, const std::string& shape, const std::string& bytes) {
    const std::string header =
        "{\"a\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[0," + std::to_string(bytes.size()) + "]}}";
    return parse(file(header, bytes)).tensors.at(0).second;
  };
  const Tensor f16 =
      values("F16", "[9]", bytes_of_values<uint16_t>({0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8003, 0x7c00, 0xfc00, 0x8000}));
  EXPECT_EQ(f16.dtype(), DType::kFloat16);
  EXPECT_TRUE(identical(f16.to(DType::kFloat32),
                        Tensor::from({1, -2, 65504, 0x1p-14f, 0x1p-24f, -3 * 0x1p-24f, INFINITY, -INFINITY, -0.0f}, {9})));
  EXPECT_TRUE(std::isnan(values("F16", "[1]", bytes_of_values<uint16_t>({0x7e01})).item()));
  const Tensor bf16 = values("BF16", "[2,2]", bytes_of_values<uint16_t>({0x3f80, 0xc049, 0x7f80, 0x0001}));
  EXPECT_EQ(bf16.dtype(), DType::kBFloat16);
  EXPECT_TRUE(identical(bf16.to(DType::kFloat32), Tensor::from({1, -3.140625f, INFINITY, 0x1p-133f}, {2, 2})));
  const auto integers = [](DType dtype, const std::vector<int64_t>& v) {
    return Tensor::from(v, {static_cast<int64_t>(v.size())}).to(dtype);
  };
  EXPECT_TRUE(identical(values("I32", "[3]", bytes_of_values<int32_t>({INT32_MIN, -1, INT32_MAX})),
                        integers(DType::kInt32, {INT32_MIN, -1, INT32_MAX})));
  EXPECT_TRUE(identical(values("I16", "[2]", bytes_of_values<int16_t>({-32768, 5})), integers(DType::kInt16, {-32768, 5})));
  EXPECT_TRUE(identical(values("I8", "[2]", bytes_of_values<int8_t>({-128, 127})), integers(DType::kInt8, {-128, 127})));
  EXPECT_TRUE(identical(values("U64", "[1]", bytes_of_values<uint64_t>({UINT64_MAX})), integers(DType::kUInt64, {-1})));
  EXPECT_TRUE(identical(values("U32", "[1]", bytes_of_values<uint32_t>({UINT32_MAX})), integers(DType::kUInt32, {UINT32_MAX})));
  EXPECT_TRUE(identical(values("U16", "[1]", bytes_of_values<uint16_t>({65535})), integers(DType::kUInt16, {65535})));
  EXPECT_TRUE(identical(values("U8", "[2]", bytes_of_values<uint8_t>({0, 255})), integers(DType::kUInt8, {0, 255})));
  EXPECT_TRUE(identical(values("BOOL", "[3]", bytes_of_values<uint8_t>({0, 1, 7})), integers(DType::kBool, {0, 1, 1})));
}

TEST(SafeTensors, KeepsEveryType) {
  const TemporaryFolder folder;
  SafeTensors in;
  for (int type = 0; type <= static_cast<int>(DType::kBool); ++type) {
    const auto dtype = static_cast<DType>(type);
    in.tensors.emplace_back(dtype_name(dtype), Tensor::from({0, 1, 2, 100}, {4}).to(dtype));
  }
  write_safetensors(folder.path("m"), in);
  const SafeTensors out = read_safetensors(folder.path("m"));
  for (const auto& [name, value] : in.tensors) {
    ASSERT_NE(out.find(name), nullptr) << name;
    EXPECT_TRUE(identical(*out.find(name), value)) << name;
  }
}

TEST(SafeTensors, AcceptsWhatTheFormatAllows) {
  // Any order of the keys, space around everything, unknown fields, headers in another order than the values, empty tensors
  // between.
  const std::string header =
      "{ \"b\" : {\"data_offsets\":[4,12],\"shape\":[1,2],\"dtype\":\"F32\",\"note\":{\"x\":[1,{\"y\":null}]},\"more\":1.5},\n"
      " \"e\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[4,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]"
      "}}   \n";
  const SafeTensors got = parse(file(header, bytes_of_values<float>({1, 2, 3})));
  ASSERT_EQ(got.tensors.size(), 3U);
  EXPECT_EQ(got.tensors[0].first, "b");
  EXPECT_TRUE(identical(got.tensors[0].second, Tensor::from({2, 3}, {1, 2})));
  EXPECT_TRUE(identical(got.tensors[1].second, Tensor::empty({0}, DType::kFloat64)));
  EXPECT_TRUE(identical(got.tensors[2].second, Tensor::scalar(1)));
}

TEST(SafeTensors, RefusesABrokenLengthOrHeader) {
  EXPECT_EQ(refusal("abc"), "too short for a safetensors file: it has 3 bytes, and the header's length alone takes 8");
  EXPECT_EQ(refusal(with_length(100'000'001, "{}")), "the header's length is 100000001 bytes, more than the limit of 100000000");
  EXPECT_EQ(refusal(with_length(UINT64_MAX, "{}")),
            "the header's length is 18446744073709551615 bytes, more than the limit of 100000000");
  EXPECT_EQ(refusal(with_length(3, "{}")), "truncated: the header should take 3 bytes, but only 2 follow");
  EXPECT_EQ(refusal(file("")), "the header does not start with '{'");
  EXPECT_EQ(refusal(file(" {}")), "the header does not start with '{'");
  EXPECT_EQ(refusal(file("[]")), "the header does not start with '{'");
  EXPECT_EQ(refusal(file("{\"a\xff\":1}")), "the header is not UTF-8: see byte 11");
  EXPECT_EQ(refusal(file("{\"\xed\xa0\x80\":1}")), "the header is not UTF-8: see byte 10");
  EXPECT_EQ(refusal(file("{\"\xc0\xaf\":1}")), "the header is not UTF-8: see byte 10");
  EXPECT_EQ(refusal(file("{\"\xf4\x90\x80\x80\":1}")), "the header is not UTF-8: see byte 10");
  EXPECT_EQ(refusal(file("{\"\xe4\xb8")), "the header is not UTF-8: see byte 10");
  EXPECT_PRED2(contains, refusal(file("{\"a\":")), "the header is not valid JSON at byte 14");
  EXPECT_PRED2(contains, refusal(file("{'a':1}")), "the header is not valid JSON at byte");
  EXPECT_PRED2(contains, refusal(file("{} {}")), "the header is not valid JSON at byte");
  EXPECT_PRED2(contains, refusal(file(std::string("{}\0{", 4))), "not valid JSON at byte 10, which is zero");
  EXPECT_PRED2(contains, refusal(file("{\"a\":1e999}")), "not valid JSON");
}

TEST(SafeTensors, RefusesDeepNesting) {
  const std::string deep(1'000'000, '[');
  EXPECT_EQ(refusal(file("{\"a\":{\"x\":" + deep)), "the header is nested deeper than 16 levels");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"x\":";
  EXPECT_EQ(refusal(file("{\"a\":{\"x\":" + objects)), "the header is nested deeper than 16 levels");
  EXPECT_EQ(refusal(file("{\"a\":" + deep)), "\"a\" should be an object, but is an array");
}

TEST(SafeTensors, RefusesEntriesOfTheWrongForm) {
  EXPECT_EQ(refusal(file("{\"a\":1}")), "\"a\" should be an object, but is 1");
  EXPECT_EQ(refusal(file("{\"a\":{}}")), "tensor \"a\" has no dtype");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\"", 0)), "tensor \"a\" has no shape");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"shape\":[]", 0)), "tensor \"a\" has no data_offsets");
  EXPECT_EQ(refusal(one("\"dtype\":\"F12\",\"shape\":[1],\"data_offsets\":[0,4]", 4)),
            "tensor \"a\" has the unknown dtype \"F12\"");
  EXPECT_EQ(refusal(one("\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]", 4)), "tensor \"a\": dtype should be text, but is 7");
  EXPECT_EQ(refusal(one("\"dtype\":[\"F32\"]", 4)), "tensor \"a\": dtype should be text, but is an array");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"shape\":1", 4)), "tensor \"a\": shape should be a list of numbers, but is 1");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"shape\":{}", 4)), "tensor \"a\": shape should be a list of numbers, but is an object");
  EXPECT_EQ(refusal(one("\"shape\":[-1]", 4)), "tensor \"a\": a size in shape should be a whole number from 0, but is -1");
  EXPECT_EQ(refusal(one("\"shape\":[1.5]", 4)), "tensor \"a\": a size in shape should be a whole number from 0, but is 1.5");
  EXPECT_EQ(refusal(one("\"shape\":[18446744073709551616]", 4)),
            "tensor \"a\": a size in shape should be a whole number from 0, but is 18446744073709551616");
  EXPECT_EQ(refusal(one("\"shape\":[[1]]", 4)), "tensor \"a\": a size in shape should be a whole number from 0, but is an array");
  EXPECT_EQ(refusal(one("\"data_offsets\":[0,-4]", 4)), "tensor \"a\": data_offsets should be whole numbers from 0, but one is -4");
  EXPECT_EQ(refusal(one("\"data_offsets\":[0,4,8]", 4)), "tensor \"a\": data_offsets should be 2 numbers, but has more");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4]", 4)),
            "tensor \"a\": data_offsets should be 2 numbers, but has 1");
  EXPECT_EQ(refusal(file("{\"__metadata__\":{\"k\":1}}")), "__metadata__ should hold text, but \"k\" is 1");
  EXPECT_EQ(refusal(file("{\"__metadata__\":{\"k\":{}}}")), "__metadata__ should hold text, but \"k\" is an object");
  EXPECT_EQ(refusal(file("{\"__metadata__\":3}")), "\"__metadata__\" should be an object, but is 3");
  std::string axes = "1";
  for (int i = 1; i < 65; ++i) axes += ",1";
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"shape\":[" + axes + "],\"data_offsets\":[0,4]", 4)),
            "tensor \"a\" has more than 64 axes");
}

TEST(SafeTensors, RefusesRepeatedNames) {
  const std::string entry = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}";
  EXPECT_EQ(refusal(file("{\"a\":" + entry + ",\"a\":" + entry + "}", "1234")), "two tensors have the name \"a\"");
  EXPECT_EQ(refusal(file("{\"a\":" + entry + ",\"\\u0061\":" + entry + "}", "1234")), "two tensors have the name \"a\"");
  EXPECT_EQ(refusal(file("{\"__metadata__\":{},\"__metadata__\":{}}")), "the header has __metadata__ twice");
  EXPECT_EQ(refusal(file("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}")), "__metadata__ has the key \"k\" twice");
  EXPECT_EQ(refusal(one("\"dtype\":\"F32\",\"dtype\":\"F64\"", 4)), "tensor \"a\" has the key \"dtype\" twice");
}

TEST(SafeTensors, RefusesShapesAndOffsetsThatDoNotFit) {
  const auto entry = [](const std::string& shape, const std::string& offsets, size_t values) {
    return refusal(one("\"dtype\":\"F32\",\"shape\":" + shape + ",\"data_offsets\":" + offsets, values));
  };
  EXPECT_EQ(entry("[2]", "[8,0]", 8), "tensor \"a\": data_offsets [8, 0] are reversed");
  EXPECT_EQ(entry("[2]", "[0,8]", 7),
            "tensor \"a\": data_offsets [0, 8] reach beyond the end of the file, whose values take 7 bytes");
  EXPECT_EQ(entry("[2]", "[0,18446744073709551615]", 8),
            "tensor \"a\": data_offsets [0, 18446744073709551615] reach beyond the end of the file, whose values take 8 bytes");
  EXPECT_EQ(entry("[3]", "[0,8]", 8), "tensor \"a\": shape [3] of F32 needs 12 bytes, but data_offsets [0, 8] give 8");
  EXPECT_EQ(entry("[0]", "[0,8]", 8), "tensor \"a\": shape [0] of F32 needs 0 bytes, but data_offsets [0, 8] give 8");
  EXPECT_EQ(entry("[4294967296,4294967296]", "[0,0]", 0),
            "tensor \"a\": the shape [4294967296, 4294967296] has more elements than 64 bits can count");
  EXPECT_EQ(entry("[4611686018427387905]", "[0,4]", 4),
            "tensor \"a\": the shape [4611686018427387905] has more elements than 64 bits can count");
  EXPECT_EQ(entry("[18446744073709551615]", "[0,0]", 0),
            "tensor \"a\": the shape [18446744073709551615] has more elements than 64 bits can count");
  EXPECT_EQ(entry("[0,4611686018427387904,4]", "[0,0]", 0),
            "tensor \"a\": the shape [0, 4611686018427387904, 4] has more elements than 64 bits can count");
  EXPECT_EQ(entry("[1]", "[0,4]", 8), "the tensors end at byte 4, but the values take 8 bytes");
  EXPECT_EQ(entry("[1]", "[4,8]", 8), "bytes 0 to 4 before tensor \"a\" belong to no tensor");
  EXPECT_EQ(refusal(file("{}", "x")), "the tensors end at byte 0, but the values take 1 bytes");
  const std::string a = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
  const std::string b = "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}";
  const std::string c = "\"c\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
  EXPECT_EQ(refusal(file("{" + b + "," + a + "}", std::string(12, 'x'))),
            "tensors \"a\" and \"b\" overlap: the first ends at byte 8, the second begins at 4");
  EXPECT_EQ(refusal(file("{" + a + "," + c + "}", std::string(8, 'x'))),
            "tensors \"a\" and \"c\" overlap: the first ends at byte 8, the second begins at 0");
}

TEST(SafeTensors, MessagesEscapeAndShortenHostileNames) {
  EXPECT_EQ(refusal(file("{\"\\u001b[2J\":1}")), "\"\\x1b[2J\" should be an object, but is 1");
  EXPECT_LT(refusal(file("{\"" + std::string(100000, 'n') + "\":1}")).size(), 300U);
}

TEST(SafeTensors, FilesThatCannotBeReadAreNamed) {
  const TemporaryFolder folder;
  const auto error = [](const std::string& path) {
    try {
      read_safetensors(path);
    } catch (const FileError& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  const std::string missing = folder.path("missing.safetensors");
  EXPECT_EQ(error(missing), missing + ": no such file\nthe folder " + folder.path() + " has no such file");
  folder.write("other.safetensors", "");
  EXPECT_EQ(error(missing), missing + ": no such file\nthe folder " + folder.path() + " holds other.safetensors");
  const std::string mistyped = folder.path("ohter.safetensors");
  EXPECT_EQ(error(mistyped), mistyped + ": no such file\ndid you mean " + folder.path("other.safetensors") + "?");
  const std::string deep = folder.path() + "/no/m.safetensors";
  EXPECT_EQ(error(deep), deep + ": no such file\nthe folder " + folder.path() + "/no does not exist");
  EXPECT_EQ(error(folder.path()), folder.path() + ": is a folder, not a file\ngive a file inside it");
  const std::string zip = folder.write("model.pt", "PK\x03\x04 and so on");
  EXPECT_PRED2(contains, error(zip), "torch.save");
  EXPECT_PRED2(contains, error("/dev/null"), "too short");
}

TEST(SafeTensors, AsksBeforeItReads) {
  const TemporaryFolder folder;
  const std::string path = folder.write(
      "a.safetensors", file("{\"a\":{\"dtype\":\"F32\",\"shape\":[268435456,1024],\"data_offsets\":[0,1099511627776]}}"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + (uint64_t{1} << 40));  // of holes
  const MemoryBudget budget(1 << 20);
  try {
    read_safetensors(path);
    FAIL() << "accepted";
  } catch (const OutOfMemory& error) {
    EXPECT_EQ(error.reason(), path + ": its tensors take 1099511627776 bytes, and 1048576 are available");
  }
}

TEST(SafeTensors, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  SafeTensors in;
  in.tensors.emplace_back("a", Tensor::arange(5));
  in.tensors.emplace_back("b", Tensor::arange(3, DType::kInt64));
  write_safetensors(folder.path("m"), in);
  const std::string whole = folder.read("m");
  for (size_t n = 0; n < whole.size(); ++n) EXPECT_NE(refusal(whole.substr(0, n)), "accepted") << n;
  EXPECT_EQ(refusal(whole), "accepted");
  EXPECT_NE(refusal(whole + "x"), "accepted");
}

TEST(SafeTensors, FailedWritesLeaveTheOldFileAlone) {
  const TemporaryFolder folder;
  SafeTensors in;
  in.tensors.emplace_back("a", Tensor::arange(5));
  const std::string path = folder.path("m");
  write_safetensors(path, in);
  const std::string before = folder.read("m");

  const auto error = [](const std::string& where, const SafeTensors& what) {
    try {
      write_safetensors(where, what);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("written");
  };
  SafeTensors bad = in;
  bad.tensors.emplace_back("a", Tensor::arange(1));
  EXPECT_EQ(error(path, bad), path + ": two tensors have the name \"a\"\ngive each its own name");
  bad.tensors.back() = {"b", Tensor()};
  EXPECT_PRED2(contains, error(path, bad), "tensor \"b\" is undefined");
  bad.tensors.back() = {"\xff", Tensor::arange(1)};
  EXPECT_PRED2(contains, error(path, bad), "not UTF-8");
  bad.tensors.back() = {"__metadata__", Tensor::arange(1)};
  EXPECT_PRED2(contains, error(path, bad), "a tensor cannot have the name __metadata__");
  EXPECT_EQ(folder.read("m"), before);

  const std::string nowhere = folder.path() + "/no/m";
  EXPECT_EQ(error(nowhere, in), nowhere + ": cannot write: the folder " + folder.path() +
                                    "/no does not exist\ncreate it first: mkdir -p " + folder.path() + "/no");
  EXPECT_EQ(error(folder.path(), in), folder.path() + ": cannot write: it is a folder\nadd a file name");
  EXPECT_EQ(error("/dev/full", in),
            "/dev/full: cannot write: the disk is full\ncheck that the disk has room; the file that was there before is untouched");
  EXPECT_EQ(error("/dev/null", in), "written");
  EXPECT_EQ(error(path + "/m", in),
            path + "/m: cannot write: the folder " + path + " does not exist\ncreate it first: mkdir -p " + path);
  EXPECT_EQ(folder.count(), 1);
}

TEST(SafeTensors, ReplacesAFileThroughALinkAndKeepsItsPermissions) {
  const TemporaryFolder folder;
  const std::string target = folder.write("real/m", "old");
  std::filesystem::permissions(target, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink(target, folder.path("link"));
  SafeTensors in;
  in.tensors.emplace_back("a", Tensor::arange(5));
  write_safetensors(folder.path("link"), in);
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
  EXPECT_EQ(read_safetensors(target).tensors.size(), 1U);
  EXPECT_EQ(std::filesystem::status(target).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(SafeTensors, DamagedFilesGiveValuesOrAFileError) {
  const TemporaryFolder folder;
  SafeTensors in;
  in.tensors.emplace_back("conv.weight", Tensor::arange(12).reshape({3, 4}));
  in.tensors.emplace_back("steps", Tensor::arange(3, DType::kInt64));
  in.tensors.emplace_back("empty", Tensor::empty({0, 2}));
  in.metadata = {{"format", "pt"}};
  write_safetensors(folder.path("m"), in);
  const std::vector<std::string> files = {
      folder.read("m"), one("\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]", 8),
      one("\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3],\"note\":{\"x\":[1,{\"y\":null}]}", 3)};
  testing::expect_values_or_file_error(
      "m.safetensors", files, [](const std::string& bytes) { parse(bytes); },
      [](std::string& bytes, testing::Mutator& mutator) {  // mostly with a length that leads to the end of the header
        const size_t end = bytes.rfind('}');
        if (mutator.below(4) == 0 || end == std::string::npos || end < 8) return;
        const uint64_t length = end + 1 - 8;
        std::memcpy(bytes.data(), &length, sizeof length);
      });
}

}  // namespace
}  // namespace convoy::io
