#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <volley/image.hpp>

#include "core/files.hpp"
#include "support/temp_folder.hpp"

namespace volley::test {

/// A PNG file's bytes are a picture that our own reader takes, of this size, with something on it.
inline void expect_picture(const std::string& png, std::size_t width, std::size_t height) {
  const TempFolder folder;
  write_file_whole(folder / "picture.png", png);
  const Dataset picture = read_image(folder / "picture.png", 20000);
  EXPECT_EQ(picture.shape, (Shape{1, height, width}));
  const std::set<std::uint8_t> values(picture.pixels.begin(), picture.pixels.end());
  EXPECT_GT(values.size(), 5u) << "a blank picture";
}

/// Whether every tag of `xml` is closed where it must be, and every & begins an entity: well-formed as far as
/// what a program writes can be wrong.
inline void expect_well_formed(const std::string& xml) {
  std::vector<std::string> open;
  ASSERT_TRUE(xml.starts_with("<?xml"));
  for (std::size_t at = xml.find('<', 5); at != std::string::npos; at = xml.find('<', at)) {
    const std::size_t end = xml.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = xml.substr(at + 1, end - at - 1);
    at = end;
    if (tag.starts_with("!--")) continue;
    const std::string name = tag.substr(0, tag.find_first_of(" \t\n/", 1));
    if (tag.starts_with("/")) {
      ASSERT_FALSE(open.empty());
      ASSERT_EQ(name, "/" + open.back());
      open.pop_back();
    } else if (!tag.ends_with("/")) {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty());
  for (std::size_t at = xml.find('&'); at != std::string::npos; at = xml.find('&', at + 1)) {
    const std::string_view rest = std::string_view(xml).substr(at + 1, 6);
    EXPECT_TRUE(rest.starts_with("lt;") || rest.starts_with("gt;") || rest.starts_with("amp;") ||
                rest.starts_with("quot;") || rest.starts_with("#"))
        << rest;
  }
}

}  // namespace volley::test
