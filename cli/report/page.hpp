#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <volley/recorder.hpp>
#include <volley/text.hpp>

#include "grouped.hpp"
#include "report/html.hpp"
#include "report/report.hpp"

namespace volley::report {

/// Sections of a page: id and heading.
using Sections = std::vector<std::pair<std::string, std::string>>;

/// The page as far as the inside of <main>: its head, which lets it load nothing, and the way to its
/// sections.
Html begin_page(const std::string& title, const Sections& sections);
/// The rest, and the whole.
std::string end_page(Html page);

/// A section of `sections`, its heading included, until close.
void open_section(Html& page, const Sections& sections, std::string_view id);

struct Fact {
  std::string name;
  std::string value;
  std::string remark{};
};
void add_facts(Html& page, const std::vector<Fact>& facts);

/// Cells of a table, the first of each row being what the row is about; no `columns`, no heads. It scrolls by
/// itself where it is too wide.
void add_table(Html& page, const std::string& caption, const std::vector<std::string>& columns,
               const std::vector<std::vector<std::string>>& rows);
/// A table and its caption in a box that scrolls, until both are closed.
void open_table(Html& page, const std::string& caption, std::string_view kind = "");

void add_commands(Html& page, const std::vector<Command>& commands);

/// "92.07 %"; "-" for NaN
std::string percent(double share);
/// "0.123"; "-" for NaN
std::string mean_text(double mean);
/// "1 h 02 min", "3.2 s"
std::string duration(double seconds);
/// What a network calls its output `k`.
std::string class_name(const Dataset& data, std::size_t k);
/// "data:image/png;base64,..."
std::string data_uri(std::string_view png);

/// The first epoch with the highest score; none before the first.
std::optional<std::size_t> best_epoch(const std::vector<EpochRecord>& epochs);
/// Where epochs differ in one number, over their own.
template <class Number>
std::pair<std::vector<double>, std::vector<double>> over_epochs(const std::vector<EpochRecord>& epochs,
                                                                const Number& number) {
  std::pair<std::vector<double>, std::vector<double>> xy;
  for (const EpochRecord& epoch : epochs) {
    xy.first.push_back(static_cast<double>(epoch.epoch));
    xy.second.push_back(number(epoch));
  }
  return xy;
}

}  // namespace volley::report
