#include "storage/safetensors.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "core/sha256.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

class Safetensors : public ::testing::Test {
 protected:
  /// A file with this header and so many bytes of data.
  void write(const std::string& header, std::size_t data_bytes) {
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    write_bytes(bytes + header + std::string(data_bytes, '\0'));
  }
  void write_bytes(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  /// What reading says about the file, without the file's name.
  std::string error() {
    try {
      read_safetensors(path_);
    } catch (const Error& error) {
      const std::string begin = path_.string() + ": broken safetensors file: ";
      const std::string text = error.what();
      EXPECT_TRUE(text.starts_with(begin)) << text;
      return text.substr(std::min(begin.size(), text.size()));
    }
    return "(no error)";
  }
  std::string error(const std::string& header, std::size_t data_bytes) {
    write(header, data_bytes);
    return error();
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_ / "x.safetensors";
};

TEST_F(Safetensors, WhatIsWrittenIsRead) {
  Tensor a(Shape{2, 3});
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<float>(i) - 2.5f;
  Tensor scalar{Shape{}};
  scalar.data()[0] = 7;
  const Tensor empty(Shape{0, 4});
  write_safetensors(path_, {{"1.weight", &a}, {"scalar", &scalar}, {"empty", &empty}},
                    {{"recipe", "a = \"b\"\n"}});
  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"recipe", "a = \"b\"\n"}}));
  ASSERT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.tensors.at("1.weight").shape(), (Shape{2, 3}));
  EXPECT_EQ(std::memcmp(file.tensors.at("1.weight").data(), a.data(), a.size() * sizeof(float)), 0);
  EXPECT_EQ(file.tensors.at("scalar").shape(), Shape{});
  EXPECT_EQ(file.tensors.at("scalar").data()[0], 7.0f);
  EXPECT_EQ(file.tensors.at("empty").shape(), (Shape{0, 4}));
}

TEST_F(Safetensors, TheBytesAreThoseOfTheFormat) {
  Tensor a(Shape{1});
  a.data()[0] = 1.0f;
  write_safetensors(path_, {{"a", &a}}, {});
  // The checksum is of the tensors' names, shapes and values: "a\0(1)\0\0\0\x80\x3f".
  const std::string sum = sha256_hex(std::string("a\0(1)\0\0\0\x80\x3f", 10));
  const std::string header =
      R"({"__metadata__":{"sha256":")" + sum + R"("},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padded = header + std::string(152 - header.size(), ' ');
  EXPECT_EQ(read_file(path_, 1000),
            std::string("\x98\0\0\0\0\0\0\0", 8) + padded + std::string("\0\0\x80\x3f", 4));
}

TEST_F(Safetensors, AnyChangedByteOfWhatAFileSaysIsRefused) {
  Tensor a(Shape{2, 3}), b(Shape{1});
  for (std::size_t i = 0; i < a.size(); ++i) a.data()[i] = static_cast<float>(i) - 2.5f;
  write_safetensors(path_, {{"b", &b}, {"a", &a}}, {{"recipe", "lr = 0.5"}});
  const std::string whole = read_file(path_, 10000);
  ASSERT_EQ(error(), "(no error)");
  for (std::size_t bit = 0; bit < 8 * 28; ++bit) {  // the tensors
    std::string changed = whole;
    char& byte = changed[changed.size() - 28 + bit / 8];
    byte = static_cast<char>(byte ^ 1 << bit % 8);
    write_bytes(changed);
    EXPECT_NE(error(), "(no error)") << bit;
  }
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"lr = 0.5", "lr = 0.1"}, {"recipe", "recipf"}, {"\"a\"", "\"c\""}, {"[2,3]", "[3,2]"}}) {
    std::string changed = whole;
    write_bytes(changed.replace(changed.find(from), from.size(), to));
    EXPECT_NE(error(), "(no error)") << to;
  }
  const std::string text = error();
  EXPECT_NE(text.find("the file is damaged, or another program has changed it"), std::string::npos) << text;
}

TEST_F(Safetensors, AFileWithoutAChecksumIsTaken) {
  EXPECT_EQ(
      error(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
      "(no error)");
}

/// The numbers of a file with one tensor "x" of `dtype`, of `count` numbers.
std::string file_of(const std::string& dtype, std::size_t count, const std::string& numbers) {
  std::string header = fmt::format(R"({{"x":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", dtype,
                                   count, numbers.size());
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + numbers;
}

template <class T>
std::string bytes_of(const std::vector<T>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)};
}

