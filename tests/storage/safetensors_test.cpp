#include "storage/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>

#include <volley/error.hpp>

#include "core/files.hpp"
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
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const std::string padded = header + std::string(56 - header.size(), ' ');
  EXPECT_EQ(read_file(path_, 1000),
            std::string("\x38\0\0\0\0\0\0\0", 8) + padded + std::string("\0\0\x80\x3f", 4));
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
  EXPECT_EQ(error(), "tensor 'n': expected integers that a float can hold, found 33554432");
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
  EXPECT_EQ(error(tensor("[2]", "[0,8]"), 8), "(no error)");
  EXPECT_EQ(error(R"({"a":3})", 0), "tensor 'a': expected a table, found number");
  EXPECT_EQ(error(R"({"a":{}})", 0), "tensor 'a': expected dtype \"F32\" or \"I64\", found none");
  EXPECT_EQ(error(R"({"a":{"dtype":"F16"}})", 0),
            "tensor 'a': expected dtype \"F32\" or \"I64\", found \"F16\"");
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
