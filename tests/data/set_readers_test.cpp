#include <gtest/gtest.h>

#include <algorithm>

#include "data/cifar.hpp"
#include "data/toy_set.hpp"
#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
namespace fs = std::filesystem;

KnownSet set_of(const std::string& name) { return known_set(name); }

/// Puts the four files of a set of the IDX format, of pictures (H, W), into `folder`.
void put_idx(const KnownSet& set, const fs::path& folder, std::uint32_t H, std::uint32_t W,
             const std::string& labels, bool packed = false) {
  fs::create_directories(folder);
  const auto count = static_cast<std::uint32_t>(labels.size());
  for (const KnownFile& file : set.files) {
    const std::string bytes = file.rank == 3
                                  ? test::idx_bytes({count, H, W}, test::some_values(count * H * W))
                                  : test::idx_bytes({count}, labels);
    write_file_whole(folder / (file.name + (packed ? ".gz" : "")), packed ? test::gzip(bytes) : bytes);
  }
}

TEST(SetReaders, KmnistIsReadWithoutAKnownHash) {
  const test::TempFolder folder;
  put_idx(set_of("kmnist"), folder / "KMNIST/raw", 28, 28, std::string("\0\11\3", 3), true);
  const Split split = datasets::load("kmnist", folder.path());
  EXPECT_EQ(split.train.size(), 3u);
  EXPECT_EQ(split.test.labels, (std::vector<std::uint32_t>{0, 9, 3}));
  EXPECT_EQ(split.train.classes[9], "wo");
  const datasets::Info info = look_up_set(set_of("kmnist"), folder.path());
  EXPECT_EQ(info.state, datasets::Info::State::ready);
  EXPECT_FALSE(info.hashed);
}

TEST(SetReaders, AnotherShapeAndLabelsWithoutAClassAreRefused) {
  const test::TempFolder folder;
  put_idx(set_of("kmnist"), folder / "kmnist", 28, 27, std::string("\0\1", 2));
  expect_has(error_text([&] { datasets::load("kmnist", folder.path()); }),
             "train-images-idx3-ubyte: must hold pictures of (1, 28, 28), got (1, 28, 27)");
  put_idx(set_of("kmnist"), folder / "kmnist", 28, 28, std::string("\0\12", 2));
  expect_has(error_text([&] { datasets::load("kmnist", folder.path()); }),
             "train-labels-idx1-ubyte: must hold labels of 0 to 9, got 10 for picture 1");
}

TEST(SetReaders, EmnistIsTurnedUprightAndItsLettersCountFromOne) {
  const test::TempFolder folder;
  const KnownSet letters = set_of("emnist_letters");
  for (const char* place : {"emnist_letters", "EMNIST/raw", "emnist/gzip", "."}) {
    const test::TempFolder own;
    put_idx(letters, own / place, 28, 28, std::string("\1\32\2"), true);
    const Split split = datasets::load("emnist_letters", own.path());
    EXPECT_EQ(split.train.labels, (std::vector<std::uint32_t>{0, 25, 1})) << place;
    const std::string stored = test::some_values(3 * 28 * 28);
    for (const std::size_t n : {0u, 2u}) {
      for (const auto& [y, x] : {std::pair{0, 5}, std::pair{27, 3}, std::pair{9, 9}}) {
        EXPECT_EQ(split.test.picture(n)[y * 28 + x],
                  static_cast<std::uint8_t>(stored[n * 28 * 28 + x * 28 + y]));
      }
    }
  }
  put_idx(letters, folder / "emnist", 28, 28, std::string("\1\0", 2));
  expect_has(error_text([&] { datasets::load("emnist_letters", folder.path()); }),
             "must hold labels of 1 to 26, got 0 for picture 1");
}

