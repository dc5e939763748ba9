#include <volley/error.hpp>

#include <fmt/format.h>

#include "core/text.hpp"

namespace volley {

ArgumentError::ArgumentError(std::string_view operation, std::string_view rule, std::string_view found)
    : Error(readable(fmt::format("[{}] {}, got {}", operation, rule, found))),
      operation_(operation),
      rule_(rule),
      found_(found) {}

ArgumentError::ArgumentError(std::string_view operation, std::string_view rule)
    : Error(readable(fmt::format("[{}] {}", operation, rule))), operation_(operation), rule_(rule) {}

ArgumentError::ArgumentError(const ArgumentError& other, std::string_view place)
    : Error(readable(fmt::format("{}: {}", place, other.what()))),
      operation_(other.operation_),
      rule_(other.rule_),
      found_(other.found_) {}

ShapeError::ShapeError(std::string_view operation, std::string_view rule, const Shape& found)
    : ArgumentError(operation, rule, found.text()), shape_(found) {}

FileError::FileError(std::string_view path, std::string_view problem)
    : Error(readable(fmt::format("{}: {}", path, problem))), path_(path) {}

FileError::FileError(std::string_view path, std::size_t line, std::string_view problem)
    : Error(readable(fmt::format("{}:{}: {}", path, line, problem))), path_(path) {}

FileError::FileError(std::string_view path, std::string_view expected, std::string_view found)
    : FileError(path, fmt::format("expected {}, found {}", expected, found)) {}

DeviceError::DeviceError(std::string_view device, std::string_view problem)
    : Error(readable(fmt::format("device {}: {}", device, problem))), device_(device) {}

}  // namespace volley
