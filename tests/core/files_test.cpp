#include "core/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/error_text.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
using test::FileSizeLimit;
using test::TempFolder;
namespace fs = std::filesystem;

std::size_t entries_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST(Files, WhatIsWrittenIsRead) {
  const TempFolder folder;
  const std::string bytes("a\0b\n\xff", 5);
  write_file_whole(folder / "file", bytes);
  EXPECT_EQ(read_file(folder / "file", 5), bytes);
  write_file_whole(folder / "file", "");
  EXPECT_EQ(read_file(folder / "file", 0), "");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(Files, ALinkIsWrittenThroughAndADeviceOrPipeRefused) {
  const TempFolder folder;
  write_file_whole(folder / "file", "old");
  fs::create_symlink(folder / "file", folder / "link");
  write_file_whole(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "file", 3), "new");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_has(error_text([&] { write_file_whole(folder / "pipe", "x"); }),
             "pipe: cannot write: must be a regular file");
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  expect_has(error_text([&] { write_file_whole("/dev/null", "x"); }),
             "/dev/null: cannot write: must be a regular file");
  expect_has(error_text([&] { write_file_whole(folder.path(), "x"); }), "Is a directory");
}

TEST(Files, AFileInPiecesIsThereWhenItIsKept) {
  const test::TempFolder folder;
  const std::filesystem::path path = folder / "file";
  {
    WholeFile file(path);
    file.write("lost");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  WholeFile file(path);
  file.write("a");
  file.write("bc");
  EXPECT_FALSE(std::filesystem::exists(path));
  file.keep();
  EXPECT_EQ(read_file(path, 10), "abc");
  EXPECT_THROW(WholeFile(folder.path()), FileError);
}

TEST(Files, AFileThatCannotBeReadIsNamed) {
  const TempFolder folder;
  expect_has(error_text([&] { read_file(folder / "none", 10); }), "none: cannot read: No such file");
  expect_has(error_text([&] { read_file(folder.path(), 10); }), "Is a directory");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_has(error_text([&] { read_file(folder / "pipe", 10); }),
             "pipe: cannot read: must be a regular file");
}

TEST(Files, AMappedFileHasItsBytes) {
  const TempFolder folder;
  write_file_whole(folder / "file", std::string(5000, 'a') + "b");
  write_file_whole(folder / "empty", "");
  const MappedFile file(folder / "file");
  EXPECT_EQ(file.path(), folder / "file");
  EXPECT_EQ(file.bytes(), std::string(5000, 'a') + "b");
  EXPECT_EQ(MappedFile(folder / "empty").bytes(), "");
  expect_has(error_text([&] { MappedFile(folder / "none"); }), "none: cannot read: No such file");
  expect_has(error_text([&] { MappedFile(folder.path()); }), "Is a directory");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_has(error_text([&] { MappedFile(folder / "pipe"); }), "pipe: cannot read: must be a regular file");
}

TEST(Files, AFileLargerThanExpectedIsRefused) {
  const TempFolder folder;
  write_file_whole(folder / "file", "12345");
  expect_has(error_text([&] { read_file(folder / "file", 4); }), "file: must be at most 4 bytes, got 5");
}

TEST(Files, AFailedWriteLeavesTheOlderFileAndNothingElse) {
  const TempFolder folder;
  write_file_whole(folder / "file", "older");
  std::string text;
  {
    const FileSizeLimit limit(4096);
    text = error_text([&] { write_file_whole(folder / "file", std::string(10000, 'x')); });
  }
  expect_has(text, (folder / "file").string() + ": cannot write: File too large");
  EXPECT_EQ(read_file(folder / "file", 100), "older");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(Files, AWriteThatCannotBeginOrEndSaysWhy) {
  const TempFolder folder;
  expect_has(error_text([&] { write_file_whole(folder / "none/file", "x"); }), "No such file");
  expect_has(error_text([&] { write_file_whole(folder.path().string() + "/", "x"); }), "Is a directory");
  fs::create_directory(folder / "taken");
  expect_has(error_text([&] { write_file_whole(folder / "taken", "x"); }),
             "taken: cannot write: Is a directory");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(Files, ALeftoverOfAKilledProcessIsNoObstacle) {
  const TempFolder folder;
  for (int i = 0; i < 50; ++i) {
    std::ofstream(folder / (".file." + std::to_string(::getpid()) + "." + std::to_string(i) + ".tmp"))
        << "old";
  }
  write_file_whole(folder / "file", "new");
  EXPECT_EQ(read_file(folder / "file", 100), "new");
}

}  // namespace
}  // namespace volley