TEST(SetReaders, EmnistsSplitsHaveTheirClasses) {
  const auto classes = [](const std::string& split) { return set_of("emnist_" + split).classes.size(); };
  EXPECT_EQ(classes("byclass"), 62u);
  EXPECT_EQ(classes("bymerge"), 47u);
  EXPECT_EQ(classes("balanced"), 47u);
  EXPECT_EQ(classes("letters"), 26u);
  EXPECT_EQ(classes("digits"), 10u);
  EXPECT_EQ(classes("mnist"), 10u);
  EXPECT_EQ(set_of("emnist_balanced").classes[46], "t");
  EXPECT_EQ(set_of("emnist_byclass").classes[36], "a");
}

TEST(SetReaders, FilesOfAnotherSetAreKnownByTheirHash) {
  std::filesystem::path mnist;
  for (const datasets::Info& info : datasets::list()) {
    if (info.name == "mnist" && info.state == datasets::Info::State::ready) mnist = info.place;
  }
  if (mnist.empty()) GTEST_SKIP() << "mnist is not here";
  expect_has(error_text([&] { datasets::load("kmnist", mnist); }),
             "train-images-idx3-ubyte: is not KMNIST's train-images-idx3-ubyte: got MNIST's train-images");
}

/// A set of CIFAR's format with 2 records a file.
struct SmallCifar {
  KnownSet set;
  std::size_t labels;

  explicit SmallCifar(const std::string& name) : set(known_set(name)), labels(name == "cifar100" ? 2 : 1) {
    for (KnownFile& file : set.files) file.bytes = 2 * (labels + kCifarPixels);
  }
  /// File i's records have the labels 2 i and 2 i + 1, from 0 again where these end; its pixels begin with
  /// the file's number.
  std::string contents(std::size_t i) const {
    std::string bytes;
    for (std::size_t record = 0; record < 2; ++record) {
      if (labels == 2) bytes += '\23';  // the coarse label, which does not count
      bytes += static_cast<char>((2 * i + record) % set.classes.size());
      std::string pixels = test::some_values(kCifarPixels);
      pixels[0] = static_cast<char>(i);
      bytes += pixels;
    }
    return bytes;
  }
  void put(const fs::path& folder) const {
    fs::create_directories(folder);
    for (std::size_t i = 0; i < set.files.size(); ++i)
      write_file_whole(folder / set.files[i].name, contents(i));
  }
};

