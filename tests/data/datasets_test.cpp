#include <volley/dataset.hpp>
#include <volley/known_sets.hpp>

#include <gtest/gtest.h>

#include "data/toy_set.hpp"
#include "support/error_text.hpp"

namespace volley {
namespace {

using test::Environment;
using test::error_text;
using test::expect_has;
namespace fs = std::filesystem;

class Datasets : public testing::Test {
 protected:
  void expect_loads(const fs::path& folder) {
    const Split split = load_set(toy_.set, folder);
    EXPECT_EQ(split.train.name, "toy train");
    EXPECT_EQ(split.train.size(), 6u);
    EXPECT_EQ(split.test.size(), 4u);
    EXPECT_EQ(split.train.shape, (Shape{1, 5, 5}));
    EXPECT_EQ(split.train.labels, (std::vector<std::uint32_t>{0, 1, 1, 0, 1, 0}));
    EXPECT_EQ(split.test.picture(3)[24], static_cast<std::uint8_t>(toy_.contents[2].back()));
    EXPECT_EQ(split.test.classes, toy_.set.classes);
  }

  test::TempFolder folder_;
  test::ToySet toy_;
};

TEST_F(Datasets, AreFoundInEveryUsualPlaceRawOrPacked) {
  for (const char* place : {"toy", "ToySet/raw", "."}) {
    for (const bool packed : {false, true}) {
      const test::TempFolder folder;
      toy_.put(folder / place, packed);
      SCOPED_TRACE(std::string(place) + (packed ? " packed" : " raw"));
      expect_loads(folder.path());
    }
  }
}

TEST_F(Datasets, OnePartIsReadWithoutTheOther) {
  toy_.put(folder_ / "toy");
  const Split both = load_set(toy_.set, folder_.path());
  EXPECT_EQ(load_set_part(toy_.set, datasets::Part::train, folder_.path()).pixels, both.train.pixels);
  write_file_whole(folder_ / "toy" / toy_.set.files[0].name, "no pictures");
  const Dataset test = load_set_part(toy_.set, datasets::Part::test, folder_.path());
  EXPECT_EQ(test.name, "toy test");
  EXPECT_EQ(test.pixels, both.test.pixels);
  EXPECT_EQ(test.labels, both.test.labels);
  EXPECT_THROW(load_set_part(toy_.set, datasets::Part::train, folder_.path()), Error);
}

TEST_F(Datasets, AreFoundWithADotInTheirNames) {
  toy_.put(folder_.path(), true);
  for (const KnownFile& file : toy_.set.files) {
    std::string dotted = file.name;
    dotted[dotted.find("-idx")] = '.';
    fs::rename(folder_ / (file.name + ".gz"), folder_ / (dotted + ".gz"));
  }
  expect_loads(folder_.path());
}

TEST_F(Datasets, AreFoundWhereTheDistributionPutsThem) {
  toy_.put(folder_ / "system", true);
  toy_.set.system_folder = folder_ / "system";
  expect_loads(folder_ / "data");
}

TEST_F(Datasets, TheDefaultFolderIsTheCacheOfTheXdgRules) {
  const Environment home("HOME", "/home/somebody");
  {
    const Environment cache("XDG_CACHE_HOME", folder_.path().c_str());
    EXPECT_EQ(datasets::default_folder(), folder_ / "volley");
    toy_.put(folder_ / "volley/toy");
    expect_loads({});
  }
  {
    const Environment cache("XDG_CACHE_HOME", "not/absolute");
    EXPECT_EQ(datasets::default_folder(), "/home/somebody/.cache/volley");
  }
  const Environment cache("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(datasets::default_folder(), "/home/somebody/.cache/volley");
  const Environment no_home("HOME", nullptr);
  expect_has(error_text([] { datasets::default_folder(); }), "HOME or XDG_CACHE_HOME must be set");
}

TEST_F(Datasets, AMissingSetSaysWhatWasLookedForWhereAndHowToGetIt) {
  toy_.put(folder_ / "toy");
  fs::remove(folder_ / "toy/t10k-images-idx3-ubyte");
  const std::string text = error_text([&] { load_set(toy_.set, folder_.path()); });
  expect_has(text, "Toy is not there");
  expect_has(text, "t10k-images-idx3-ubyte");
  expect_has(text,
             (folder_ / "toy").string() +
                 "  (has only train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-labels-idx1-ubyte)");
  expect_has(text, (folder_ / "ToySet/raw").string());
  expect_has(text, "volley data fetch toy --data-dir " + folder_.path().string());
  EXPECT_EQ(look_up_set(toy_.set, folder_.path()).state, datasets::Info::State::missing);
}

TEST_F(Datasets, AWrongFileIsNamedWithBothHashes) {
  toy_.put(folder_ / "toy");
  std::string other = toy_.contents[2];
  other.back() = static_cast<char>(other.back() + 1);
  write_file_whole(folder_ / "toy/t10k-images-idx3-ubyte", other);
  const std::string text = error_text([&] { load_set(toy_.set, folder_.path()); });
  expect_has(text,
             (folder_ / "toy/t10k-images-idx3-ubyte").string() + ": is not Toy's t10k-images-idx3-ubyte");
  expect_has(text, "must be " + toy_.set.files[2].sha256 + ", got " + sha256_hex(other));
  const datasets::Info info = look_up_set(toy_.set, folder_.path());
  EXPECT_EQ(info.state, datasets::Info::State::wrong);
  EXPECT_EQ(info.problem, text);
}

TEST_F(Datasets, AnUnknownNameIsRefused) {
  EXPECT_EQ(datasets::names(),
            (std::vector<std::string>{"mnist", "fashion_mnist", "kmnist", "emnist_balanced", "emnist_byclass",
                                      "emnist_bymerge", "emnist_digits", "emnist_letters", "emnist_mnist",
                                      "cifar10", "cifar100"}));
  const std::string text = error_text([] { datasets::load("mnst"); });
  expect_has(text, "must be one of mnist, fashion_mnist, kmnist, ");
  expect_has(text, ", or a folder of pictures (a path with a /), got \"mnst\"");
  expect_has(error_text([] { datasets::fetch("../x"); }), "got \"../x\"");
}

TEST_F(Datasets, TheFirstFewAreASetOfTheSameKind) {
  toy_.put(folder_.path());
  const Dataset train = load_set(toy_.set, folder_.path()).train;
  const Dataset two = train.first(2);
  EXPECT_EQ(two.size(), 2u);
  EXPECT_EQ(two.pixels, std::vector<std::uint8_t>(train.pixels.begin(), train.pixels.begin() + 50));
  EXPECT_EQ(two.classes, train.classes);
  EXPECT_EQ(two.shape, train.shape);
  EXPECT_EQ(train.first(100).pixels, train.pixels);
}

TEST_F(Datasets, TheTableIsCompleteAndNamesOnlySecureMirrors) {
  for (const KnownSet& set : known_sets()) {
    EXPECT_FALSE(set.classes.empty() || set.files.empty() || set.read == nullptr) << set.name;
    if (!set.hashed()) {  // nothing is offered for download that could not be checked
      EXPECT_TRUE(set.mirrors.empty() && set.npm_package.empty() && set.debian_package.empty()) << set.name;
      EXPECT_TRUE(set.home.starts_with("http")) << set.name;
      continue;
    }
    for (const KnownFile& file : set.files) EXPECT_EQ(file.sha256.size(), 64u);
    for (const std::string& mirror : set.mirrors) {
      EXPECT_TRUE(mirror.starts_with("https://") && mirror.ends_with("/")) << mirror;
    }
    EXPECT_FALSE(set.npm_package.empty() && set.debian_package.empty());
  }
}

TEST_F(Datasets, TheRealSetsHaveTheirKnownCounts) {
  for (const datasets::Info& info : datasets::list()) {
    if (!info.hashed) continue;
    SCOPED_TRACE(info.name);
    if (info.state != datasets::Info::State::ready) GTEST_SKIP() << info.name << " is not here";
    const Split split = datasets::load(info.name);
    ASSERT_EQ(split.train.size(), 60000u);
    ASSERT_EQ(split.test.size(), 10000u);
    std::array<int, 10> counts{};
    for (const std::uint32_t label : split.test.labels) ++counts[label];
    // MNIST's test digits, as published; Fashion-MNIST is balanced.
    const std::array<int, 10> digits{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    const std::array<int, 10> even{1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
    EXPECT_EQ(counts, info.name == "mnist" ? digits : even);
  }
}

}  // namespace
}  // namespace volley
