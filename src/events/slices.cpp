#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <volley/error.hpp>
#include <volley/event_frames.hpp>
#include <volley/fields.hpp>

#include "events/event_checks.hpp"

// Times are compared in double, as NumPy does: exact for whole numbers, and with the same rounding where a
// window is none.

namespace volley {
namespace {

constexpr std::string_view kOperation = "event_frames";
constexpr double kMostFrames = 1 << 24;
using Rule = EventFrameRule;
using Slices = std::vector<EventSlice>;

bool is_any_of(Rule rule, std::initializer_list<Rule> rules) { return std::ranges::count(rules, rule) > 0; }

void check_unread(const EventFrameOptions& options, std::string_view name, bool is_default,
                  std::initializer_list<Rule> readers) {
  if (is_default || is_any_of(options.rule, readers)) return;
  throw ArgumentError(kOperation, fmt::format("{} must not be given with rule {}", name,
                                              choices(options.rule)[static_cast<std::size_t>(options.rule)]));
}

void check_overlap(const EventFrameOptions& options) {
  if (options.rule == Rule::time_window) {
    check_range(kOperation, "overlap", options.overlap, from_below(0, options.time_window));
  } else if (options.rule == Rule::event_count) {
    check_range(kOperation, "overlap", options.overlap,
                from_below(0, static_cast<double>(options.event_count)));
    if (options.overlap != std::floor(options.overlap)) {
      throw ArgumentError(kOperation, "overlap must be a whole number of events",
                          fmt::format("{}", options.overlap));
    }
  } else {
    check_range(kOperation, "overlap", options.overlap, from_below(0, 1));
  }
}

void check_options(const EventFrameOptions& options) {
  if (static_cast<std::size_t>(options.rule) >= choices(options.rule).size())
    throw ArgumentError(kOperation, "rule must be one of its choices");
  check_range(kOperation, "frames_number", static_cast<double>(options.frames_number),
              between(1, kMostFrames));
  check_range(kOperation, "time_window", options.time_window, above(0));
  check_range(kOperation, "event_count", static_cast<double>(options.event_count), at_least(1));
  check_overlap(options);
  check_unread(options, "overlap", options.overlap == 0,
               {Rule::time_window, Rule::event_count, Rule::n_time_bins, Rule::n_event_bins});
  check_unread(options, "include_incomplete", !options.include_incomplete,
               {Rule::time_window, Rule::event_count});
  check_unread(options, "start_time", !options.start_time, {Rule::time_window});
  check_unread(options, "end_time", !options.end_time, {Rule::time_window});
  for (const std::optional<std::uint64_t>& time : {options.start_time, options.end_time}) {
    if (time && *time >= kMostEventTime) {
      throw ArgumentError(kOperation, "start_time and end_time must be below 2^53", fmt::format("{}", *time));
    }
  }
  if (options.start_time && options.end_time && *options.end_time < *options.start_time) {
    throw ArgumentError(kOperation, fmt::format("end_time must be >= start_time {}", *options.start_time),
                        fmt::format("{}", *options.end_time));
  }
}

/// `count` as a number of frames, at least one. Throws for more than there may be.
std::size_t frames_of(double count) {
  if (count > kMostFrames) {
    throw ArgumentError(kOperation, fmt::format("frames must be at most {}", kMostFrames),
                        fmt::format("{}", count));
  }
  return count < 1 ? 1 : static_cast<std::size_t>(count);
}

/// The first event at `time` or later.
std::size_t first_at(std::span<const Event> events, double time) {
  const auto found = std::ranges::lower_bound(
      events, time, {}, [](const Event& event) { return static_cast<double>(event.t); });
  return static_cast<std::size_t>(found - events.begin());
}

Slices by_windows(std::span<const Event> events, std::size_t frames, double start, double window,
                  double stride) {
  Slices slices(frames);
  for (std::size_t k = 0; k < frames; ++k) {
    const double begin = static_cast<double>(k) * stride + start;
    slices[k] = {first_at(events, begin), first_at(events, begin + window)};
  }
  return slices;
}

Slices by_counts(std::size_t events, std::size_t frames, std::size_t count, std::size_t stride) {
  Slices slices(frames);
  for (std::size_t k = 0; k < frames; ++k) {
    const std::size_t begin = std::min(k * stride, events);
    slices[k] = {begin, begin + std::min(count, events - begin)};
  }
  return slices;
}

/// A grid whose last frame takes what follows.
Slices by_grid(std::span<const Event> events, std::size_t frames, double start, double stride) {
  Slices slices(frames);
  for (std::size_t k = 0; k < frames; ++k) {
    slices[k].begin = first_at(events, start + static_cast<double>(k) * stride);
    if (k > 0) slices[k - 1].end = slices[k].begin;
  }
  slices.back().end = events.size();
  return slices;
}

Slices by_first_events(std::span<const Event> events, double window) {
  Slices slices;
  for (std::size_t begin = 0; begin < events.size();) {
    frames_of(static_cast<double>(slices.size() + 1));
    std::size_t end = begin + 1;
    while (end < events.size() && static_cast<double>(events[end].t - events[begin].t) <= window) ++end;
    slices.push_back({begin, end});
    begin = end;
  }
  if (slices.empty()) slices.emplace_back();
  return slices;
}

Slices by_time_window(std::span<const Event> events, const EventFrameOptions& options) {
  const std::uint64_t start = options.start_time.value_or(events.empty() ? 0 : events.front().t);
  const std::uint64_t end = options.end_time.value_or(events.empty() ? start : events.back().t);
  const double stride = options.time_window - options.overlap;
  const double more = (static_cast<double>(end) - static_cast<double>(start) - options.time_window) / stride;
  const std::size_t frames = frames_of((options.include_incomplete ? std::ceil(more) : std::floor(more)) + 1);
  return by_windows(events, frames, static_cast<double>(start), options.time_window, stride);
}

Slices by_event_count(std::size_t events, const EventFrameOptions& options) {
  const std::size_t count = std::min(options.event_count, events);
  const std::size_t stride = options.event_count - static_cast<std::size_t>(options.overlap);
  const std::size_t rest = events - count;
  const std::size_t more = rest / stride + (options.include_incomplete && rest % stride > 0 ? 1 : 0);
  return by_counts(events, frames_of(static_cast<double>(more) + 1), count, stride);
}

/// n_event_bins and, without overlap, split_by_number.
Slices by_event_bins(std::size_t events, const EventFrameOptions& options) {
  const std::size_t n = options.frames_number, whole = events / n;
  const double count = std::floor(static_cast<double>(whole) * (1 + options.overlap));
  const double stride = std::floor(count * (1 - options.overlap));
  return by_counts(events, n, static_cast<std::size_t>(count), static_cast<std::size_t>(stride));
}

/// duration, split_by_time and n_time_bins.
Slices by_bins(std::span<const Event> events, const EventFrameOptions& options) {
  const std::uint64_t first = events.empty() ? 0 : events.front().t;
  const std::uint64_t duration = events.empty() ? 0 : events.back().t - first;
  const auto start = static_cast<double>(first);
  if (options.rule == Rule::duration) {
    const double frames = std::ceil(static_cast<double>(duration) / options.time_window);
    return by_grid(events, frames_of(frames), start, options.time_window);
  }
  const std::size_t n = options.frames_number;
  const std::uint64_t whole = duration / n;
  const auto bin = static_cast<double>(whole);
  if (options.rule == Rule::split_by_time) return by_grid(events, n, start, bin);
  const double window = bin * (1 + options.overlap);
  return by_windows(events, n, start, window, window * (1 - options.overlap));
}

}  // namespace

std::vector<EventSlice> event_slices(std::span<const Event> events, const EventFrameOptions& options) {
  check_options(options);
  if (options.rule == Rule::event_count) return by_event_count(events.size(), options);
  if (options.rule == Rule::n_event_bins) return by_event_bins(events.size(), options);
  if (options.rule == Rule::split_by_number) {
    Slices slices = by_event_bins(events.size(), options);
    slices.back().end = events.size();
    return slices;
  }
  check_times(kOperation, events);
  if (options.rule == Rule::time_window) return by_time_window(events, options);
  if (options.rule == Rule::duration_v0) return by_first_events(events, options.time_window);
  return by_bins(events, options);
}

}  // namespace volley
