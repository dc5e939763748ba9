#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace volley::test {

// Archives byte by byte, so that they can hold what no tool would put into one.

struct TarEntry {
  std::string name;
  char type = '0';  // 0 a file, 1 a hard link, 2 a symbolic link
  std::string target;
  std::string content;
};

inline std::string tar_bytes(const std::vector<TarEntry>& entries) {
  std::string bytes;
  for (const TarEntry& entry : entries) {
    std::string header(512, '\0');
    const auto put = [&](std::size_t at, std::string_view text) { header.replace(at, text.size(), text); };
    put(0, std::string_view(entry.name).substr(0, 100));
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, fmt::format("{:011o}", entry.content.size()));
    put(136, "00000000000");
    put(148, "        ");
    header[156] = entry.type;
    put(157, std::string_view(entry.target).substr(0, 100));
    put(257, std::string_view("ustar\00000", 8));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    bytes += header + entry.content;
    bytes.append((512 - entry.content.size() % 512) % 512, '\0');
  }
  return bytes + std::string(1024, '\0');
}

inline std::string ar_bytes(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string bytes = "!<arch>\n";
  for (const auto& [name, content] : files) {
    bytes += fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, "100644", content.size());
    bytes += content;
    if (content.size() % 2 == 1) bytes += '\n';
  }
  return bytes;
}

}  // namespace volley::test