TEST_F(Safetensors, OtherFloatsAreRoundedOnce) {
  const auto read = [&](const std::string& dtype, std::size_t count, const std::string& numbers) {
    write_bytes(file_of(dtype, count, numbers));
    const Tensor x = read_safetensors(path_).tensors.at("x");
    return std::vector<float>(x.values().begin(), x.values().end());
  };
  const std::vector<double> doubles{0.1, -1.0 / 3, 1e-46, 1 + 0x1p-24, 1 + 0x1.8p-23, HUGE_VAL};
  EXPECT_EQ(read("F64", 6, bytes_of(doubles)),
            (std::vector<float>{0.1f, -1.0f / 3, 0, 1, 1 + 0x1p-22f, HUGE_VALF}));
  // 1, -2, the largest, the smallest normal, the smallest, 0.333251953125, -0, infinity
  const std::vector<std::uint16_t> halves{0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x3555, 0x8000, 0xfc00};
  EXPECT_EQ(read("F16", 8, bytes_of(halves)),
            (std::vector<float>{1, -2, 65504, 0x1p-14f, 0x1p-24f, 0.333251953125f, -0.0f, -HUGE_VALF}));
  EXPECT_TRUE(std::isnan(read("F16", 1, bytes_of(std::vector<std::uint16_t>{0x7e00}))[0]));
  const std::vector<std::uint16_t> brains{0x3f80, 0xc049, 0x0001, 0xff80};
  EXPECT_EQ(read("BF16", 4, bytes_of(brains)), (std::vector<float>{1, -3.140625f, 0x1p-133f, -HUGE_VALF}));
  EXPECT_EQ(read("I32", 2, bytes_of(std::vector<std::int32_t>{-7, 1 << 24})),
            (std::vector<float>{-7, 16777216}));
  EXPECT_EQ(read("I8", 1, "\xff"), std::vector<float>{-1});
  EXPECT_EQ(read("U8", 1, "\xff"), std::vector<float>{255});
  EXPECT_EQ(read("BOOL", 1, "\1"), std::vector<float>{1});
  write_bytes(file_of("F64", 1, bytes_of(std::vector<double>{1e300})));
  EXPECT_EQ(error(), "tensor 'x': expected F64 numbers that a float can hold, found 1e+300");
}

// PyTorch counts the batches of a batch normalisation so.
TEST_F(Safetensors, IntegersAreReadWhereAFloatHoldsThem) {
  const std::string header = R"({"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   )";
  ASSERT_EQ(header.size(), 56u);
  const auto file_of = [&](const std::string& number) {
    write_bytes(std::string("\x38\0\0\0\0\0\0\0", 8) + header + number);
  };
  file_of(std::string("\x05\x01\0\0\0\0\0\0", 8));
  EXPECT_EQ(read_safetensors(path_).tensors.at("n").shape(), Shape{});
  EXPECT_EQ(read_safetensors(path_).tensors.at("n").data()[0], 261);
  file_of(std::string("\0\0\0\x02\0\0\0\0", 8));
  EXPECT_EQ(error(), "tensor 'n': expected I64 numbers that a float can hold, found 33554432");
  file_of(std::string("\0\0\0\0", 4));
  EXPECT_EQ(error(), "expected 8 bytes of data, found 4");
}

TEST_F(Safetensors, TwoTensorsOfOneNameAreNotWritten) {
  const Tensor a(Shape{1});
  try {
    write_safetensors(path_, {{"a", &a}, {"a", &a}}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "[safetensors] names must differ, got 'a' twice");
  }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Safetensors, EveryTruncationIsRefused) {
  Tensor a(Shape{2, 3});
  write_safetensors(path_, {{"a", &a}}, {{"k", "v"}});
  const std::string whole = read_file(path_, 10000);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write_bytes(whole.substr(0, size));
    EXPECT_NE(error(), "(no error)") << size;
  }
  write_bytes(whole + "x");
  EXPECT_EQ(error(), "expected 24 bytes of data, found 25");
}

TEST_F(Safetensors, EveryChangedHeaderByteIsReadOrRefused) {
  Tensor a(Shape{2, 3});
  write_safetensors(path_, {{"a", &a}}, {{"k", "v"}});
  const std::string whole = read_file(path_, 10000);
  for (std::size_t i = 0; i + 24 < whole.size(); ++i) {
    for (const char c : {'\0', '9', '"', '{', ']', '\xff'}) {
      std::string changed = whole;
      changed[i] = c;
      write_bytes(changed);
      error();  // must neither crash nor ask for the memory that a lie promises
    }
  }
}

TEST_F(Safetensors, LyingLengthsAreRefused) {
  write_bytes("1234567");
  EXPECT_EQ(error(), "expected at least 8 bytes, found 7");
  write_bytes(std::string(8, '\xff') + "{}");
  EXPECT_EQ(error(), "expected a header of at most 2 bytes, found 18446744073709551615");
  write_bytes(std::string("\x03\0\0\0\0\0\0\0", 8) + "{}");
  EXPECT_EQ(error(), "expected a header of at most 2 bytes, found 3");
}

