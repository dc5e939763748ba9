#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include <volley/error.hpp>

#include "core/half.hpp"
#include "core/load.hpp"
#include "data/array_file.hpp"
#include "data/npy.hpp"
#include "data/zip.hpp"
#include "storage/safetensors.hpp"

namespace volley {
namespace {

using File = std::shared_ptr<const MappedFile>;

/// The array of a .npy that is bytes [begin, begin + size) of a file.
Array read_npy(const ReadPlace& place, const File& file, std::size_t begin, std::size_t size) {
  const std::string_view bytes = file->bytes().substr(begin, size);
  const std::size_t data = npy_data_begin(place, bytes, size);
  const NpyHeader header = read_npy_header(place, bytes.substr(0, data), size);
  return array_in(file, begin + data, header.shape, header.type);
}

/// Asks for memory only when the header has been read.
Array inflate_npy(const ReadPlace& place, const File& file, const ZipMember& member) {
  Inflater inflater(place, member, file->bytes());
  std::string text(std::min(kNpyBeginBytes, member.size), '\0');
  const auto read = [&](std::size_t from) {
    inflater.read(std::as_writable_bytes(std::span(text).subspan(from)));
  };
  read(0);
  const std::size_t data = npy_data_begin(place, text, member.size);
  const std::size_t begun = text.size();
  text.resize(std::max(data, begun));
  read(begun);
  text.resize(data);
  const NpyHeader header = read_npy_header(place, text, member.size);
  Buffer<std::byte> bytes(std::max<std::size_t>(header.data_bytes, 1));
  inflater.read(bytes.span().first(header.data_bytes));
  inflater.finish();
  return array_of(std::move(bytes), header.shape, header.type);
}

Arrays read_npz(const std::string& path, const File& file) {
  constexpr std::string_view kEnding = ".npy";
  Arrays arrays;
  for (const ZipMember& member : read_zip_directory(path, file->bytes())) {
    const ReadPlace place{path, member.name};
    if (!member.name.ends_with(kEnding)) place.fail("members NAME.npy", "another name");
    const std::string name = member.name.substr(0, member.name.size() - kEnding.size());
    if (member.deflated) {
      arrays.emplace(name, inflate_npy(place, file, member));
    } else {
      check_crc(place, member, file->bytes().substr(member.begin, member.size));
      arrays.emplace(name, read_npy(place, file, member.begin, member.size));
    }
  }
  return arrays;
}

constexpr SafetensorsDtype kDtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2},
                                        {"U32", 4},  {"I32", 4}, {"U64", 8}, {"I64", 8}, {"F16", 2},
                                        {"F32", 4},  {"F64", 8}, {"BF16", 2}};
constexpr ElementType kTypes[] = {ElementType::boolean, ElementType::u8,  ElementType::i8,  ElementType::u16,
                                  ElementType::i16,     ElementType::u32, ElementType::i32, ElementType::u64,
                                  ElementType::i64,     ElementType::f16, ElementType::f32, ElementType::f64};
static_assert(std::size(kDtypes) == std::size(kTypes) + 1, "all but BF16");

/// As float32, which holds each number of BF16.
Array from_bf16(const char* from, const Shape& shape) {
  const std::size_t size = shape.size();
  Buffer<std::byte> bytes(std::max<std::size_t>(size, 1) * sizeof(float));
  for (std::size_t i = 0; i < size; ++i) {
    const float value = bfloat16_value(load<std::uint16_t>(from + i * sizeof(std::uint16_t)));
    std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
  }
  return array_of(std::move(bytes), shape, ElementType::f32);
}

Arrays read_safetensors_arrays(const File& file) {
  Arrays arrays;
  const SafetensorsIndex index = read_safetensors_index(file->path(), file->bytes(), kDtypes);
  for (const SafetensorsExtent& extent : index.tensors) {
    arrays.emplace(extent.name, extent.dtype < std::size(kTypes)
                                    ? array_in(file, extent.begin, extent.shape, kTypes[extent.dtype])
                                    : from_bf16(file->bytes().data() + extent.begin, extent.shape));
  }
  return arrays;
}

}  // namespace

void ReadPlace::fail(std::string_view expected, std::string_view found) const {
  constexpr std::size_t kLongest = 80;  // what a hostile file says can be of any length
  const std::string where = member.empty() ? "" : fmt::format("member '{}': ", member.substr(0, kLongest));
  throw FileError(path, fmt::format("{}expected {}, found {}", where, expected, found));
}

Array array_in(std::shared_ptr<const MappedFile> file, std::size_t offset, const Shape& shape,
               ElementType type) {
  const char* const data = file->bytes().data() + offset;
  return {shape, type, data, std::move(file)};
}

Array array_of(Buffer<std::byte> bytes, const Shape& shape, ElementType type) {
  if (bytes.data() == nullptr) bytes.resize(1);  // an array without elements is not none
  auto owner = std::make_shared<const Buffer<std::byte>>(std::move(bytes));
  const std::byte* const data = owner->data();
  return {shape, type, data, std::move(owner)};
}

Arrays read_arrays_as(ArrayFormat format, const std::filesystem::path& path) {
  if (format == ArrayFormat::csv) return read_csv_arrays(path);
  const auto file = std::make_shared<const MappedFile>(path);
  switch (format) {
    case ArrayFormat::npy: return {{"", read_npy({path.string()}, file, 0, file->bytes().size())}};
    case ArrayFormat::npz: return read_npz(path.string(), file);
    default: return read_safetensors_arrays(file);
  }
}

Arrays read_arrays(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  std::ranges::transform(ending, ending.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; });
  constexpr std::pair<std::string_view, ArrayFormat> kFormats[] = {{".npy", ArrayFormat::npy},
                                                                   {".npz", ArrayFormat::npz},
                                                                   {".safetensors", ArrayFormat::safetensors},
                                                                   {".csv", ArrayFormat::csv}};
  for (const auto& [name, format] : kFormats) {
    if (ending == name) return read_arrays_as(format, path);
  }
  throw FileError(path, "a name in .npy, .npz, .safetensors or .csv",
                  ending.empty() ? "none of these" : fmt::format("'{}'", ending));
}

}  // namespace volley
