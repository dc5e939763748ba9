#pragma once

#include <string>
#include <vector>

#include <volley/process.hpp>

namespace volley::test {

/// Runs build/volley with `arguments`; its standard input is empty. Unless `options` says otherwise it is
/// given two minutes and its last MiB of output is kept.
ProgramResult run_volley(const std::vector<std::string>& arguments, ProgramOptions options = {});

}  // namespace volley::test