TEST_F(Safetensors, AHeaderThatIsNoneIsRefused) {
  EXPECT_TRUE(error("{\"a\":", 0).starts_with("expected a header in JSON, found: "));
  EXPECT_TRUE(error("{\"\xff\":1}", 0).starts_with("expected a header in JSON, found: "));
  EXPECT_EQ(error(std::string("{}\0junk", 7), 0), "expected a header of text, found a NUL in it");
  EXPECT_EQ(error(std::string("{}\0", 3), 0), "expected a header of text, found a NUL in it");
  EXPECT_EQ(error("[]", 0), "expected a table as the header, found something else");
  EXPECT_EQ(error("{\"a\":[[[1]]]}", 0), "expected a header of tables of lists, found more levels");
  EXPECT_EQ(error(std::string(1000000, '['), 0), "expected a header of tables of lists, found more levels");
  EXPECT_EQ(error(R"({"a":{},"a":{}})", 0), "expected every name once, found 'a' twice");
  EXPECT_EQ(error(R"({"a":{"shape":[1],"shape":[2]}})", 0), "expected every name once, found 'shape' twice");
  EXPECT_EQ(error(R"({"__metadata__":3})", 0),
            "expected a table of texts as __metadata__, found something else");
  EXPECT_EQ(error(R"({"__metadata__":{"a":3}})", 0), "__metadata__ 'a': expected a text, found number");
}

TEST_F(Safetensors, ATensorThatContradictsItselfIsRefused) {
  const auto tensor = [](const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string dtypes =
      "tensor 'a': expected a dtype of F32, F64, F16, BF16, I64, I32, I16, I8, U8, BOOL, found ";
  EXPECT_EQ(error(tensor("[2]", "[0,8]"), 8), "(no error)");
  EXPECT_EQ(error(R"({"a":3})", 0), "tensor 'a': expected a table, found number");
  EXPECT_EQ(error(R"({"a":{}})", 0), dtypes + "none");
  EXPECT_EQ(error(R"({"a":{"dtype":"F8_E4M3"}})", 0), dtypes + "\"F8_E4M3\"");
  EXPECT_EQ(error(R"({"a":{"dtype":"F32"}})", 0), "tensor 'a': expected a list 'shape', found none");
  EXPECT_EQ(error(R"({"a":{"dtype":"F32","shape":[2]}})", 8),
            "tensor 'a': expected a list 'data_offsets', found none");
  EXPECT_EQ(error(tensor("[-2]", "[0,8]"), 8), "tensor 'a': expected whole numbers in 'shape', found -2");
  EXPECT_EQ(error(tensor("[2.0]", "[0,8]"), 8), "tensor 'a': expected whole numbers in 'shape', found 2.0");
  EXPECT_EQ(error(tensor("[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8),
            "tensor 'a': expected at most 8 dimensions, found 9");
  EXPECT_EQ(error(tensor("[4611686018427387904,2]", "[0,8]"), 8),
            "tensor 'a': expected a shape that fits in memory, found (4611686018427387904, 2)");
  EXPECT_EQ(error(tensor("[2]", "[0,4]"), 8),
            "tensor 'a': expected two data_offsets 8 bytes apart for its shape (2), found [0,4]");
  EXPECT_EQ(error(tensor("[2]", "[8,0]"), 8),
            "tensor 'a': expected two data_offsets 8 bytes apart for its shape (2), found [8,0]");
  EXPECT_EQ(error(tensor("[2]", "[0]"), 8),
            "tensor 'a': expected two data_offsets 8 bytes apart for its shape (2), found [0]");
  EXPECT_EQ(error(tensor("[2]", "[4,12]"), 12),
            "tensor 'a': expected its data at offset 0, after that of the one before, found 4");
  EXPECT_EQ(error(tensor("[1073741824]", "[0,4294967296]"), 8), "expected 4294967296 bytes of data, found 8");
}

TEST_F(Safetensors, TensorsThatOverlapOrLeaveAGapAreRefused) {
  const auto two = [](const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":)" +
           offsets + "}}";
  };
  EXPECT_EQ(error(two("[8,12]"), 12), "(no error)");
  EXPECT_EQ(error(two("[4,8]"), 8),
            "tensor 'b': expected its data at offset 8, after that of the one before, found 4");
  EXPECT_EQ(error(two("[12,16]"), 16),
            "tensor 'b': expected its data at offset 8, after that of the one before, found 12");
}

}  // namespace
}  // namespace volley
