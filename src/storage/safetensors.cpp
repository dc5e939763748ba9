#include "storage/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include <volley/error.hpp>

#include "core/files.hpp"
#include "core/half.hpp"
#include "core/load.hpp"
#include "core/sha256.hpp"

namespace volley {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxFileBytes = std::size_t{1} << 36;
constexpr std::size_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr int kMaxDepth = 3;                          // {"name": {"shape": [

/// The metadata's key of the checksum.
constexpr const char* kChecksum = "sha256";

template <class T>
double read_number(const char* from) {
  return static_cast<double>(load<T>(from));
}
double read_bf16(const char* from) { return static_cast<double>(bfloat16_value(load<std::uint16_t>(from))); }
double read_f16(const char* from) { return static_cast<double>(half_value(load<std::uint16_t>(from))); }

/// How numbers of a dtype become a float.
struct Conversion {
  double (*read)(const char* from);
  bool integer = false;

  /// Whether rounding to a float is all that is lost.
  bool keeps(double number) const {
    constexpr double kExact = 1 << std::numeric_limits<float>::digits;
    return integer ? std::abs(number) <= kExact
                   : !std::isfinite(number) || std::isfinite(static_cast<float>(number));
  }
};

constexpr SafetensorsDtype kDtypes[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                        {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
constexpr Conversion kConversions[] = {
    {read_number<float>},
    {read_number<double>},
    {read_f16},
    {read_bf16},
    {read_number<std::int64_t>, true},
    {read_number<std::int32_t>, true},
    {read_number<std::int16_t>, true},
    {read_number<std::int8_t>, true},
    {read_number<std::uint8_t>, true},
    {read_number<std::uint8_t>, true},
};
static_assert(std::size(kDtypes) == std::size(kConversions));

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& text) {
  constexpr std::size_t kLongest = 500;  // what a hostile file says can be of any length
  throw FileError(path.string(), "broken safetensors file: " + text.substr(0, kLongest));
}

/// The header as JSON. What the parser would let pass is refused here: names that come twice, and depth.
Json parse_header(const std::filesystem::path& path, std::string_view text) {
  // The parser takes a NUL for the end of the text.
  if (text.find('\0') != std::string_view::npos) fail(path, "expected a header of text, found a NUL in it");
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

/// Its index in `dtypes`.
std::size_t read_dtype(const std::filesystem::path& path, const std::string& name, const Json& tensor,
                       std::span<const SafetensorsDtype> dtypes) {
  const auto dtype = tensor.find("dtype");
  std::string known;
  for (std::size_t i = 0; i < dtypes.size(); ++i) {
    if (dtype != tensor.end() && *dtype == dtypes[i].name) return i;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", dtypes[i].name);
  }
  fail(path, fmt::format("tensor '{}': expected a dtype of {}, found {}", name, known,
                         dtype == tensor.end() ? "none" : dtype->dump()));
}

/// Where the tensor's bytes lie, its dtype, shape and length having been held against each other.
SafetensorsExtent read_extent(const std::filesystem::path& path, const std::string& name, const Json& tensor,
                              std::span<const SafetensorsDtype> dtypes) {
  if (!tensor.is_object())
    fail(path, fmt::format("tensor '{}': expected a table, found {}", name, tensor.type_name()));
  const std::size_t dtype = read_dtype(path, name, tensor, dtypes);
  const std::vector<std::size_t> sizes = read_sizes(path, name, tensor, "shape");
  if (sizes.size() > Shape::kMaxRank) {
    fail(path, fmt::format("tensor '{}': expected at most {} dimensions, found {}", name, Shape::kMaxRank,
                           sizes.size()));
  }
  std::size_t bytes = dtypes[dtype].bytes;
  for (const std::size_t size : sizes) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) {
      fail(path, fmt::format("tensor '{}': expected a shape that fits in memory, found {}", name,
                             Shape(sizes).text()));
    }
  }
  const Shape shape(sizes);
  const std::vector<std::size_t> offsets = read_sizes(path, name, tensor, "data_offsets");
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] - offsets[0] != bytes) {
    fail(path, fmt::format("tensor '{}': expected two data_offsets {} bytes apart for its shape {}, found {}",
                           name, bytes, shape.text(), tensor["data_offsets"].dump()));
  }
  return {name, dtype, shape, offsets[0], offsets[1]};
}

