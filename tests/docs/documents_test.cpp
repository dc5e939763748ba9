#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "core/files.hpp"

// What the documents say must be there: files, links, functions, equations, the example.

namespace volley::test {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = VOLLEY_SOURCE_DIR;

std::string text_of(const fs::path& path) { return read_file(path, std::size_t{1} << 24); }

std::string name_of(const fs::path& path) { return path.lexically_relative(kRoot).generic_string(); }

/// Files below the folders whose names end in one of `suffixes`.
std::vector<fs::path> files_below(const std::vector<std::string>& folders,
                                  const std::set<std::string>& suffixes) {
  std::vector<fs::path> files;
  for (const std::string& folder : folders) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      if (entry.is_regular_file() && suffixes.contains(entry.path().extension()))
        files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::vector<fs::path> documents() {
  std::vector<fs::path> all = files_below({"docs"}, {".md"});
  for (const char* name : {"README.md", "README.zh-CN.md", "CONTRIBUTING.md"}) all.push_back(kRoot / name);
  return all;
}

std::vector<std::string> matches(const std::string& text, const std::string& pattern, std::size_t group = 1) {
  const std::regex regex(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator i(text.begin(), text.end(), regex), end; i != end; ++i)
    found.push_back((*i)[group].str());
  return found;
}

/// Fenced blocks of a language, without their fences.
std::vector<std::string> blocks(const std::string& text, const std::string& language) {
  const std::string open = "\n```" + language + "\n";
  std::vector<std::string> found;
  for (std::size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    const std::size_t end = std::min(text.find("\n```", at), text.size());
    found.push_back(text.substr(at, end - at) + "\n");
    at = end;
  }
  return found;
}

TEST(Documents, BothReadmesQuoteTheExample) {
  const std::string example = text_of(kRoot / "examples" / "quickstart.cpp");
  for (const char* name : {"README.md", "README.zh-CN.md"}) {
    EXPECT_EQ(blocks(text_of(kRoot / name), "cpp"), std::vector<std::string>{example}) << name;
  }
}

TEST(Documents, TranslationsHaveTheSameParts) {
  // "page.zh-CN.md" links to "other.zh-CN.md" where there is one; comments of commands may be translated.
  const auto without = [](const std::string& text, const char* pattern) {
    return std::regex_replace(text, std::regex(pattern), "");
  };
  std::size_t pages = 0;
  for (const fs::path& document : documents()) {
    const std::string name = document.filename().string();
    if (!name.ends_with(".zh-CN.md")) continue;
    const std::string chinese = text_of(document);
    const std::string english = text_of(document.parent_path() / without(name, "\\.zh-CN"));
    for (const char* part : {"\n(#+) ", "\n(\\|)", "\n(```[a-z]*)\n"}) {  // headings, rows of tables, blocks
      EXPECT_EQ(matches(english, part), matches(chinese, part)) << name << ": " << part;
    }
    for (const char* language : {"sh", "text", "python", "cpp", "cmake", "toml", "csv", "math"}) {
      const auto blocks_of = [&](const std::string& text) {
        std::vector<std::string> found = blocks(text, language);
        if (std::string_view(language) == "sh") {
          for (std::string& block : found) block = without(block, " +# .*");
        }
        return found;
      };
      EXPECT_EQ(blocks_of(english), blocks_of(chinese)) << name;
    }
    const std::string link = "\\]\\(([^)]+)\\)";
    EXPECT_EQ(matches(without(english, "\\.zh-CN"), link), matches(without(chinese, "\\.zh-CN"), link))
        << name;
    ++pages;
  }
  EXPECT_GT(pages, 10u);
}

TEST(Documents, ThePagesOfTheTutorialAreInBothLanguages) {
  for (const fs::path& page : files_below({"docs/guide"}, {".md"})) {
    const std::string name = page.stem().string();
    if (name[0] < '0' || name[0] > '9' || name.ends_with(".zh-CN")) continue;
    EXPECT_TRUE(fs::exists(page.parent_path() / (name + ".zh-CN.md"))) << name_of(page);
  }
}

TEST(Documents, TheReadmesCountTheBlocksThatAreNotRun) {
  std::map<std::string, std::size_t> not_run;
  for (const fs::path& page : files_below({"docs/guide"}, {".md"})) {
    if (page.string().find("zh-CN") != std::string::npos) continue;
    const std::size_t count = matches(text_of(page), "<!-- (not run): ").size();
    if (count > 0) not_run[name_of(page)] = count;
  }
  EXPECT_EQ(not_run, (std::map<std::string, std::size_t>{{"docs/guide/07-comparing.md", 3},
                                                         {"docs/guide/08-python.md", 1}}));
  EXPECT_NE(text_of(kRoot / "README.md").find("every command in it, but for four"), std::string::npos);
  EXPECT_NE(text_of(kRoot / "docs/guide/README.md").find("but for the four blocks"), std::string::npos);
}

TEST(Documents, LinksLeadSomewhere) {
  std::size_t links = 0;
  for (const fs::path& document : documents()) {
    for (const std::string& link : matches(text_of(document), "\\]\\(([^)#\\s]+)[^)]*\\)")) {
      if (link.starts_with("http://") || link.starts_with("https://")) continue;
      EXPECT_TRUE(fs::exists(document.parent_path() / link)) << name_of(document) << " links to " << link;
      ++links;
    }
  }
  EXPECT_GT(links, 20u);
}

TEST(Documents, PathsAreReal) {
  // CONTRIBUTING.md adds a neuron named foo, which is not there.
  const std::string folders = "(?:src|include|cli|tests|docs|recipes|scripts|examples|cmake|bench)";
  std::size_t paths = 0;
  for (const fs::path& document : documents()) {
    for (const std::string& path : matches(text_of(document), "`(" + folders + "/[A-Za-z0-9_./-]+)`")) {
      if (fs::path(path).stem() == "foo") continue;
      EXPECT_TRUE(fs::exists(kRoot / path)) << name_of(document) << " names " << path;
      ++paths;
    }
  }
  EXPECT_GT(paths, 50u);
}

TEST(Documents, FunctionsOfTheWalkAreReal) {
  std::set<std::string> words;
  for (const fs::path& source : files_below({"src", "include", "cli"}, {".hpp", ".cpp", ".h"})) {
    for (std::string& word : matches(text_of(source), "([A-Za-z_][A-Za-z0-9_]*)"))
      words.insert(std::move(word));
  }
  const std::string walk = text_of(kRoot / "docs" / "guide" / "architecture.md");
  std::size_t functions = 0;
  for (const std::string& name : matches(walk, "`([A-Za-z_][A-Za-z0-9_:]*)`")) {
    for (const std::string& part : matches(name, "([A-Za-z0-9_]+)")) {
      EXPECT_TRUE(words.contains(part)) << "architecture.md names " << name;
    }
    ++functions;
  }
  EXPECT_GT(functions, 40u);
  // "`Function` (`file`)": it is in that very file.
  const std::regex placed("`([A-Za-z_][A-Za-z0-9_:]*)`\\s\\(`([^`]+)`\\)");
  std::size_t places = 0;
  for (std::sregex_iterator i(walk.begin(), walk.end(), placed), end; i != end; ++i, ++places) {
    const std::string name = (*i)[1].str();
    const std::string last = name.substr(name.rfind(':') == std::string::npos ? 0 : name.rfind(':') + 1);
    const fs::path file = kRoot / (*i)[2].str();
    ASSERT_TRUE(fs::exists(file)) << file;
    EXPECT_NE(text_of(file).find(last), std::string::npos) << name << " is not in " << (*i)[2].str();
  }
  EXPECT_GT(places, 25u);
}

TEST(Documents, TestsThatHoldPromisesAreReal) {
  std::set<std::string> tests;
  for (const fs::path& source : files_below({"tests"}, {".cpp"})) {
    const std::regex test("\\nTEST(?:_F|_P)?\\((\\w+), (\\w+)\\)");
    const std::string text = text_of(source);
    for (std::sregex_iterator i(text.begin(), text.end(), test), end; i != end; ++i)
      tests.insert((*i)[1].str() + "." + (*i)[2].str());
  }
  const std::string promises = text_of(kRoot / "docs" / "guide" / "trust.md");
  std::size_t named = 0;
  for (const std::string& name : matches(promises, "`([A-Z]\\w+\\.[A-Z]\\w+)`")) {
    EXPECT_TRUE(tests.contains(name)) << "trust.md names " << name;
    ++named;
  }
  EXPECT_GT(named, 50u);
  for (const std::string& row : matches(promises, "\n\\| ([^|\n]+ \\| [^|\n]+) \\|")) {
    const bool head = row == "promise | tests";
    EXPECT_TRUE(head || !matches(row, "`([A-Z]\\w+\\.[A-Z]\\w+)`").empty()) << "no test: " << row;
  }
}

TEST(Documents, EquationsAreNumberedOnceAndCitedRight) {
  std::map<std::string, std::string> page_of;
  for (const fs::path& page : files_below({"docs/math"}, {".md"})) {
    for (const std::string& number : matches(text_of(page), "\\\\tag\\{([A-Z][0-9]+)\\}")) {
      EXPECT_TRUE(page_of.emplace(number, name_of(page)).second)
          << number << " is in " << name_of(page) << " and in " << page_of[number];
    }
  }
  EXPECT_GT(page_of.size(), 30u);
  std::vector<fs::path> citing = files_below({"src", "cli", "include", "tests"}, {".hpp", ".cpp", ".h"});
  const std::vector<fs::path> pages = documents();
  citing.insert(citing.end(), pages.begin(), pages.end());
  std::size_t citations = 0;
  for (const fs::path& file : citing) {
    for (const std::string& number : matches(text_of(file), "\\(([A-Z][0-9]{1,2})\\)")) {
      EXPECT_TRUE(page_of.contains(number)) << name_of(file) << " cites (" << number << ")";
      ++citations;
    }
  }
  EXPECT_GT(citations, 30u);
}

/// The places in `text`, all of whose letters are small, where `words` stand by themselves.
std::vector<std::size_t> places_of(const std::string& text, const std::string& words) {
  const auto letter = [&](std::size_t i) {
    return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i]));
  };
  std::vector<std::size_t> places;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) {
    if (!letter(at - 1) && !letter(at + words.size())) places.push_back(at);
  }
  return places;
}

