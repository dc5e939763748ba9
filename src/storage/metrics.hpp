#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <volley/recorder.hpp>

namespace volley {

// metrics.csv: a header, and a row for each epoch. Numbers that training computed are written so that they
// read back as the same bits.

/// "epoch,train_loss,..."; of a run that holds out a part of the training set, its columns behind all others.
std::string metrics_header(bool validated = false);
std::string metrics_row(const EpochRecord& epoch);
/// Header and rows, each with its line end.
std::string metrics_text(const std::vector<EpochRecord>& epochs);
/// Reads what metrics_text wrote. Throws a FileError of `path` for anything else.
std::vector<EpochRecord> parse_metrics(std::string_view text, const std::string& path);

}  // namespace volley