/// The tensors' bytes must follow one another without overlap or gap, and end where the file does.
void check_extents(const std::filesystem::path& path, std::vector<SafetensorsExtent> extents,
                   std::size_t data_bytes) {
  std::ranges::sort(extents, [](const SafetensorsExtent& a, const SafetensorsExtent& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::size_t end = 0;
  for (const SafetensorsExtent& extent : extents) {
    if (extent.begin != end) {
      fail(path,
           fmt::format("tensor '{}': expected its data at offset {}, after that of the one before, found {}",
                       extent.name, end, extent.begin));
    }
    end = extent.end;
  }
  if (end != data_bytes) fail(path, fmt::format("expected {} bytes of data, found {}", end, data_bytes));
}

std::map<std::string, std::string> read_metadata(const std::filesystem::path& path, const Json& header) {
  std::map<std::string, std::string> texts;
  const auto metadata = header.find("__metadata__");
  if (metadata == header.end()) return texts;
  if (!metadata->is_object()) fail(path, "expected a table of texts as __metadata__, found something else");
  for (const auto& [key, value] : metadata->items()) {
    if (!value.is_string()) {
      fail(path, fmt::format("__metadata__ '{}': expected a text, found {}", key, value.type_name()));
    }
    texts[key] = value.get<std::string>();
  }
  return texts;
}

Tensor read_tensor(const std::filesystem::path& path, const SafetensorsExtent& extent,
                   std::string_view bytes) {
  Tensor tensor(extent.shape);
  const SafetensorsDtype& dtype = kDtypes[extent.dtype];
  const Conversion& conversion = kConversions[extent.dtype];
  const char* from = bytes.data() + extent.begin;
  for (float& value : tensor.values()) {
    const double number = conversion.read(from);
    if (!conversion.keeps(number)) {
      fail(path, fmt::format("tensor '{}': expected {} numbers that a float can hold, found {}", extent.name,
                             dtype.name, number));
    }
    value = static_cast<float>(number);
    from += dtype.bytes;
  }
  return tensor;
}

/// Of the metadata without the checksum, and of each tensor's name, shape and values.
class Checksum {
 public:
  explicit Checksum(const std::map<std::string, std::string>& metadata) {
    for (const auto& [key, value] : metadata) {
      add_text(key);
      add_text(value);
    }
  }
  void add(const std::string& name, const Tensor& tensor) {
    add_text(name);
    add_text(tensor.shape().text());
    sum_.add({reinterpret_cast<const std::uint8_t*>(tensor.data()), tensor.size() * sizeof(float)});
  }
  std::string hex() { return sum_.hex(); }

 private:
  void add_text(const std::string& text) {
    sum_.add({reinterpret_cast<const std::uint8_t*>(text.c_str()), text.size() + 1});  // with its NUL
  }

  Sha256 sum_;
};

/// Files without a checksum, of other programs and of Volley 0.1, are taken as they are.
void check_sum(const std::filesystem::path& path, SafetensorsFile& file) {
  const auto written = file.metadata.extract(kChecksum);
  if (written.empty()) return;
  Checksum sum(file.metadata);
  for (const auto& [name, tensor] : file.tensors) sum.add(name, tensor);
  const std::string found = sum.hex();
  if (found == written.mapped()) return;
  fail(path,
       fmt::format("expected contents of SHA-256 {}, found {}: the file is damaged, or another program has "
                   "changed it",
                   written.mapped(), found));
}

}  // namespace

void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"] = metadata;
  Checksum sum(metadata);
  std::map<std::string, const Tensor*> by_name;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    if (!by_name.emplace(name, tensor).second)
      throw ArgumentError("safetensors", "names must differ", fmt::format("'{}' twice", name));
    const std::size_t end = offset + tensor->size() * sizeof(float);
    header[name] = {{"dtype", "F32"}, {"shape", tensor->shape().sizes()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  for (const auto& [name, tensor] : by_name) sum.add(name, *tensor);
  header["__metadata__"][kChecksum] = sum.hex();
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');

  const std::uint64_t length = text.size();
  std::vector<std::string_view> pieces{{reinterpret_cast<const char*>(&length), kLengthBytes}, text};
  for (const auto& [name, tensor] : tensors) {
    pieces.emplace_back(reinterpret_cast<const char*>(tensor->data()), tensor->size() * sizeof(float));
  }
  write_file_whole(path, pieces);
}

SafetensorsIndex read_safetensors_index(const std::filesystem::path& path, std::string_view bytes,
                                        std::span<const SafetensorsDtype> dtypes) {
  if (bytes.size() < kLengthBytes) {
    fail(path, fmt::format("expected at least {} bytes, found {}", kLengthBytes, bytes.size()));
  }
  const auto length = load<std::uint64_t>(bytes.data());
  const std::size_t limit = std::min(bytes.size() - kLengthBytes, kMaxHeaderBytes);
  if (length > limit)
    fail(path, fmt::format("expected a header of at most {} bytes, found {}", limit, length));
  const Json header = parse_header(path, bytes.substr(kLengthBytes, length));

  SafetensorsIndex index{read_metadata(path, header), {}};
  for (const auto& [name, tensor] : header.items()) {
    if (name != "__metadata__") index.tensors.push_back(read_extent(path, name, tensor, dtypes));
  }
  const std::size_t data_begin = kLengthBytes + length;
  check_extents(path, index.tensors, bytes.size() - data_begin);
  for (SafetensorsExtent& extent : index.tensors) {
    extent.begin += data_begin;
    extent.end += data_begin;
  }
  return index;
}

SafetensorsFile read_safetensors(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, kMaxFileBytes);
  SafetensorsIndex index = read_safetensors_index(path, bytes, kDtypes);
  SafetensorsFile file{std::move(index.metadata), {}};
  for (const SafetensorsExtent& extent : index.tensors) {
    file.tensors.emplace(extent.name, read_tensor(path, extent, bytes));
  }
  check_sum(path, file);
  return file;
}

}  // namespace volley
