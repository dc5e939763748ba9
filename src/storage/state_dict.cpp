#include <volley/weights.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <volley/error.hpp>

#include "storage/safetensors.hpp"
#include "storage/weights_checks.hpp"

namespace volley {
namespace {

using Values = std::map<std::string, const Tensor*>;

/// `origin` is the path of a file, or "[operation] argument".
[[noreturn]] void refuse(std::string_view origin, const std::string& problem) {
  const std::size_t end = origin.find("] ");
  if (!origin.starts_with("[") || end == std::string_view::npos) throw FileError(origin, problem);
  throw ArgumentError(origin.substr(1, end - 1), fmt::format("{}: {}", origin.substr(end + 2), problem));
}

enum class Shapes { equal, equal_but_for_ones };

bool fits(const Shape& a, const Shape& b, Shapes rule) {
  if (rule == Shapes::equal) return a == b;
  const auto without_ones = [](const Shape& shape) {
    std::vector<std::size_t> sizes(shape.sizes().begin(), shape.sizes().end());
    std::erase(sizes, 1u);
    return sizes;
  };
  return without_ones(a) == without_ones(b);
}

Values pointers_to(const NamedTensors& values) {
  Values pointers;
  for (const auto& [name, tensor] : values) pointers.emplace(name, &tensor);
  return pointers;
}

/// Checks everything, and then copies.
StateDictReport assign(const std::vector<NamedTensor>& tensors, const Values& values, std::string_view origin,
                       Shapes rule, bool strict) {
  StateDictReport report;
  for (const auto& [name, tensor] : tensors) {
    const Shape& expected = tensor->shape();
    const auto value = values.find(name);
    if (value == values.end()) {
      if (strict)
        refuse(origin,
               fmt::format("expected the parameter '{}' of shape {}, found none", name, expected.text()));
      report.missing.push_back(name);
    } else if (!fits(value->second->shape(), expected, rule)) {
      refuse(origin, fmt::format("parameter '{}': expected shape {}, found {}", name, expected.text(),
                                 value->second->shape().text()));
    }
  }
  for (const auto& [name, value] : values) {
    if (std::ranges::find(tensors, name, &NamedTensor::name) != tensors.end()) continue;
    if (strict) refuse(origin, fmt::format("found a parameter '{}' that the network does not have", name));
    report.unexpected.push_back(name);
  }
  for (const auto& [name, tensor] : tensors) {
    const auto value = values.find(name);
    if (value != values.end()) std::ranges::copy(value->second->values(), tensor->data());
  }
  return report;
}

/// What stands before the names of `tensors` in `values`: that with which most of them are there.
std::string common_prefix(const std::vector<NamedTensor>& tensors, const Values& values) {
  std::set<std::string> candidates{""};
  for (const auto& [theirs, value] : values) {
    for (const auto& [ours, tensor] : tensors) {
      if (theirs.ends_with("." + ours)) candidates.insert(theirs.substr(0, theirs.size() - ours.size()));
    }
  }
  std::string best;
  std::ptrdiff_t most = 0;
  for (const std::string& prefix : candidates) {
    const auto found = std::ranges::count_if(
        tensors, [&](const NamedTensor& t) { return values.contains(prefix + t.name); });
    if (found > most) best = prefix;
    most = std::max(most, found);
  }
  return best;
}

/// The network's name for `name`, and the entry of the map that says so; null where none does.
std::pair<std::string, const std::string*> renamed(const std::string& name, const NameMap& names) {
  for (std::size_t end = name.size(); end != std::string::npos && end > 0; end = name.rfind('.', end - 1)) {
    const auto found = names.find(name.substr(0, end));
    if (found == names.end()) continue;
    const std::string rest = name.substr(end);
    return {found->second.empty() && !rest.empty() ? rest.substr(1) : found->second + rest, &found->first};
  }
  return {name, nullptr};
}

Values with_names(const NamedTensors& values, const NameMap& names, std::string_view origin) {
  Values result;
  std::set<std::string> unused;
  for (const auto& [theirs, ours] : names) unused.insert(theirs);
  for (const auto& [theirs, tensor] : values) {
    const auto [ours, entry] = renamed(theirs, names);
    if (entry != nullptr) unused.erase(*entry);
    if (!result.emplace(ours, &tensor).second) {
      refuse(origin,
             fmt::format("names: expected one name for '{}', found '{}' beside another", ours, theirs));
    }
  }
  if (!unused.empty()) {
    refuse(origin, fmt::format("names: '{}' must be a name, or the beginning of one up to a '.', found none",
                               *unused.begin()));
  }
  return result;
}

Values without_prefix(const std::vector<NamedTensor>& tensors, const NamedTensors& values) {
  Values result = pointers_to(values);
  const std::string prefix = common_prefix(tensors, result);
  if (prefix.empty()) return result;
  result.clear();
  for (const auto& [name, tensor] : values) {
    result.emplace(name.starts_with(prefix) ? name.substr(prefix.size()) : name, &tensor);
  }
  return result;
}

/// Names that are equal up to the last ".": what stands before it, and what after.
struct Module {
  std::string name;
  std::vector<std::string> leaves;

