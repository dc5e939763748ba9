#include <volley/current_csv.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

class CurrentCsvTest : public testing::Test {
 protected:
  CurrentCsv read(std::string_view text) {
    write_file_whole(path_, text);
    return read_current_csv(path_);
  }
  /// The message that reading `text` gives, with "FILE" for the path.
  std::string error_of(std::string_view text) {
    try {
      read(text);
    } catch (const Error& error) {
      std::string message = error.what();
      const std::size_t at = message.find(path_.string());
      return at == std::string::npos ? message : message.replace(at, path_.string().size(), "FILE");
    }
    return "no error";
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_ / "wave.csv";
};

using Values = std::vector<double>;

TEST_F(CurrentCsvTest, OneColumnIsOneValuePerStep) {
  const CurrentCsv csv = read("1\n-2.5\n3e-1\n");
  EXPECT_EQ(csv.x, (Values{1, -2.5, 0.3}));
  EXPECT_TRUE(csv.t.empty());
}

TEST_F(CurrentCsvTest, TwoColumnsAreTimeAndValue) {
  const CurrentCsv csv = read("0,1\n0.5,2\n7,0\n");
  EXPECT_EQ(csv.t, (Values{0, 0.5, 7}));
  EXPECT_EQ(csv.x, (Values{1, 2, 0}));
}

TEST_F(CurrentCsvTest, AHeaderLineIsSkipped) {
  EXPECT_EQ(read("current\n1\n2\n").x, (Values{1, 2}));
  EXPECT_EQ(read("t,x\n0,5\n").x, (Values{5}));
  EXPECT_EQ(read("\"t [ms]\", I\n0,5\n").x, (Values{5}));
}

TEST_F(CurrentCsvTest, WhatOtherProgramsWriteIsRead) {
  EXPECT_EQ(read("\xEF\xBB\xBFt,x\r\n 0 ,\t+1\r\n1,2\r\n\r\n").x,
            (Values{1, 2}));                  // mark, CRLF, spaces, blank line
  EXPECT_EQ(read("1\n2").x, (Values{1, 2}));  // no newline at the end
}

TEST_F(CurrentCsvTest, WrongCellsAreRefusedWithTheirLine) {
  EXPECT_EQ(error_of("1\n2\nabc\n"), "FILE:3: expected a finite number, got 'abc'");
  EXPECT_EQ(error_of("x\n1\n\nnan\n"), "FILE:4: expected a finite number, got 'nan'");
  EXPECT_EQ(error_of("inf\n"), "FILE:1: expected a finite number, got 'inf'");
  EXPECT_EQ(error_of("1e999\n"), "FILE:1: expected a finite number, got '1e999'");
  EXPECT_EQ(error_of("0,1\n1,\n"), "FILE:2: expected a finite number, got ''");
  EXPECT_EQ(error_of("1 2\n"), "FILE:1: expected a finite number, got '1 2'");
  EXPECT_EQ(error_of("x\ny\n"), "FILE:2: expected a finite number, got 'y'");
  EXPECT_EQ(error_of("+-1\n"), "FILE:1: expected a finite number, got '+-1'");
}

TEST_F(CurrentCsvTest, WrongColumnsAreRefusedWithTheirLine) {
  EXPECT_EQ(error_of("1,2,3\n"), "FILE:1: expected one column, or two columns t,x, got '1,2,3'");
  EXPECT_EQ(error_of("0,1\n2\n"), "FILE:2: expected two columns as in the lines above, got '2'");
  EXPECT_EQ(error_of("1\n0,1\n"), "FILE:2: expected one column as in the lines above, got '0,1'");
}

TEST_F(CurrentCsvTest, TimesMustRiseFromZero) {
  EXPECT_EQ(error_of("0,1\n2,1\n2,3\n"), "FILE:3: t must rise from line to line, got 2 after 2");
  EXPECT_EQ(error_of("-1,1\n"), "FILE:1: t must be >= 0, got -1");
}

TEST_F(CurrentCsvTest, FilesWithoutNumbersAreRefused) {
  EXPECT_EQ(error_of(""), "FILE: must hold at least one number, got none");
  EXPECT_EQ(error_of("t,x\n"), "FILE: must hold at least one number, got none");
  EXPECT_THROW(read_current_csv(folder_ / "missing.csv"), Error);
  EXPECT_THROW(read_current_csv(folder_.path()), Error);
}

TEST_F(CurrentCsvTest, BytesThatATerminalWouldObeyAreNotRepeated) {
  EXPECT_EQ(error_of("1\n\x1b[2J\n"), "FILE:2: expected a finite number, got '?[2J'");
  EXPECT_EQ(error_of(std::string_view("1\n\0\n", 4)), "FILE:2: expected a finite number, got '?'");
  EXPECT_EQ(error_of("1\n" + std::string(1000, 'z') + "\n"),
            "FILE:2: expected a finite number, got '" + std::string(40, 'z') + "...'");
}

}  // namespace
}  // namespace volley
