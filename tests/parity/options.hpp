#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <volley/fields.hpp>
#include <volley/loss.hpp>
#include <volley/surrogate.hpp>

namespace volley::test {

template <class Variant, class Body>
void with_options(const nlohmann::json& table, const Body& body);

/// Gives the fields of `options` the values that a table of a manifest has for them; "none" is no value.
template <class Options>
void read_options(Options& options, const nlohmann::json& table) {
  Options::fields(options, [&]<class T>(std::string_view name, T& value, const Range&) {
    if (!table.contains(std::string(name))) return;
    const nlohmann::json& given = table.at(std::string(name));
    if constexpr (std::is_same_v<T, std::optional<float>>) {
      value.reset();
      if (!given.is_string()) value = given.get<float>();
    } else if constexpr (std::is_same_v<T, Readout>) {
      value = given == "mean" ? Readout::mean : Readout::last;
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = given.get<T>();
    } else if constexpr (std::is_same_v<T, Surrogate>) {
      with_options<Surrogate>(given, [&](const auto& surrogate) { value = surrogate; });
    }
  });
}

/// Calls body(options) with the options of the kind among the Variant's that the table names.
template <class Variant, class Body>
void with_options(const nlohmann::json& table, const Body& body) {
  bool found = false;
  const auto ask = [&]<class Options>(Options options) {
    if (table.at("kind").get<std::string>() != Options::kKind) return;
    read_options(options, table);
    body(options);
    found = true;
  };
  [&]<class... Options>(const std::variant<Options...>*) {
    (ask(Options{}), ...);
  }(static_cast<const Variant*>(nullptr));
  EXPECT_TRUE(found) << table.dump();
}

}  // namespace volley::test
