#include "report/page.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <volley/version.hpp>

#include "embedded/page_files.hpp"

namespace volley::report {
namespace {

// Nothing is loaded from anywhere, whatever a page should contain.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'";

std::string_view page_file(std::string_view name) {
  return std::ranges::find(embedded::page_files(), name, &EmbeddedFile::name)->text;
}

}  // namespace

Html begin_page(const std::string& title, const Sections& sections) {
  Html page;
  page.verbatim("<!DOCTYPE html>\n").open("html", {{"lang", "en"}}).open("head");
  page.lone("meta", {{"charset", "utf-8"}});
  page.lone("meta", {{"http-equiv", "Content-Security-Policy"}, {"content", kPolicy}});
  page.lone("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  page.lone("meta", {{"name", "generator"}, {"content", "Volley " VOLLEY_VERSION}});
  page.lone("link", {{"rel", "icon"}, {"href", "data:,"}});  // or a browser asks for one
  page.leaf("title", title).open("style").verbatim(page_file("style.css")).close().close();
  page.open("body");
  page.leaf("a", "Skip to the content", {{"class", "skip"}, {"href", "#content"}});
  page.open("nav", {{"class", "bar"}, {"aria-label", "Sections"}}).open("ul");
  for (const auto& [id, heading] : sections) page.open("li").leaf("a", heading, {{"href", "#" + id}}).close();
  page.close();
  page.leaf("button", "Light or dark", {{"id", "theme"}, {"type", "button"}, {"hidden", ""}});
  page.close().open("main", {{"id", "content"}});
  return page;
}

std::string end_page(Html page) {
  page.close().open("footer").leaf("p", "Made by volley report, Volley " VOLLEY_VERSION ".").close();
  page.open("script").verbatim(page_file("script.js")).close().close().close();
  return page.str();
}

void open_section(Html& page, const Sections& sections, std::string_view id) {
  const std::string heading_id = std::string(id) + "-heading";
  page.open("section", {{"id", id}, {"aria-labelledby", heading_id}});
  const auto section =
      std::ranges::find(sections, id, [](const auto& s) { return std::string_view(s.first); });
  page.leaf("h2", section->second, {{"id", heading_id}});
}

void add_facts(Html& page, const std::vector<Fact>& facts) {
  page.open("dl", {{"class", "facts"}});
  for (const Fact& fact : facts) {
    page.open("div").leaf("dt", fact.name).open("dd").text(fact.value);
    if (!fact.remark.empty()) page.leaf("small", fact.remark);
    page.close().close();
  }
  page.close();
}

void open_table(Html& page, const std::string& caption, std::string_view kind) {
  // Who has no pointer scrolls by the keys, once it has the focus.
  page.open("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", caption}});
  page.open("table", {{"class", kind}}).open("caption").leaf("span", caption).close();
}

void add_table(Html& page, const std::string& caption, const std::vector<std::string>& columns,
               const std::vector<std::vector<std::string>>& rows) {
  open_table(page, caption);
  if (!columns.empty()) {
    page.open("thead").open("tr");
    for (const std::string& column : columns) page.leaf("th", column, {{"scope", "col"}});
    page.close().close();
  }
  page.open("tbody");
  for (const std::vector<std::string>& row : rows) {
    page.open("tr").leaf("th", row.front(), {{"scope", "row"}});
    for (std::size_t i = 1; i < row.size(); ++i) page.leaf("td", row[i]);
    page.close();
  }
  page.close().close().close();
}

void add_commands(Html& page, const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    page.leaf("p", command.purpose);
    page.open("pre", {{"tabindex", "0"}}).leaf("code", command.line).close();
  }
}

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.2f} %", 100 * share); }

std::string mean_text(double mean) { return std::isnan(mean) ? "-" : fmt::format("{:.3f}", mean); }

std::string duration(double seconds) {
  if (!(seconds < 1e9)) return "unknown";
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  const auto minutes = static_cast<long>(std::lround(seconds / 60));
  if (minutes < 60)
    return fmt::format("{} min {:02} s", static_cast<long>(seconds) / 60, static_cast<long>(seconds) % 60);
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string class_name(const Dataset& data, std::size_t k) {
  return k < data.classes.size() ? data.classes[k] : fmt::format("output {}", k);
}

std::string data_uri(std::string_view png) {
  std::string digits((png.size() + 2) / 3 * 4 + 1, '\0');  // with a NUL
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(digits.data()),
                  reinterpret_cast<const unsigned char*>(png.data()), static_cast<int>(png.size()));
  digits.pop_back();
  return "data:image/png;base64," + digits;
}

std::optional<std::size_t> best_epoch(const std::vector<EpochRecord>& epochs) {
  if (epochs.empty()) return {};
  return static_cast<std::size_t>(std::ranges::max_element(epochs, {}, &EpochRecord::score) - epochs.begin());
}

}  // namespace volley::report