// Sentences are about code and data: no person, no will, no metaphor, and rates as numbers ("3x").
TEST(Documents, TextsAndCommentsUseNoBannedWord) {
  std::vector<fs::path> files =
      files_below({"src", "include", "cli", "examples", "python/src"}, {".hpp", ".cpp", ".h", ".inc", ".py"});
  for (const fs::path& document : documents()) files.push_back(document);
  files.push_back(kRoot / "CHANGELOG.md");
  for (const fs::path& file : files) {
    std::string text = text_of(file);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    for (const char* words : {"whoever", "nobody", "somebody", "anew", "wanders", "flatters", "leaps",
                              "times as many", "of one's own", "has the word"}) {
      for (const std::size_t at : places_of(text, words)) {
        ADD_FAILURE() << name_of(file) << ":" << 1 + std::ranges::count(text.substr(0, at), '\n') << ": "
                      << words;
      }
    }
  }
  EXPECT_EQ(places_of("word sword words word.", "word"), (std::vector<std::size_t>{0, 17}));
}

TEST(Documents, SourcesAreAscii) {
  for (const fs::path& source : files_below({"src", "include", "cli", "tests", "examples", "recipes"},
                                            {".hpp", ".cpp", ".h", ".toml", ".txt"})) {
    const std::string text = text_of(source);
    EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 128; }))
        << name_of(source);
  }
}

}  // namespace
}  // namespace volley::test
