#pragma once

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <array>
#include <string>

#include "core/sha256.hpp"
#include "data/idx_files.hpp"
#include "data/known_set.hpp"
#include "support/temp_folder.hpp"

namespace volley::test {

/// A set of 6 + 4 pictures of 5 x 5 in MNIST's format, its files' contents beside it.
struct ToySet {
  KnownSet set;
  std::array<std::string, 4> contents;

  ToySet() {
    set.name = "toy";
    set.title = "Toy";
    set.folders = {"ToySet/raw"};
    set.read = read_idx_set;
    set.train_samples = 6;
    set.test_samples = 4;
    set.shape = Shape{1, 5, 5};
    set.classes = {"zero", "one"};
    contents = {idx_bytes({6, 5, 5}, some_values(150)), idx_bytes({6}, std::string("\0\1\1\0\1\0", 6)),
                idx_bytes({4, 5, 5}, some_values(100)), idx_bytes({4}, std::string("\1\1\0\0", 4))};
    const std::array<std::string, 4> names{"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    for (std::size_t i = 0; i < 4; ++i) {
      set.files.push_back({names[i], i % 2 == 0 ? 3u : 1u, contents[i].size(), sha256_hex(contents[i])});
    }
  }

  /// Puts the four files into `folder`, as NAME, or packed as NAME.gz.
  void put(const std::filesystem::path& folder, bool packed = false) const {
    std::filesystem::create_directories(folder);
    for (std::size_t i = 0; i < 4; ++i) {
      write_file_whole(folder / (set.files[i].name + (packed ? ".gz" : "")),
                       packed ? gzip(contents[i]) : contents[i]);
    }
  }
};

/// Sets an environment variable, or unsets it (nullptr), until the end of the test.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = ::getenv(name); before != nullptr) before_ = before;
    set(value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { set(before_.has_value() ? before_->c_str() : nullptr); }

 private:
  void set(const char* value) {
    if (value != nullptr) {
      ::setenv(name_.c_str(), value, 1);
    } else {
      ::unsetenv(name_.c_str());
    }
  }

  std::string name_;
  std::optional<std::string> before_;
};

/// Writes a shell script under a program's name.
inline void write_program(const std::filesystem::path& path, const std::string& script) {
  write_file_whole(path, "#!/bin/sh\n" + script + "\n");
  ::chmod(path.c_str(), 0755);
}

}  // namespace volley::test
