#include "data/idx.hpp"

#include <gtest/gtest.h>

#include "core/sha256.hpp"
#include "data/idx_files.hpp"
#include "data/packed_file.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
using test::gzip;
using test::idx_bytes;
using test::some_values;

class Idx : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& bytes) {
    write_file_whole(folder_ / "the-file", bytes);
    return folder_ / "the-file";
  }
  /// What reading a file of these bytes is refused with; the file's name must be part of it.
  std::string refusal(const std::string& bytes, std::size_t rank = 3) {
    const std::string text = error_text([&] { read_idx(file(bytes), rank); });
    expect_has(text, "the-file");
    return text;
  }
  IdxArray array(const std::string& bytes, std::size_t rank) { return read_idx(file(bytes), rank); }

  test::TempFolder folder_;
};

TEST_F(Idx, RawAndGzipGiveTheSameWhateverTheFileIsCalled) {
  const std::string values = some_values(2 * 3 * 4);
  const std::string bytes = idx_bytes({2, 3, 4}, values);
  for (const std::string& form : {bytes, gzip(bytes)}) {
    const IdxArray array = read_idx(file(form), 3);
    EXPECT_EQ(array.sizes, (std::vector<std::size_t>{2, 3, 4}));
    EXPECT_EQ(std::string(array.values.begin(), array.values.end()), values);
    EXPECT_EQ(array.sha256, sha256_hex(bytes));
  }
}

TEST_F(Idx, AMissingFileIsNamed) {
  expect_has(error_text([&] { read_idx(folder_ / "none", 3); }), "none: cannot read: No such file");
  expect_has(error_text([&] { read_idx(folder_.path(), 3); }), "must be a regular file");
}

TEST_F(Idx, WhatIsNotIdxIsRefused) {
  expect_has(refusal(""), "must begin with an IDX header, got 0 bytes");
  expect_has(refusal("<html>no such page</html>"), "magic 00 00 08 03, got 3c 68 74 6d");
  expect_has(refusal(idx_bytes({1, 1, 1}, "x", 0x0d)), "must hold unsigned bytes (type 08), got type 0d");
  expect_has(refusal(idx_bytes({1, 1}, "x")), "must hold pictures (3 dimensions), got 2 dimensions");
  expect_has(refusal(idx_bytes({1, 1, 1}, "").substr(0, 9)), "header of 16 bytes, got 9 bytes");
}

TEST_F(Idx, SwappedFilesAreToldApart) {
  expect_has(refusal(idx_bytes({9}, some_values(9)), 3),
             "got labels (1 dimension): are the two files swapped?");
  expect_has(refusal(idx_bytes({1, 1, 1}, "x"), 1),
             "got pictures (3 dimensions): are the two files swapped?");
}

TEST_F(Idx, ATruncatedFileIsRefused) {
  const std::string bytes = idx_bytes({100, 8, 8}, some_values(6400));
  expect_has(refusal(bytes.substr(0, 4000)),
             "must hold the 6400 values of (100, 8, 8) that its header promises, got 3984 bytes");
  expect_has(refusal(gzip(bytes.substr(0, 4000))),
             "6400 values of (100, 8, 8) that its header promises, got 3984: trunc");
  const std::string packed = gzip(bytes);
  expect_has(refusal(packed.substr(0, packed.size() / 2)), "truncated gzip file");
  // All values are there, but gzip's own checksum is not.
  expect_has(refusal(packed.substr(0, packed.size() - 6)), "truncated gzip file");
}

TEST_F(Idx, ADamagedGzipFileIsRefused) {
  std::string packed = gzip(idx_bytes({100, 8, 8}, some_values(6400)));
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] + 1);
  expect_has(refusal(packed), "damaged gzip file");
}

TEST_F(Idx, MoreBytesThanPromisedAreRefused) {
  const std::string bytes = idx_bytes({2, 2, 2}, some_values(9));
  expect_has(refusal(bytes), "must end after the 8 values of (2, 2, 2), got more bytes");
  expect_has(refusal(gzip(bytes)), "must end after the 8 values of (2, 2, 2), got more bytes");
}

TEST_F(Idx, ALyingHeaderIsRefusedBeforeMemoryIsAskedFor) {
  expect_has(refusal(idx_bytes({0, 28, 28}, "")), "must have sizes of 1 or more, got (0, 28, 28)");
  expect_has(refusal(idx_bytes({0xffffffff, 1, 1}, "xy")), "got 2 bytes");
  expect_has(refusal(idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, "xy")), "hold the 2^64 or more values");
  expect_has(refusal(gzip(idx_bytes({0xffffffff, 28, 28}, "xy"))), "got at most");
}

TEST_F(Idx, TooManyValuesAreRefusedEvenIfTheyAreThere) {
  std::filesystem::path path = file(idx_bytes({8, 1 << 15, 1 << 15}, ""));
  std::filesystem::resize_file(path, 16 + (std::uintmax_t{8} << 30));  // a hole: takes no room on the disk
  expect_has(error_text([&] { read_idx(path, 3); }),
             "must hold at most 4294967296 values, got (8, 32768, 32768)");
}

TEST_F(Idx, PicturesAndLabelsMustBelongTogether) {
  const IdxArray pictures = array(idx_bytes({3, 2, 2}, some_values(12)), 3);
  const IdxArray labels = array(idx_bytes({3}, std::string("\2\0\1", 3)), 1);
  const Dataset set = make_dataset("toy", pictures, labels, {"a", "b", "c"});
  EXPECT_EQ(set.size(), 3u);
  EXPECT_EQ(set.shape, (Shape{1, 2, 2}));
  EXPECT_EQ(set.labels, (std::vector<std::uint32_t>{2, 0, 1}));
  EXPECT_EQ(set.picture(1)[0], pictures.values[4]);

  const IdxArray fewer = array(idx_bytes({2}, std::string("\0\1", 2)), 1);
  expect_has(error_text([&] {
               make_dataset("toy", pictures, fewer, {"a", "b"});
             }),
             "must hold one label for each of the 3 pictures");
  expect_has(error_text([&] {
               make_dataset("toy", pictures, labels, {"a", "b"});
             }),
             "must hold labels of 0 to 1, got 2 for picture 0");
}

TEST_F(Idx, UnpackingChecksTheSize) {
  EXPECT_EQ(read_unpacked(file(gzip("12345")), 5), "12345");
  expect_has(error_text([&] { read_unpacked(file(gzip("12345")), 6); }), "must have 6 bytes unpacked, got 5");
  expect_has(error_text([&] { read_unpacked(file(gzip("12345")), 4); }),
             "must have 4 bytes unpacked, got more");
  expect_has(error_text([&] { read_unpacked(file("12345"), 1 << 30); }),
             "must have 1073741824 bytes unpacked, got 5");
}

}  // namespace
}  // namespace volley
