#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <volley/tensor.hpp>

namespace volley {

// The safetensors format: the length of a JSON header (8 bytes, little-endian), the header, the tensors'
// bytes. The header says for each tensor its dtype, its shape and where its bytes begin and end.

/// A tensor to write. Looks at memory that another owns.
struct SafetensorsEntry {
  std::string name;
  const Tensor* tensor;
};

struct SafetensorsFile {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;
};

/// Writes float32 tensors and a text for each metadata key, whole or not at all; beside these the metadata's
/// "sha256", the checksum of all that the file says. The header is padded with spaces so that the data begins
/// at a multiple of 8.
void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsEntry>& tensors,
                       const std::map<std::string, std::string>& metadata);

/// Reads a file of F32, F64, F16 or BF16 tensors, the values rounded once, or of integers that a float can
/// hold. Takes nothing that the file says for granted: throws a FileError, with what was expected and what
/// was found, unless lengths, offsets, shapes and sizes agree to the last byte, and the checksum where there
/// is one.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// A dtype that a reader knows.
struct SafetensorsDtype {
  std::string_view name;
  std::size_t bytes;
};

/// Where a tensor lies.
struct SafetensorsExtent {
  std::string name;
  std::size_t dtype;  // index in the reader's list
  Shape shape;
  std::size_t begin;  // of its bytes, in the file
  std::size_t end;
};

struct SafetensorsIndex {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsExtent> tensors;
};

/// What the header of a file of these bytes says, checked as read_safetensors checks it; `path` is for
/// messages. The tensors' bytes are not read.
SafetensorsIndex read_safetensors_index(const std::filesystem::path& path, std::string_view bytes,
                                        std::span<const SafetensorsDtype> dtypes);

}  // namespace volley
