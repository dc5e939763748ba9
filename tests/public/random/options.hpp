#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "program.hpp"

namespace volley::test {

/// Whether every number among the fields is in the range that its struct states, nested options included.
template <class Options>
bool in_ranges(const Options& options);
/// Draws the fields of an options struct: often the default, sometimes an edge of the range, sometimes (with
/// probability `invalid` per number) a value outside it.
template <class Options>
void draw_fields(Program& p, Options& options, double invalid);

template <class Variant>
Variant draw_variant(Program& p, double invalid) {
  const std::size_t chosen = p.random.below(std::variant_size_v<Variant>);
  Variant drawn;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((I == chosen ? static_cast<void>(drawn.template emplace<I>()) : static_cast<void>(0)), ...);
  }
  (std::make_index_sequence<std::variant_size_v<Variant>>{});
  std::visit(
      [&](auto& one) {
        using One = std::remove_cvref_t<decltype(one)>;
        draw_fields(p, one, invalid);
        if constexpr (std::is_same_v<One, CustomSurrogate>) {
          if (p.random.chance(invalid)) return;
          p.count("CustomSurrogate::of");
          one = CustomSurrogate::of([](float* g, const float* x, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i) g[i] = 1 / (1 + x[i] * x[i]);
          });
        }
        if constexpr (std::is_same_v<Variant, Surrogate>) p.count(cat("surrogate ", One::kKind));
      },
      drawn);
  return drawn;
}

namespace detail {

struct InRanges {
  bool all = true;

  template <class T>
  void operator()(std::string_view, const T& value, const Range& range) {
    if constexpr (std::is_same_v<T, bool> || std::is_enum_v<T>) {
    } else if constexpr (std::is_arithmetic_v<T>) {
      all = all && range.contains(static_cast<double>(value));
    } else if constexpr (std::is_same_v<T, Size2>) {
      (*this)("", value.h, range);
      (*this)("", value.w, range);
    } else if constexpr (requires { value.has_value(); }) {
      if (value.has_value()) (*this)("", *value, range);
    } else if constexpr (requires { std::variant_size<T>::value; }) {
      std::visit(
          [&](const auto& one) {
            using One = std::remove_cvref_t<decltype(one)>;
            if constexpr (std::is_same_v<One, CustomSurrogate>) all = all && one.derivative != nullptr;
            all = all && in_ranges(one);
          },
          value);
    } else if constexpr (requires { value.begin()->match; }) {
    } else if constexpr (requires { value.begin(); }) {
      for (const auto& one : value) (*this)("", one, range);
    }
  }
};

struct DrawFields {
  Program& p;
  double invalid;

  double outside(const Range& range) {
    switch (p.random.below(4)) {
      case 0: return std::numeric_limits<double>::quiet_NaN();
      case 1: return p.random.chance(0.5) ? kInfinity : -kInfinity;
      case 2: return range.low_open ? range.low : range.low - 1;
      default: return range.high_open ? range.high : range.high * 2 + 1;
    }
  }
  double inside(const Range& range) {
    const bool low = std::isfinite(range.low), high = std::isfinite(range.high);
    if (!low && !high) return p.random.one_of({-2.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 100.0, 1e30});
    if (low && high && range.high - range.low <= 2)
      return p.random.one_of({range.low, range.high, p.random.real(range.low, range.high)});
    const double start = low ? range.low : range.high - 4;
    return start + p.random.one_of({0.0, 1e-3, 0.25, 0.5, 1.0, 1.0, 2.0, 3.0, 10.0});
  }
  /// An open end is no value of its range.
  template <class T>
  void draw_inside(T& value, const Range& range) {
    const auto drawn = static_cast<T>(inside(range));
    if (range.contains(static_cast<double>(drawn))) value = drawn;
  }

  void operator()(std::string_view, bool& value, const Range&) { value = p.random.chance(0.5); }
  template <class T>
  void operator()(std::string_view name, T& value, const Range& range) {
    if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(p.random.below(std::is_same_v<T, Connect> ? 3 : 2));
    } else if constexpr (std::is_floating_point_v<T>) {
      if (p.random.chance(invalid)) {
        value = static_cast<T>(outside(range));
      } else if (p.random.chance(0.4)) {
        draw_inside(value, range);
      }
    } else if constexpr (std::is_integral_v<T>) {
      const std::size_t low = range.low > 0 ? static_cast<std::size_t>(range.low) : 0;
      if (p.random.chance(invalid)) {
        value = p.random.chance(0.5) && low > 0 ? static_cast<T>(low - 1) : std::numeric_limits<T>::max();
      } else if (p.random.chance(0.6)) {
        value = static_cast<T>(low + p.random.below(4));
      }
    } else if constexpr (std::is_same_v<T, Size2>) {
      (*this)(name, value.h, range);
      (*this)(name, value.w, range);
    } else if constexpr (requires { value.has_value(); }) {
      if (p.random.chance(0.3)) {
        value.reset();
      } else if (p.random.chance(0.4)) {
        value.emplace(1);  // which all ranges have, as 0 is not
        (*this)(name, *value, range);
      }
    } else if constexpr (std::is_same_v<T, SpikeEncoderOptions> || std::is_same_v<T, AnyNeuron> ||
                         std::is_same_v<T, Surrogate>) {
      if (p.random.chance(0.7)) value = draw_variant<T>(p, invalid);
    } else if constexpr (requires { value.emplace_back().match; }) {
      // groups are of the parameters that there are: optimizers.cpp
    } else if constexpr (requires { value.emplace_back(); }) {
      while (p.random.chance(0.5)) (*this)(name, value.emplace_back(), range);
    }
  }
};

}  // namespace detail

template <class Options>
bool in_ranges(const Options& options) {
  detail::InRanges ranges;
  Options::fields(options, ranges);
  if constexpr (requires { options.tau_charge; }) {
    return ranges.all && (options.decay_input || !options.tau_charge.has_value());
  }
  return ranges.all;
}

template <class Options>
void draw_fields(Program& p, Options& options, double invalid) {
  Options::fields(options, detail::DrawFields{p, invalid});
  if constexpr (requires { options.tau_charge; }) {  // which decay_input = false excludes
    if (!options.decay_input && !p.random.chance(invalid)) options.tau_charge.reset();
  }
}

enum class Expect { works, throws, either };

/// Makes a T, of class `name`, from `arguments`, among which are `options`; the new object must have them.
template <class T, class Options, class... Arguments>
std::unique_ptr<T> construct(Program& p, const std::string& name, const std::string& text, Expect expect,
                             const Options& options, const Arguments&... arguments) {
  std::unique_ptr<T> made;
  const auto body = [&] { made = std::make_unique<T>(arguments...); };
  const std::string function = cat(name, "::", name);
  if (expect == Expect::either) {
    p.may(function, text, body);
  } else if (expect == Expect::works) {
    p.must(function, text, body);
  } else {
    p.must_throw(function, text, body);
  }
  if (made != nullptr) {
    p.count(cat(name, "::options"));
    p.check(fields_text(made->options()) == fields_text(options),
            "an object has the options that it was given", text);
  }
  return made;
}

}  // namespace volley::test