  bool has_any(const std::vector<std::string>& others) const {
    return std::ranges::find_first_of(leaves, others) != leaves.end();
  }
};

/// In the order in which they come.
std::vector<Module> modules_of(const std::vector<std::string>& names) {
  std::vector<Module> modules;
  for (const std::string& name : names) {
    const std::size_t dot = name.rfind('.');
    const std::string module = dot == std::string::npos ? "" : name.substr(0, dot);
    auto found = std::ranges::find(modules, module, &Module::name);
    if (found == modules.end()) found = modules.insert(modules.end(), Module{module, {}});
    found->leaves.push_back(dot == std::string::npos ? name : name.substr(dot + 1));
  }
  return modules;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Whether a comes before b, numbers in them compared as numbers.
bool natural_less(std::string_view a, std::string_view b) {
  const auto take_digits = [](std::string_view& text) {
    text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
    const std::string_view digits =
        text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin()));
    text.remove_prefix(digits.size());
    return std::pair(digits.size(), digits);
  };
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const auto x = take_digits(a), y = take_digits(b);
      if (x != y) return x < y;
    } else if (a[0] != b[0]) {
      return a[0] < b[0];
    } else {
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.size() < b.size();
}

}  // namespace

void check_not_null(std::string_view operation, const std::vector<NamedTensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    if (tensor == nullptr) {
      throw ArgumentError(operation, fmt::format("tensor '{}' must not be null", name));
    }
  }
}

void set_tensors(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                 std::string_view origin) {
  check_not_null("set_tensors", tensors);
  assign(tensors, pointers_to(values), origin, Shapes::equal, true);
}

StateDictReport load_state_dict(const std::vector<NamedTensor>& tensors, const NamedTensors& values,
                                std::string_view origin, const StateDictOptions& options) {
  check_not_null("load_state_dict", tensors);
  const Values named =
      options.names.empty() ? without_prefix(tensors, values) : with_names(values, options.names, origin);
  const auto known = [&](const NamedTensor& t) { return named.contains(t.name); };
  if (!tensors.empty() && !named.empty() && std::ranges::none_of(tensors, known)) {
    refuse(origin,
           fmt::format("expected names such as '{}', found '{}'; a map of names can be given, by hand "
                       "or by order",
                       tensors.front().name, named.begin()->first));
  }
  return assign(tensors, named, origin, Shapes::equal_but_for_ones, options.strict);
}

NameMap names_by_order(const std::vector<NamedTensor>& tensors, const std::vector<std::string>& names) {
  std::vector<std::string> ours;
  for (const NamedTensor& tensor : tensors) ours.push_back(tensor.name);
  std::ranges::stable_sort(ours, natural_less);  // buffers come after all parameters in `tensors`
  const std::vector<Module> theirs = modules_of(names);
  auto next = theirs.begin();
  NameMap map;
  for (const Module& module : modules_of(ours)) {
    next = std::find_if(next, theirs.end(), [&](const Module& m) { return m.has_any(module.leaves); });
    if (next == theirs.end()) {
      throw ArgumentError("names_by_order",
                          fmt::format("the network's module '{}' ({}) must have one in the state_dict",
                                      module.name, fmt::join(module.leaves, ", ")),
                          fmt::format("{} modules, all of them taken or of other names", theirs.size()));
    }
    if (next->name.empty()) {
      for (const std::string& leaf : next->leaves) {
        map[leaf] = module.name.empty() ? leaf : module.name + "." + leaf;
      }
    } else {
      map[next->name] = module.name;
    }
    ++next;
  }
  return map;
}

NameMap names_by_order(const std::vector<NamedTensor>& tensors, const NamedTensors& values) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : values) names.push_back(name);
  std::ranges::stable_sort(names, natural_less);
  return names_by_order(tensors, names);
}

void save_state_dict(const std::string& path, const std::vector<NamedTensor>& tensors) {
  check_not_null("save_state_dict", tensors);
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor});
  write_safetensors(path, entries, {});
}

NamedTensors read_state_dict(const std::string& path) { return std::move(read_safetensors(path).tensors); }

}  // namespace volley
