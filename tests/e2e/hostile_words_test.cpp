#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/program.hpp"
#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace volley {
namespace {

// Words that a shell would obey, in every place where a user's word goes. Nothing may come of them but an
// error that repeats them.
TEST(HostileWords, AreNeverObeyed) {
  const test::TempFolder folder;
  for (const std::string word :
       {"$(touch pwned)", "`touch pwned`", ";touch pwned;", "|touch pwned", "&&touch pwned",
        "\ntouch pwned\n", "'; touch pwned; '", "\"; touch pwned; \""}) {
    const std::vector<std::vector<std::string>> commands{
        {"train", word},
        {"train", word + ".toml"},
        {"train", "lif_fc_mnist", "--data-dir", word},
        {"train", "lif_fc_mnist", "--set", "name=" + word},
        {"train", "--resume", word},
        {"eval", word},
        {"predict", word, word + ".png"},
        {"plot", word, "loss"},
        {"plot", ".", word},
        {"data", "show", "mnist", "--data-dir", word},
        {"data", "fetch", word},
        {"encode", word},
        {"encode", word + ".png"},
        {"neuron", "lif", "--current", word},
        {"neuron", "lif", "--current", "constant:1", "--plot", word},
        {"compare", word},
        {"compare", "lif_fc_mnist", "--peer", word},
        {"compare", "lif_fc_mnist", "--python", word, "--data-dir", word},
    };
    for (const std::vector<std::string>& command : commands) {
      const ProgramResult result = test::run_volley(command, {.folder = folder.path()});
      EXPECT_EQ(result.end, ProgramResult::End::exited);
      EXPECT_NE(result.code, 0) << command[0] << " " << word;
    }
  }
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder.path())) {
    ADD_FAILURE() << entry.path() << " has come of it";
  }
}

}  // namespace
}  // namespace volley
