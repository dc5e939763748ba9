#include <volley/array.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "data/array_bytes.hpp"
#include "data/array_file.hpp"
#include "data/array_values.hpp"
#include "support/error_text.hpp"
#include "support/temp_folder.hpp"
#include "support/test_file.hpp"

namespace volley {
namespace {

using test::bytes_of;
using test::error_text;
using test::expect_has;
using test::npy_bytes;
using test::npy_of_header;
using test::number_bytes;
using test::zip_bytes;
using test::ZipEntry;

using test::Floats;
using test::floats_of;
using test::Whole;
using test::whole_of;

class ArraysTest : public ::testing::Test {
 protected:
  Arrays read(const std::string& name, std::string_view bytes) {
    write_file_whole(folder_ / name, bytes);
    return read_arrays(folder_ / name);
  }
  Array read_npy(std::string_view bytes) { return read("x.npy", bytes).at(""); }
  /// The message that reading gives, without the file's folder.
  std::string error(const std::string& name, std::string_view bytes) {
    const std::string text = error_text([&] { read(name, bytes); });
    const std::string folder = folder_.path().string() + "/";
    EXPECT_TRUE(text.starts_with(folder)) << text;
    return text.substr(std::min(folder.size(), text.size()));
  }
  /// Reads every element of every array, or is refused.
  void read_or_refuse(const std::string& name, std::string_view bytes) {
    try {
      for (const auto& [key, array] : read(name, bytes)) floats_of(array);
    } catch (const FileError&) {
      ++refused_;
    }
  }
  /// Each beginning of `bytes`, and each byte of them with other bits.
  void damage(const std::string& name, const std::string& bytes) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_THROW(read(name, std::string_view(bytes).substr(0, size)), FileError) << size;
    }
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      for (const char bits : {'\x01', '\x80', '\xff'}) {
        std::string other = bytes;
        other[i] = static_cast<char>(other[i] ^ bits);
        EXPECT_NO_THROW(read_or_refuse(name, other)) << i;
      }
    }
  }

  test::TempFolder folder_;
  std::size_t refused_ = 0;
};

