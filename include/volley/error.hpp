#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include <volley/tensor.hpp>

namespace volley {

/// The base of everything that the library throws on a user's mistake, and the class of what fails while it
/// runs. The library never prints, aborts or exits.
///
/// | class         | for                                                  | in Python    |
/// |---------------|------------------------------------------------------|--------------|
/// | Error         | a failure of a run: a loss that is not finite        | RuntimeError |
/// | ArgumentError | a value that an operation cannot take                | ValueError   |
/// | ShapeError    | a shape that an operation cannot take                | ValueError   |
/// | RecipeError   | a recipe, or a change to one, that cannot be obeyed  | ValueError   |
/// | FileError     | a file that is missing, damaged or cannot be written | OSError      |
/// | DeviceError   | a device that is not there, or cannot go on          | RuntimeError |
///
/// Memory that the system refuses is std::bad_alloc, no Error; in Python, MemoryError.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "[OPERATION] RULE, got FOUND": "[lif] tau must be > 1, got 0.5".
class ArgumentError : public Error {
 public:
  /// `rule` has its subject in it: "tau must be > 1".
  ArgumentError(std::string_view operation, std::string_view rule, std::string_view found);
  /// Where there is no value to show: "[OPERATION] RULE".
  ArgumentError(std::string_view operation, std::string_view rule);

  const std::string& operation() const { return operation_; }
  const std::string& rule() const { return rule_; }
  /// What came, as text; empty where there is no value to show.
  const std::string& found() const { return found_; }

 protected:
  /// `other` with "PLACE: " before its text.
  ArgumentError(const ArgumentError& other, std::string_view place);

 private:
  std::string operation_;
  std::string rule_;
  std::string found_;
};

/// An ArgumentError about a shape: "[linear] input features must be (784), got (10)".
class ShapeError : public ArgumentError {
 public:
  ShapeError(std::string_view operation, std::string_view rule, const Shape& found);

  /// The shape that came.
  const Shape& shape() const { return shape_; }
  /// The same error with "PLACE: " before its text: "layer 2: [linear] ...".
  ShapeError at(std::string_view place) const { return {*this, place}; }

 private:
  ShapeError(const ShapeError& other, std::string_view place)
      : ArgumentError(other, place), shape_(other.shape_) {}

  Shape shape_;
};

/// "PATH: PROBLEM".
class FileError : public Error {
 public:
  FileError(std::string_view path, std::string_view problem);
  /// "PATH:LINE: PROBLEM"
  FileError(std::string_view path, std::size_t line, std::string_view problem);
  /// "PATH: expected EXPECTED, found FOUND"
  FileError(std::string_view path, std::string_view expected, std::string_view found);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// "device NAME: PROBLEM": "device cuda:0: this build of Volley runs on CPUs alone".
class DeviceError : public Error {
 public:
  DeviceError(std::string_view device, std::string_view problem);

  /// "cuda:0"
  const std::string& device() const { return device_; }

 private:
  std::string device_;
};

/// The text begins with its place: "my.toml:12: ...".
class RecipeError : public Error {
 public:
  using Error::Error;
};

}  // namespace volley
