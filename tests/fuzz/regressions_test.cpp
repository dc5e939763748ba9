// Every seed and everything that fuzzing once found is read again, by the targets that scripts/fuzz runs.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "core/files.hpp"
#include "fuzz/targets.hpp"

namespace volley::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(VOLLEY_SOURCE_DIR) / "tests" / "fuzz";

TEST(Fuzz, WhatWasFoundIsReadOrRefusedButNeverWorse) {
  std::size_t files = 0;
  for (const FuzzTarget& target : fuzz_targets()) {
    for (const char* kind : {"seeds", "regressions"}) {
      const fs::path folder = kFolder / kind / target.name;
      if (!fs::exists(folder)) continue;
      for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        SCOPED_TRACE(entry.path().string());
        EXPECT_NO_THROW(target.read(read_file(entry.path(), 1 << 20)));
        ++files;
      }
    }
  }
  EXPECT_GE(files, fuzz_targets().size());
}

TEST(Fuzz, EveryTargetHasASeedAndEveryFolderATarget) {
  for (const FuzzTarget& target : fuzz_targets()) {
    EXPECT_TRUE(fs::exists(kFolder / "seeds" / target.name)) << target.name;
  }
  for (const char* kind : {"seeds", "regressions"}) {
    for (const fs::directory_entry& entry : fs::directory_iterator(kFolder / kind)) {
      const auto is_named = [&](const FuzzTarget& t) { return t.name == entry.path().filename().string(); };
      EXPECT_TRUE(std::ranges::any_of(fuzz_targets(), is_named)) << entry.path();
    }
  }
}

}  // namespace
}  // namespace volley::test
