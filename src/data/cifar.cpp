#include "data/cifar.hpp"

#include <fmt/format.h>

#include <volley/error.hpp>

namespace volley {

void append_cifar(Dataset& data, const std::filesystem::path& path, std::string_view bytes,
                  std::size_t labels) {
  const std::size_t record = labels + kCifarPixels;
  if (bytes.empty() || bytes.size() % record != 0) {
    throw FileError(path.string(),
                    fmt::format("must hold whole records of {} bytes, got {} bytes", record, bytes.size()));
  }
  data.labels.reserve(data.labels.size() + bytes.size() / record);
  data.pixels.reserve(data.pixels.size() + bytes.size() / record * kCifarPixels);
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    const std::string_view pixels = bytes.substr(at + labels, kCifarPixels);
    const auto label = static_cast<std::uint8_t>(bytes[at + labels - 1]);
    if (label >= data.classes.size()) {
      throw FileError(path.string(), fmt::format("must hold labels of 0 to {}, got {} for picture {}",
                                                 data.classes.size() - 1, label, at / record));
    }
    data.labels.push_back(label);
    data.pixels.insert(data.pixels.end(), pixels.begin(), pixels.end());
  }
}

}  // namespace volley
