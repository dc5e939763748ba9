#include "core/sha256.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "support/error_text.hpp"
#include "support/temp_folder.hpp"

namespace volley {
namespace {

// FIPS 180-4, examples of one block, of two, and of a million bytes.
constexpr const char* kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr const char* kMillion = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), kAbc);
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), kMillion);
}

TEST(Sha256, PiecesGiveTheSameAsTheWhole) {
  Sha256 sum;
  const std::vector<std::uint8_t> piece(1000, 'a');
  for (int i = 0; i < 1000; ++i) sum.add(piece);
  EXPECT_EQ(sum.hex(), kMillion);
}

TEST(Sha256, OfAFile) {
  const test::TempFolder folder;
  std::ofstream(folder / "file") << std::string(1000000, 'a');
  EXPECT_EQ(sha256_hex_of_file(folder / "file"), kMillion);
  test::expect_has(test::error_text([&] { sha256_hex_of_file(folder / "none"); }),
                   "none: cannot read: No such file");
  test::expect_has(test::error_text([&] { sha256_hex_of_file(folder.path()); }), "Is a directory");
}

}  // namespace
}  // namespace volley