TEST(SetReaders, CifarIsReadFromTheFoldersOfItsArchive) {
  const SmallCifar ten("cifar10");
  for (const char* place : {"cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "cifar10", "."}) {
    const test::TempFolder folder;
    ten.put(folder / place);
    const Split split = load_set(ten.set, folder.path());
    EXPECT_EQ(split.train.size(), 10u) << place;
    EXPECT_EQ(split.train.labels, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(split.train.shape, (Shape{3, 32, 32}));
    EXPECT_EQ(split.train.picture(7)[0], 3);
    EXPECT_EQ(split.train.picture(7)[3071], static_cast<std::uint8_t>(test::some_values(kCifarPixels)[3071]));
  }
}

TEST(SetReaders, Cifar100HasItsFineLabels) {
  const SmallCifar hundred("cifar100");
  const test::TempFolder folder;
  hundred.put(folder / "cifar-100-binary");
  const Split split = load_set(hundred.set, folder.path());
  EXPECT_EQ(split.train.labels, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(split.test.labels, (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(split.test.picture(1)[0], 1);
  EXPECT_EQ(hundred.set.classes.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(hundred.set.classes));
}

TEST(SetReaders, DamagedCifarIsRefused) {
  const SmallCifar ten("cifar10");
  const test::TempFolder folder;
  ten.put(folder / "cifar10");
  const fs::path file = folder / "cifar10/data_batch_3.bin";
  const auto refusal = [&] { return error_text([&] { load_set(ten.set, folder.path()); }); };
  write_file_whole(file, ten.contents(2).substr(0, 4000));
  expect_has(refusal(), file.string() + ": must have 6146 bytes unpacked, got 4000");
  write_file_whole(file, ten.contents(2) + "x");
  expect_has(refusal(), file.string() + ": must have 6146 bytes unpacked, got more");
  std::string wrong = ten.contents(2);
  wrong[3073] = '\12';
  write_file_whole(file, wrong);
  expect_has(refusal(), file.string() + ": must hold labels of 0 to 9, got 10 for picture 1");
  write_file_whole(file, "");
  expect_has(refusal(), file.string() + ": must have 6146 bytes unpacked, got 0");
  fs::remove(file);
  const std::string text = refusal();
  expect_has(text, "CIFAR-10 is not there: looked for\n    data_batch_1.bin");
  expect_has(
      text, "By hand: put these files from https://www.cs.toronto.edu/~kriz/cifar.html (the binary version)");
}

TEST(SetReaders, AFetchOfASetWithoutHashesSaysWhatToPutWhere) {
  const test::TempFolder folder;
  for (const std::string name : {"kmnist", "emnist_letters", "cifar10", "cifar100"}) {
    const std::string text = error_text([&] { datasets::fetch(name, folder.path()); });
    expect_has(text, "is not fetched: its files' SHA-256 are not known here");
    expect_has(text, "raw or .gz, into " + (folder / name).string() + "\n    " + set_of(name).files[0].name);
    expect_has(text, "from http");
    EXPECT_TRUE(fs::is_empty(folder.path()));
  }
}

TEST(HoldOut, PartsTheTrainingSetByTheSeed) {
  const test::TempFolder folder;
  put_idx(set_of("kmnist"), folder.path(), 28, 28, std::string("\0\1\2\3\4\5\6\7", 8));
  const Split whole = datasets::load("kmnist", folder.path());
  const auto parted = [&](std::uint32_t seed) {
    Split split = whole;
    hold_out(split, 3, seed);
    return split;
  };
  const Split split = parted(1);
  ASSERT_EQ(split.train.size(), 5u);
  ASSERT_EQ(split.validation.size(), 3u);
  EXPECT_EQ(split.test.size(), 8u);
  // Each picture is in one part, with its own label; both parts keep the order.
  std::vector<std::uint32_t> all;
  for (const Dataset* part : {&split.train, &split.validation}) {
    EXPECT_TRUE(std::ranges::is_sorted(part->labels));
    for (std::size_t n = 0; n < part->size(); ++n) {
      all.push_back(part->labels[n]);
      EXPECT_TRUE(std::ranges::equal(part->picture(n), whole.train.picture(part->labels[n])));
    }
  }
  std::ranges::sort(all);
  EXPECT_EQ(all, whole.train.labels);
  EXPECT_EQ(parted(1).validation.labels, split.validation.labels);
  EXPECT_NE(parted(2).validation.labels, split.validation.labels);

  Split again = whole;
  for (const std::size_t samples : {0u, 8u, 9u}) {
    EXPECT_EQ(
        error_text([&] { hold_out(again, samples, 0); }),
        "[data] kmnist train: 1 to 7 of its 8 pictures can be held out, got " + std::to_string(samples));
  }
}

TEST(HoldOut, GivesEachClassOfTwoOneInBothPartsWhereThereIsRoom) {
  Dataset data{"a set", {1}, {}, {}, {}};
  for (const auto& [label, count] :
       std::vector<std::pair<std::uint32_t, int>>{{0, 30}, {4000000000u, 3}, {7, 2}, {8, 1}}) {
    for (int i = 0; i < count; ++i) data.labels.push_back(label);
  }
  for (std::size_t i = 0; i < data.labels.size(); ++i) data.pixels.push_back(static_cast<std::uint8_t>(i));
  for (std::uint32_t seed = 0; seed < 50; ++seed) {
    for (const std::size_t samples : {1u, 3u, 6u, 30u, 32u, 35u}) {
      Split split{.train = data, .test = {}};
      hold_out(split, samples, seed);
      ASSERT_EQ(split.validation.size(), samples);
      ASSERT_EQ(split.train.size(), 36 - samples);
      if (samples < 3 || samples > 32) continue;  // no room for three classes
      for (const std::uint32_t label : {0u, 4000000000u, 7u}) {
        EXPECT_GT(std::ranges::count(split.train.labels, label), 0) << samples << ", " << seed;
        EXPECT_GT(std::ranges::count(split.validation.labels, label), 0) << samples << ", " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace volley
