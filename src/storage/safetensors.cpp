#include "storage/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>

#include <volley/error.hpp>

#include "core/files.hpp"

namespace volley {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian, and is copied as it is");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 36;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr int kMaxDepth = 3;                          // {"name": {"shape": [

struct Extent {
  std::size_t begin;
  std::size_t end;
  std::string name;
  bool integers;  // int64, not float32
};

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& text) {
  constexpr std::size_t kLongest = 500;  // what a hostile file says can be of any length
  throw FileError(path.string(), "broken safetensors file: " + text.substr(0, kLongest));
}

/// The header as JSON. What the parser would let pass is refused here: names that come twice, and depth.
Json parse_header(const std::filesystem::path& path, std::string_view text) {
  std::vector<std::set<std::string>> keys(kMaxDepth + 1);
  const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (depth >= kMaxDepth) fail(path, "expected a header of tables of lists, found more levels");
      keys[static_cast<std::size_t>(depth) + 1].clear();
    } else if (event == Json::parse_event_t::key) {
      const std::string& key = value.get_ref<const std::string&>();
      if (!keys[static_cast<std::size_t>(depth)].insert(key).second) {
        fail(path, fmt::format("expected every name once, found '{}' twice", key));
      }
    }
    return true;
  };
  try {
    Json header = Json::parse(text, check);
    if (!header.is_object()) fail(path, "expected a table as the header, found something else");
    return header;
  } catch (const Json::exception& error) {
    fail(path, fmt::format("expected a header in JSON, found: {}", error.what()));
  }
}

std::vector<std::size_t> read_sizes(const std::filesystem::path& path, const std::string& name,
                                    const Json& tensor, const char* key) {
  const auto list = tensor.find(key);
  if (list == tensor.end() || !list->is_array()) {
    fail(path, fmt::format("tensor '{}': expected a list '{}', found none", name, key));
  }
  std::vector<std::size_t> sizes;
  for (const Json& size : *list) {
    if (!size.is_number_unsigned()) {
      fail(path,
           fmt::format("tensor '{}': expected whole numbers in '{}', found {}", name, key, size.dump()));
    }
    sizes.push_back(size.get<std::size_t>());
  }
  return sizes;
}

/// Where the tensor's bytes lie, its dtype, shape and length having been held against each other.
Extent read_extent(const std::filesystem::path& path, const std::string& name, const Json& tensor,
                   Shape& shape) {
  if (!tensor.is_object())
    fail(path, fmt::format("tensor '{}': expected a table, found {}", name, tensor.type_name()));
  const auto dtype = tensor.find("dtype");
  const bool integers = dtype != tensor.end() && *dtype == "I64";
  if (!integers && (dtype == tensor.end() || *dtype != "F32")) {
    fail(path, fmt::format("tensor '{}': expected dtype \"F32\" or \"I64\", found {}", name,
                           dtype == tensor.end() ? "none" : dtype->dump()));
  }
  const std::vector<std::size_t> sizes = read_sizes(path, name, tensor, "shape");
  if (sizes.size() > Shape::kMaxRank) {
    fail(path, fmt::format("tensor '{}': expected at most {} dimensions, found {}", name, Shape::kMaxRank,
                           sizes.size()));
  }
  std::size_t bytes = integers ? sizeof(std::int64_t) : sizeof(float);
  for (const std::size_t size : sizes) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      fail(path, fmt::format("tensor '{}': expected a shape that fits in memory, found {}", name,
                             Shape(sizes).text()));
    }
  }
  shape = Shape(sizes);
  const std::vector<std::size_t> offsets = read_sizes(path, name, tensor, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] - offsets[0] != bytes) {
    fail(path, fmt::format("tensor '{}': expected two data_offsets {} bytes apart for its shape {}, found {}",
                           name, bytes, shape.text(), tensor["data_offsets"].dump()));
  }
  return {offsets[0], offsets[1], name, integers};
}

/// The tensors' bytes must follow one another without overlap or gap, and end where the file does.
void check_extents(const std::filesystem::path& path, std::vector<Extent> extents, std::size_t data_bytes) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::size_t end = 0;
  for (const Extent& extent : extents) {
    if (extent.begin != end) {
      fail(path,
           fmt::format("tensor '{}': expected its data at offset {}, after that of the one before, found {}",
                       extent.name, end, extent.begin));
    }
    end = extent.end;
  }
  if (end != data_bytes) fail(path, fmt::format("expected {} bytes of data, found {}", end, data_bytes));
}

void read_metadata(const std::filesystem::path& path, const Json& header, SafetensorsFile& file) {
  const auto metadata = header.find("__metadata__");
  if (metadata == header.end()) return;
  if (!metadata->is_object()) fail(path, "expected a table of texts as __metadata__, found something else");
  for (const auto& [key, value] : metadata->items()) {
    if (!value.is_string()) {
      fail(path, fmt::format("__metadata__ '{}': expected a text, found {}", key, value.type_name()));
    }
    file.metadata[key] = value.get<std::string>();
  }
}

/// Counters, such as PyTorch's num_batches_tracked, as floats.
void read_integers(const std::filesystem::path& path, const std::string& name, Tensor& tensor,
                   const char* from) {
  constexpr std::int64_t kExact = std::int64_t{1} << std::numeric_limits<float>::digits;
  for (float& value : tensor.values()) {
    std::int64_t integer = 0;
    std::memcpy(&integer, from, sizeof integer);
    from += sizeof integer;
    if (integer < -kExact || integer > kExact) {
      fail(path,
           fmt::format("tensor '{}': expected integers that a float can hold, found {}", name, integer));
    }
    value = static_cast<float>(integer);
  }
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (header.contains(name))
      throw ArgumentError("safetensors", "names must differ", fmt::format("'{}' twice", name));
    const std::size_t end = offset + tensor->size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor->shape().sizes()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');

  const std::uint64_t length = text.size();
  std::vector<std::string_view> pieces{{reinterpret_cast<const char*>(&length), kLengthBytes}, text};
  for (const auto& [name, tensor] : tensors) {
    pieces.emplace_back(reinterpret_cast<const char*>(tensor->data()), tensor->size() * sizeof(float));
  }
  write_file_whole(path, pieces);
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, kMaxFileBytes);
  if (bytes.size() < kLengthBytes) {
    fail(path, fmt::format("expected at least {} bytes, found {}", kLengthBytes, bytes.size()));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  const std::size_t limit = std::min(bytes.size() - kLengthBytes, kMaxHeaderBytes);
  if (length > limit)
    fail(path, fmt::format("expected a header of at most {} bytes, found {}", limit, length));
  const Json header = parse_header(path, std::string_view(bytes).substr(kLengthBytes, length));
  const std::string_view data = std::string_view(bytes).substr(kLengthBytes + length);

  SafetensorsFile file;
  read_metadata(path, header, file);
  std::vector<Extent> extents;
  std::vector<Shape> shapes;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__") continue;
    extents.push_back(read_extent(path, name, tensor, shapes.emplace_back()));
  }
  check_extents(path, extents, data.size());
  for (std::size_t i = 0; i < extents.size(); ++i) {
    Tensor tensor(shapes[i]);
    const char* from = data.data() + extents[i].begin;
    if (extents[i].integers) {
      read_integers(path, extents[i].name, tensor, from);
    } else if (tensor.size() > 0) {
      std::memcpy(tensor.data(), from, tensor.size() * sizeof(float));
    }
    file.tensors.emplace(extents[i].name, std::move(tensor));
  }
  return file;
}

}  // namespace volley