TEST_F(ArraysTest, EveryTypeOfNpyIsRead) {
  const std::string two = "(2,)";
  EXPECT_EQ(floats_of(read_npy(npy_bytes("|b1", two, "\1\1"))), (Floats{1, 1}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("|u1", two, "\1\xff"))), (Floats{1, 255}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("|i1", two, "\1\xff"))), (Floats{1, -1}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<u2", two, bytes_of<std::uint16_t>({1, 65535})))),
            (Floats{1, 65535}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<i2", two, bytes_of<std::int16_t>({1, -2})))), (Floats{1, -2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<u4", two, bytes_of<std::uint32_t>({1, 2})))), (Floats{1, 2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<i4", two, bytes_of<std::int32_t>({1, -2})))), (Floats{1, -2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<u8", two, bytes_of<std::uint64_t>({1, 2})))), (Floats{1, 2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<i8", two, bytes_of<std::int64_t>({1, -2})))), (Floats{1, -2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<f2", two, bytes_of<std::uint16_t>({0x3c00, 0xc000})))),
            (Floats{1, -2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<f4", two, bytes_of<float>({1.5f, -2})))), (Floats{1.5f, -2}));
  EXPECT_EQ(floats_of(read_npy(npy_bytes("<f8", two, bytes_of<double>({1.5, -2})))), (Floats{1.5f, -2}));
}

TEST_F(ArraysTest, EveryFormOfNpyHeaderIsRead) {
  const std::string data = bytes_of<float>({1, 2, 3, 4, 5, 6});
  const Array array = read_npy(npy_bytes("<f4", "(2, 3)", data));
  EXPECT_EQ(array.shape(), (Shape{2, 3}));
  EXPECT_EQ(array.type(), ElementType::f32);
  for (const int version : {1, 2, 3}) {
    const std::string header = "{\"shape\":(6L, ), \"descr\":\"<f4\",\n 'fortran_order' : True}";
    EXPECT_EQ(floats_of(read_npy(npy_of_header(header, data, version))), floats_of(array));
  }
  EXPECT_EQ(read_npy(npy_bytes("<f4", "()", number_bytes(7.0f))).shape(), Shape{});
  const Array none = read_npy(npy_bytes("<f4", "(0, 3)", ""));
  EXPECT_EQ(none.shape(), (Shape{0, 3}));
  EXPECT_FALSE(none.empty());
}

TEST_F(ArraysTest, AnArrayOutlivesTheFilesName) {
  const Array array = read_npy(npy_bytes("<f4", "(2,)", bytes_of<float>({1, 2})));
  std::filesystem::remove(folder_ / "x.npy");
  const Array copy = array;
  EXPECT_EQ(floats_of(copy), (Floats{1, 2}));
  EXPECT_EQ(copy.bytes(), array.bytes());
}

TEST_F(ArraysTest, OtherNpyAreRefusedByName) {
  const auto refused = [&](std::string_view descr) {
    return error("x.npy", npy_bytes(descr, "(1,)", "12345678"));
  };
  const std::string known =
      "x.npy: expected elements of |b1, |u1, |i1, <u2, <i2, <u4, <i4, <u8, <i8, <f2, <f4, <f8, found ";
  EXPECT_EQ(refused(">f8"), known + "'>f8', which is big-endian: save x.astype(x.dtype.newbyteorder('<'))");
  EXPECT_EQ(refused("|O"), known + "'|O', an array of Python objects");
  EXPECT_EQ(refused("<c8"), known + "'<c8'");
  EXPECT_EQ(refused("<U2"), known + "'<U2'");
  EXPECT_EQ(error("x.npy",
                  npy_of_header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234")),
            known + "a structured array");
  EXPECT_EQ(error("x.npy", npy_of_header("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "1234")),
            "x.npy: expected an array in C order, found Fortran order: save numpy.ascontiguousarray(x)");
}

TEST_F(ArraysTest, BrokenNpyAreRefused) {
  EXPECT_EQ(error("x.npy", ""), "x.npy: expected a .npy of 12 bytes or more, found 0");
  EXPECT_EQ(error("x.npy", "PK\3\4 and more bytes"),
            "x.npy: expected a .npy, which begins with \\x93NUMPY, found another begin");
  std::string bytes = npy_bytes("<f4", "(1,)", "1234");
  bytes[6] = 4;
  EXPECT_EQ(error("x.npy", bytes), "x.npy: expected a .npy of version 1.0, 2.0 or 3.0, found 4.0");
  const std::string at_end = npy_bytes("<f4", "(1,)", "");
  EXPECT_EQ(error("x.npy", at_end),
            "x.npy: expected 4 bytes of elements for the float32 (1) of its header, found 0");
  EXPECT_EQ(error("x.npy", at_end + "12345"),
            "x.npy: expected 4 bytes of elements for the float32 (1) of its header, found 5");
  EXPECT_EQ(error("x.npy", at_end.substr(0, 100)),
            "x.npy: expected a .npy header of at most 90 bytes, found 118");
  EXPECT_EQ(error("x.npy", npy_bytes("<f4", "(4294967296, 4294967296)", "")),
            "x.npy: expected a shape that fits in memory, found (4294967296, 4294967296)");
  EXPECT_EQ(error("x.npy", npy_bytes("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "1234")),
            "x.npy: expected a shape of at most 8 dimensions, found 9");
  expect_has(error("x.npy", npy_bytes("<f4", "(-1,)", "")),
             "x.npy: expected a size of the shape below 2^64 in the .npy header, found '-1,)");
  expect_has(error("x.npy", npy_bytes("<f4", "(18446744073709551616,)", "")), "below 2^64");
  expect_has(error("x.npy", npy_of_header("{'descr': '<f4', 'shape': (1,)}", "1234")),
             "expected a .npy header of 'descr', 'fortran_order' and 'shape', found {'descr'");
  expect_has(error("x.npy", npy_of_header("{'descr': '<f4', 'descr': '<f4'}", "1234")),
             "'fortran_order' and 'shape', each once, found 'descr'");
  expect_has(error("x.npy", npy_of_header("{'descr': '<f4'", "")),
             "expected a ',' or '}' in the .npy header, found its end");
  expect_has(error("x.npy", npy_of_header("{'descr", "")), "expected a closing quote");
  expect_has(error("x.npy", npy_of_header("{'fortran_order': 1}", "")), "expected True or False");
  expect_has(error("x.npy", npy_of_header("{} more", "")), "expected the end of the header");
}

TEST_F(ArraysTest, DamagedNpyAreRefusedOrRead) {
  damage("x.npy", npy_bytes("<i2", "(2, 2)", "12345678"));
  EXPECT_GT(refused_, 100u);
}

TEST_F(ArraysTest, EveryFormOfNpzIsRead) {
  const std::string x = npy_bytes("<f4", "(2, 3)", bytes_of<float>({1, 2, 3, 4, 5, 6}));
  const std::string y = npy_bytes("|u1", "(2,)", "\1\2");
  for (const bool deflated : {false, true}) {
    for (const bool zip64 : {false, true}) {
      for (const bool descriptor : {false, true}) {
        const Arrays arrays = read("x.npz", zip_bytes({{"x.npy", x, deflated, zip64, descriptor},
                                                       {"dir/y.npy", y, deflated, zip64, descriptor}}));
        ASSERT_EQ(arrays.size(), 2u);
        EXPECT_EQ(floats_of(arrays.at("x")), (Floats{1, 2, 3, 4, 5, 6}));
        EXPECT_EQ(arrays.at("x").shape(), (Shape{2, 3}));
        EXPECT_EQ(floats_of(arrays.at("dir/y")), (Floats{1, 2}));
      }
    }
  }
  EXPECT_TRUE(read("x.npz", zip_bytes({})).empty());
  std::string commented = zip_bytes({{"x.npy", x}});
  commented[commented.size() - 2] = 5;
  EXPECT_EQ(read("x.npz", commented + "hello").size(), 1u);
  EXPECT_EQ(floats_of(read("x.npz", zip_bytes({{"n.npy", npy_bytes("<f4", "(0,)", ""), true}})).at("n")),
            Floats{});
}

TEST_F(ArraysTest, StoredMembersAreMappedWhereverTheyLie) {
  const std::string x = npy_bytes("<f4", "(3,)", bytes_of<float>({1, 2, 3}));
  // The member's header has 30 bytes and a name of 5; a field in front of the .npy has 4 and its padding.
  for (const std::size_t padding : {25u, 26u}) {
    const Array array = read("x.npz", zip_bytes({{"x.npy", x, false, false, false, padding}})).at("x");
    EXPECT_EQ(floats_of(array), (Floats{1, 2, 3}));
    const auto address = reinterpret_cast<std::uintptr_t>(array.bytes());
    EXPECT_EQ(address % 4096, 64 + 103 + padding);  // the file's own offset: not a copy
  }
}

TEST_F(ArraysTest, BrokenNpzAreRefused) {
  const std::string x = npy_bytes("<f4", "(1,)", number_bytes(1.0f));
  EXPECT_EQ(error("x.npz", ""),
            "x.npz: expected a zip archive, which ends with its directory, found another end");
  EXPECT_EQ(error("x.npz", zip_bytes({{"x.txt", "hello"}})),
            "x.npz: member 'x.txt': expected members NAME.npy, found another name");
  EXPECT_EQ(error("x.npz", zip_bytes({{"x.npy", x}, {"x.npy", x}})),
            "x.npz: member 'x.npy': expected each name once, found it twice");
  EXPECT_EQ(error("x.npz", zip_bytes({{"x.npy", "hello, I am no array"}})),
            "x.npz: member 'x.npy': expected a .npy, which begins with \\x93NUMPY, found another begin");
  EXPECT_EQ(error("x.npz", zip_bytes({{"x.npy", x + "1", true}})),
            "x.npz: member 'x.npy': expected 4 bytes of elements for the float32 (1) of its header, found 5");
  const auto changed = [&](bool deflated, std::size_t from_directory, char to) {
    std::string bytes = zip_bytes({{"x.npy", x, deflated}});
    bytes[bytes.size() - 22 - 46 - 5 + from_directory] = to;
    return error("x.npz", bytes);
  };
  EXPECT_EQ(changed(false, 8, 1),
            "x.npz: member 'x.npy': expected a member that is not encrypted, found an encrypted one");
  EXPECT_EQ(changed(false, 10, 12),
            "x.npz: member 'x.npy': expected a member that is stored or deflated, found one of method 12");
  EXPECT_EQ(changed(false, 46, 'y'),
            "x.npz: member 'y.npy': expected the same name in its header, found another");
  EXPECT_EQ(changed(false, 42, 1), "x.npz: member 'x.npy': expected a header at 1, found another record");
  EXPECT_EQ(changed(false, 24, 1), "x.npz: member 'x.npy': expected 1 unpacked bytes, found 132 packed ones");
  EXPECT_EQ(changed(false, 23, 1),
            "x.npz: member 'x.npy': expected 16777348 bytes in front of the zip directory, found 132");
  expect_has(changed(false, 16, 0), "x.npz: member 'x.npy': expected contents of CRC ");
  expect_has(changed(true, 16, 0), ": the file is damaged");
  // A size that no deflated member of these bytes can have: refused before memory is asked for.
  expect_has(changed(true, 27, 127), "unpacked bytes, found ");
  // And one that it could have, but has not.
  EXPECT_EQ(changed(true, 24, 64),
            "x.npz: member 'x.npy': expected a .npy header of at most 54 bytes, found 118");
}

TEST_F(ArraysTest, MembersThatShareBytesAreRefused) {
  const std::string x = npy_bytes("<f4", "(1,)", number_bytes(1.0f));
  // The directory's second entry points at the first member, which is inside another, stored one.
  const std::string inner = zip_bytes({{"a.npy", x}}).substr(0, 35 + x.size());
  std::string bytes = zip_bytes({{"b.npy", inner}, {"a.npy", x}});
  const std::size_t second = bytes.size() - 22 - 51;
  bytes.replace(second + 42, 4, number_bytes(std::uint32_t{35}));
  EXPECT_EQ(error("x.npz", bytes),
            "x.npz: member 'a.npy': expected bytes behind those of the member before, found some of these");
}

TEST_F(ArraysTest, DamagedNpzAreRefusedOrRead) {
  const std::string x = npy_bytes("<i2", "(2, 2)", "12345678");
  damage("x.npz", zip_bytes({{"x.npy", x, true, true}, {"y.npy", x, true}}));
  damage("x.npz", zip_bytes({{"x.npy", x, false, true}}));
  EXPECT_GT(refused_, 1000u);
}

TEST_F(ArraysTest, EveryTypeOfSafetensorsIsRead) {
  const Arrays arrays = read(
      "x.safetensors",
      test::safetensors_bytes(
          R"({"__metadata__":{"a":"b"},"w":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},)"
          R"("h":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},)"
          R"("b":{"dtype":"BF16","shape":[1,2],"data_offsets":[12,16]},)"
          R"("t":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]},)"
          R"("f":{"dtype":"F32","shape":[],"data_offsets":[19,23]}})",
          bytes_of<std::uint64_t>({7}) + bytes_of<std::uint16_t>({0x3c00, 0xc000}) +
              bytes_of<std::uint16_t>({0x3f80, 0xc000}) + std::string("\0\1\1", 3) + number_bytes(2.5f)));
  ASSERT_EQ(arrays.size(), 5u);
  EXPECT_EQ(arrays.at("w").type(), ElementType::u64);
  EXPECT_EQ(floats_of(arrays.at("w")), (Floats{7}));
  EXPECT_EQ(arrays.at("h").type(), ElementType::f16);
  EXPECT_EQ(floats_of(arrays.at("h")), (Floats{1, -2}));
  EXPECT_EQ(arrays.at("b").type(), ElementType::f32);
  EXPECT_EQ(arrays.at("b").shape(), (Shape{1, 2}));
  EXPECT_EQ(floats_of(arrays.at("b")), (Floats{1, -2}));
  EXPECT_EQ(floats_of(arrays.at("t")), (Floats{0, 1, 1}));
  EXPECT_EQ(floats_of(arrays.at("f")), (Floats{2.5f}));
}

TEST_F(ArraysTest, BrokenSafetensorsAreRefused) {
  const std::string header = R"({"a":{"dtype":"I16","shape":[4],"data_offsets":[0,8]}})";
  EXPECT_EQ(error("x.safetensors", test::safetensors_bytes(header, "1234567")),
            "x.safetensors: broken safetensors file: expected 8 bytes of data, found 7");
  expect_has(
      error("x.safetensors",
            test::safetensors_bytes(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "1")),
      "tensor 'a': expected a dtype of BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, F32, F64, BF16, "
      "found");
  damage("x.safetensors", test::safetensors_bytes(header, "12345678"));
  EXPECT_GT(refused_, 50u);
}

TEST_F(ArraysTest, ACsvWithNamesHasAnArrayForEachColumn) {
  const Arrays arrays = read("x.csv", "\xEF\xBB\xBFlabel, \"x [m, s]\",z\r\n3,0.5,1\r\n\r\n-4,2,1e2\r\n");
  ASSERT_EQ(arrays.size(), 3u);
  EXPECT_EQ(arrays.at("label").type(), ElementType::i64);
  EXPECT_EQ(arrays.at("label").shape(), Shape{2});
  EXPECT_EQ(floats_of(arrays.at("label")), (Floats{3, -4}));
  EXPECT_EQ(arrays.at("x [m, s]").type(), ElementType::f64);
  EXPECT_EQ(floats_of(arrays.at("x [m, s]")), (Floats{0.5f, 2}));
  EXPECT_EQ(floats_of(arrays.at("z")), (Floats{1, 100}));
  // Whole is what is written without a point.
  EXPECT_EQ(read("x.csv", "y\n1.0\n2.0\n").at("y").type(), ElementType::f64);
  EXPECT_EQ(whole_of(read("x.csv", "y\n 4294967295 \n").at("y")), (Whole{4294967295}));
}

TEST_F(ArraysTest, ACsvWithoutNamesIsOneArray) {
  const Arrays arrays = read("x.CSV", "1,2,3\n4,5,6");
  ASSERT_EQ(arrays.size(), 1u);
  EXPECT_EQ(arrays.at("").shape(), (Shape{2, 3}));
  EXPECT_EQ(arrays.at("").type(), ElementType::f64);
  EXPECT_EQ(floats_of(arrays.at("")), (Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(read("x.csv", "1\n2\n").at("").shape(), (Shape{2, 1}));
}

TEST_F(ArraysTest, WrongCellsAreRefusedWithLineAndColumn) {
  EXPECT_EQ(error("x.csv", "a,b\n1,2\n\n3,cat\n"),
            "x.csv:4: expected a finite number in column 2 ('b'), found 'cat'");
  EXPECT_EQ(error("x.csv", "a,b\n1,\n"), "x.csv:2: expected a finite number in column 2 ('b'), found none");
  EXPECT_EQ(error("x.csv", "1,2\n1,nan\n"), "x.csv:2: expected a finite number in column 2, found 'nan'");
  EXPECT_EQ(error("x.csv", "1,two\n"), "x.csv:1: expected a finite number in column 2, found 'two'");
  EXPECT_EQ(error("x.csv", "a,b\n1,2\n1,2,3\n"), "x.csv:3: expected 2 cells as in the first line, found 3");
  EXPECT_EQ(error("x.csv", ",a\n0,1\n"), "x.csv:1: expected a number or a name in column 1, found none");
  EXPECT_EQ(error("x.csv", "a,a\n0,1\n"), "x.csv:1: expected each name once, found 'a' twice");
  EXPECT_EQ(error("x.csv", "a,b\n"), "x.csv: expected a line of numbers, found none");
  EXPECT_EQ(error("x.csv", "\n\r\n"), "x.csv: expected a line of numbers, found none");
  EXPECT_EQ(error("x.csv", ""), "x.csv: expected a line of numbers, found none");
  EXPECT_EQ(error("x.csv", "1,\x1b[2J\n"), "x.csv:1: expected a finite number in column 2, found '?[2J'");
}

TEST_F(ArraysTest, OtherFilesAreRefusedByName) {
  EXPECT_EQ(error("x.h5", "1"), "x.h5: expected a name in .npy, .npz, .safetensors or .csv, found '.h5'");
  EXPECT_EQ(error("x", "1"), "x: expected a name in .npy, .npz, .safetensors or .csv, found none of these");
  for (const char* name : {"none.npy", "none.npz", "none.safetensors", "none.csv"}) {
    expect_has(error_text([&] { read_arrays(folder_ / name); }), "cannot read: No such file");
  }
  std::filesystem::create_directory(folder_ / "folder.npy");
  expect_has(error_text([&] { read_arrays(folder_ / "folder.npy"); }), "Is a directory");
}

TEST_F(ArraysTest, AFileLargerThanMemoryIsRead) {
  // 64 GiB that the file system does not store: 2^14 rows of 4 MiB, of which the last has a number.
  constexpr std::size_t kRows = std::size_t{1} << 14, kRow = std::size_t{1} << 20;
  const std::string begin = npy_bytes("<f4", "(16384, 1048576)", "");
  const std::size_t size = begin.size() + kRows * kRow * sizeof(float);
  write_file_whole(folder_ / "x.npy", begin);
  if (::truncate((folder_ / "x.npy").c_str(), static_cast<off_t>(size)) != 0)
    GTEST_SKIP() << "no such large file";
  const int file = ::open((folder_ / "x.npy").c_str(), O_WRONLY | O_CLOEXEC);
  const float number = 42;
  ASSERT_EQ(::pwrite(file, &number, sizeof number, static_cast<off_t>(size - sizeof number)), 4);
  ::close(file);
  const Array array = read_arrays(folder_ / "x.npy").at("");
  EXPECT_EQ(array.rows(), kRows);
  Floats row(array.row_size());
  array.floats(row, (kRows - 1) * kRow);
  EXPECT_EQ(row.back(), 42.0f);
  EXPECT_EQ(row.front(), 0.0f);
}

// Files that other programs wrote.

double sum_of(const Array& array) {
  double sum = 0;
  for (const float value : floats_of(array)) sum += static_cast<double>(value);
  return sum;
}

TEST(ArrayFiles, NumpysCompressedArchiveIsRead) {
  VOLLEY_NEEDS_FILE("derived/braille_letters.npz");
  const Arrays arrays = read_arrays(test::test_file("derived/braille_letters.npz"));
  ASSERT_EQ(arrays.size(), 3u);
  EXPECT_EQ(arrays.at("x").shape(), (Shape{1350, 77, 12}));
  EXPECT_EQ(arrays.at("x").type(), ElementType::u8);
  EXPECT_EQ(sum_of(arrays.at("x")), 297984759.0);
  Floats step(12);
  arrays.at("x").floats(step, (7 * 77 + 3) * 12);
  EXPECT_EQ(step, (Floats{255, 229, 255, 255, 255, 255, 95, 255, 255, 255, 247, 255}));
  EXPECT_EQ(sum_of(arrays.at("y")), 17550.0);
  EXPECT_EQ(arrays.at("length").type(), ElementType::u16);
  EXPECT_EQ(sum_of(arrays.at("length")), 103059.0);
}

TEST(ArrayFiles, NumpysArraysAreRead) {
  const std::pair<const char*, double> files[] = {
      {"oxford/ground_truth.npy", 9994893.0}, {"tinynet/current.npy", -15574.0},
      {"tinynet/input.npy", 6783.0},          {"tinynet/input_bias.npy", 19331.0},
      {"tinynet/layer1_kernel.npy", -48.0},   {"tinynet/output.npy", 92.0}};
  VOLLEY_NEEDS_FILE("lava_net");
  for (const auto& [name, sum] : files) {
    EXPECT_EQ(sum_of(read_arrays(test::test_file("lava_net") / name).at("")), sum) << name;
  }
  EXPECT_EQ(read_arrays(test::test_file("lava_net/tinynet/current.npy")).at("").shape(),
            (Shape{1, 24, 6, 6, 16}));
}

}  // namespace
}  // namespace volley
