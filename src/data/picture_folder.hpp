#pragma once

#include <filesystem>

#include <volley/dataset.hpp>

namespace volley {

/// Reads pictures by class, FOLDER/CLASS/*, the classes in the order of their names; or FOLDER/train/CLASS/*
/// and FOLDER/test/CLASS/*. Without these two, one picture in five is for the test, always the same. Names
/// that begin with a dot are passed over. Whatever else is no picture (PNG, JPEG, BMP or PGM) of the shape of
/// all others is named in one FileError.
Split read_picture_folder(const std::filesystem::path& folder);

}  // namespace volley
