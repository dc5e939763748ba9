#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <volley/files.hpp>

#include "events/recordings.hpp"
#include "support/error_text.hpp"
#include "support/program.hpp"
#include "support/running_program.hpp"

namespace volley {
namespace {

using test::bytes_of;
using test::Events;
using test::expect_has;
using test::run_volley;
namespace fs = std::filesystem;

class EventsCommand : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// A recording of N-MNIST: three events.
  std::string recording() const {
    write_file_whole(path("one.bin"),
                     bytes_of({7, 15, 0x80, 0x02, 0x8e, 1, 2, 0, 3, 0xe8, 33, 0, 0x80, 0x10, 0}));
    return path("one.bin");
  }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

  test::TempFolder folder_;
};

TEST_F(EventsCommand, InfoSaysWhatIsInARecording) {
  const ProgramResult result = run_volley({"events", "info", recording()});
  EXPECT_TRUE(result.ok()) << result.err;
  EXPECT_EQ(result.out,
            "format  nmnist\nsensor  not said by the file\nevents  3, 2 of channel 1\n"
            "time    654 to 4096 microseconds, 0.003442 s\n");
}

TEST_F(EventsCommand, InfoAsJson) {
  const ProgramResult result = run_volley({"events", "info", "--json", "--size", "34x40", recording()});
  EXPECT_TRUE(result.ok()) << result.err;
  const auto expected = nlohmann::json::parse(
      R"({"format": "nmnist", "width": 34, "height": 40, "channels": 2, "events": 3, "on": 2, "first_us": 654,
          "last_us": 4096, "by_time": true, "streams": []})");
  EXPECT_EQ(nlohmann::json::parse(result.out), expected);
  write_file_whole(path("none.csv"), "t,x,y,p\n");
  const auto none = nlohmann::json::parse(run_volley({"events", "info", "--json", path("none.csv")}).out);
  EXPECT_EQ(none.at("events"), 0);
  EXPECT_TRUE(none.at("first_us").is_null());
  EXPECT_TRUE(none.at("width").is_null());
}

TEST_F(EventsCommand, HeadPrintsLines) {
  const ProgramResult result = run_volley({"events", "head", recording(), "-n", "2"});
  EXPECT_TRUE(result.ok()) << result.err;
  EXPECT_EQ(result.out, "t,x,y,channel\n654,7,15,1\n1000,1,2,0\n");
  EXPECT_EQ(run_volley({"events", "head", recording()}).out,
            "t,x,y,channel\n654,7,15,1\n1000,1,2,0\n4096,33,0,1\n");
  EXPECT_EQ(run_volley({"events", "head", recording(), "-n", "0"}).out, "t,x,y,channel\n");
}

TEST_F(EventsCommand, ConvertWritesWhatTheNameSays) {
  const Events events{{654, 7, 15, 1}, {1000, 1, 2, 0}, {4096, 33, 0, 1}};
  for (const char* name : {"a.aedat4", "a.raw", "a.dat", "a.es", "a.npz", "a.csv", "a.aedat", "a.bs2"}) {
    const ProgramResult result =
        run_volley({"events", "convert", recording(), path(name), "--size", "34x34"});
    EXPECT_TRUE(result.ok()) << result.err;
    EXPECT_EQ(result.out, path(name) + ": 3 events\n");
    EXPECT_EQ(read_events(path(name)), events) << name;
  }
  EXPECT_TRUE(
      run_volley({"events", "convert", recording(), path("b"), "--format", "evt2", "--from", "nmnist"}).ok());
  EXPECT_EQ(EventFile(path("b")).info().format, EventFormat::evt2);
  EXPECT_TRUE(run_volley({"events", "convert", recording(), path("z.csv"), "--from-zero"}).ok());
  EXPECT_EQ(read_events(path("z.csv")), (Events{{0, 7, 15, 1}, {346, 1, 2, 0}, {3442, 33, 0, 1}}));
}

TEST_F(EventsCommand, OptionsSayWhatTextDoesNot) {
  write_file_whole(path("one.txt"), "0.5 1 1 1\n");
  EXPECT_EQ(run_volley({"events", "head", path("one.txt"), "--time-unit", "1e6", "--one-based"}).out,
            "t,x,y,channel\n500000,0,0,0\n");
}

TEST_F(EventsCommand, AFailureLeavesNothing) {
  write_file_whole(path("one.csv"), "5,300,0,0\n");
  const ProgramResult wide = run_volley({"events", "convert", path("one.csv"), path("out.bin")});
  EXPECT_EQ(wide.code, 1);
  EXPECT_EQ(wide.out, "");
  EXPECT_EQ(wide.err, "volley events convert: [write_events] x must be at most 255 in nmnist, got 300\n");
  write_file_whole(path("cut.bin"), "123456");
  const ProgramResult cut = run_volley({"events", "convert", path("cut.bin"), path("out.csv")});
  EXPECT_EQ(cut.code, 1);
  expect_has(cut.err, path("cut.bin") + ": expected events of 5 bytes after the header of 0, found 6 bytes");
  write_file_whole(path("back.csv"), "5,3,0,0\n4,3,0,0\n");
  const ProgramResult back =
      run_volley({"events", "convert", path("back.csv"), path("out.csv"), "--from-zero"});
  EXPECT_EQ(back.code, 1);
  expect_has(back.err, "--from-zero: the first event is not the earliest");
  EXPECT_EQ(names(), (std::vector<std::string>{"back.csv", "cut.bin", "one.csv"}));
  EXPECT_EQ(run_volley({"events", "info", path("none")}).code, 1);
}

TEST_F(EventsCommand, AWrongUseIsExitStatus2) {
  const auto refused = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "events");
    const ProgramResult result = run_volley(words);
    EXPECT_EQ(result.code, 2) << result.out << result.err;
    EXPECT_EQ(result.out, "");
    return result.err;
  };
  refused({});
  refused({"info"});
  expect_has(refused({"convert", recording(), path("out.what")}),
             "or --format, got '" + path("out.what") + "'");
  expect_has(refused({"info", recording(), "--size", "34"}), "expected a size as 640x480, got '34'");
  refused({"info", recording(), "--size", "0x34"});
  refused({"info", recording(), "--time-unit", "0"});
  refused({"info", recording(), "--format", "hdf5"});
  refused({"info", recording(), "--sensor", "dvs64"});
  refused({"head", recording(), "-n", "-1"});
  EXPECT_EQ(names(), std::vector<std::string>{"one.bin"});
}

TEST_F(EventsCommand, HelpHasAnExample) {
  for (const char* command : {"info", "head", "convert"}) {
    const ProgramResult result = run_volley({"events", command, "--help"});
    EXPECT_TRUE(result.ok());
    expect_has(result.out, std::string("Example: volley events ") + command);
  }
}

TEST_F(EventsCommand, ConvertEndsOnCtrlCAndLeavesNothing) {
  write_file_whole(path("long.bin"), "");
  fs::resize_file(path("long.bin"), 5 * 80'000'000);  // events of zeros, which take no place on the disk
  test::RunningProgram program({"events", "convert", path("long.bin"), path("out.csv")}, path("log"));
  EXPECT_TRUE(program.wait_until([&] { return names().size() == 3; }));  // with the temporary file
  program.signal(SIGINT);
  EXPECT_TRUE(program.ends_within(std::chrono::minutes(1)));
  EXPECT_EQ(program.code(), 130);
  EXPECT_EQ(names(), (std::vector<std::string>{"log", "long.bin"}));
  expect_has(read_file(path("log"), 1000), "interrupted: " + path("out.csv") + " is not written");
}

}  // namespace
}  // namespace volley
