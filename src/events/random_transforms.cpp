#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include <volley/error.hpp>
#include <volley/event_transforms.hpp>
#include <volley/fields.hpp>

#include "core/exp_log.hpp"
#include "core/philox.hpp"
#include "events/event_checks.hpp"

namespace volley::event_transforms {
namespace {

/// A transform with random numbers of its own. A number stays what it is once released.
enum class Transform : std::uint32_t {
  flip_lr = 0,
  flip_ud = 1,
  flip_polarity = 2,
  time_reversal = 3,
  crop = 4,
  sub_sequence = 5,
  time_jitter = 6,
  spatial_jitter = 7,
  uniform_noise = 8,
  drop_event = 9,
  drop_by_time = 10,
  drop_by_area = 11,
  event_drop = 12,
};

/// Random numbers of a transform: of the recording, and of each event.
class Address {
 public:
  Address(std::string_view operation, Transform transform, const EventDraw& draw) : sample_(draw.sample) {
    check_range(operation, "epoch", draw.epoch, between(0, kMaxEpoch));
    check_range(operation, "place", draw.place, between(0, (1 << 24) - 1));
    key_ = philox_key(draw.seed, Purpose::augment_events, draw.epoch);
    transform_ = static_cast<std::uint32_t>(transform) | draw.place << 8;
  }
  PhiloxSequence whole() const { return at(0); }
  PhiloxSequence of_event(std::size_t i) const { return at(static_cast<std::uint32_t>(i)); }

 private:
  PhiloxSequence at(std::uint32_t i) const { return PhiloxSequence(key_, sample_, transform_, i); }

  PhiloxKey key_{};
  std::uint32_t sample_ = 0, transform_ = 0;
};

/// Two numbers that are normally distributed, by the polar method (Marsaglia and Bray, "A convenient method
/// for generating normal variables", 1964). The same bits everywhere.
std::pair<double, double> normal_pair(PhiloxSequence random) {
  for (;;) {
    const double u = 2 * random.uniform() - 1, v = 2 * random.uniform() - 1;
    const double s = u * u + v * v;
    if (s >= 1 || s < 0x1p-100) continue;
    const double factor =
        std::sqrt(std::max(-2 * static_cast<double>(log_of(static_cast<float>(s))), 0.0) / s);
    return {u * factor, v * factor};
  }
}

/// A number from 0 to `most`.
std::uint64_t up_to(PhiloxSequence& random, std::uint64_t most) {
  if (most < std::numeric_limits<std::uint32_t>::max())
    return random.below(static_cast<std::uint32_t>(most) + 1);
  for (;;) {  // of the bits that `most` has, until they are no more than it
    const std::uint64_t high = random.next();
    const std::uint64_t value = (high << 32 | random.next()) >> std::countl_zero(most);
    if (value <= most) return value;
  }
}

bool happens(std::string_view operation, Transform transform, double p, const EventDraw& draw) {
  check_range(operation, "p", p, between(0, 1));
  return Address(operation, transform, draw).whole().uniform() < p;
}

std::vector<Event> copy_of(std::span<const Event> events) { return {events.begin(), events.end()}; }

/// The least and the largest time; events are not empty.
std::pair<std::uint64_t, std::uint64_t> times_of(std::span<const Event> events) {
  const auto [first, last] = std::ranges::minmax(events, {}, &Event::t);
  return {first.t, last.t};
}

void check_all_inside(std::string_view operation, std::span<const Event> events, const Shape& sensor) {
  check_sensor(operation, sensor);
  check_places(operation, events, sensor);
}

}  // namespace

std::vector<Event> random_flip_lr(std::span<const Event> events, const Shape& sensor, double p,
                                  const EventDraw& draw) {
  check_all_inside("random_flip_lr", events, sensor);
  return happens("random_flip_lr", Transform::flip_lr, p, draw) ? flip_lr(events, sensor) : copy_of(events);
}

std::vector<Event> random_flip_ud(std::span<const Event> events, const Shape& sensor, double p,
                                  const EventDraw& draw) {
  check_all_inside("random_flip_ud", events, sensor);
  return happens("random_flip_ud", Transform::flip_ud, p, draw) ? flip_ud(events, sensor) : copy_of(events);
}

std::vector<Event> random_flip_polarity(std::span<const Event> events, double p, const EventDraw& draw) {
  return happens("random_flip_polarity", Transform::flip_polarity, p, draw) ? flip_polarity(events)
                                                                            : copy_of(events);
}

std::vector<Event> random_time_reversal(std::span<const Event> events, double p, const EventDraw& draw,
                                        bool flip_polarities) {
  return happens("random_time_reversal", Transform::time_reversal, p, draw)
             ? time_reversal(events, flip_polarities)
             : copy_of(events);
}

std::vector<Event> random_crop(std::span<const Event> events, const Shape& sensor, std::size_t height,
                               std::size_t width, const EventDraw& draw) {
  constexpr std::string_view kOperation = "random_crop";
  check_all_inside(kOperation, events, sensor);
  check_range(kOperation, "height", static_cast<double>(height), between(1, static_cast<double>(sensor[1])));
  check_range(kOperation, "width", static_cast<double>(width), between(1, static_cast<double>(sensor[2])));
  PhiloxSequence random = Address(kOperation, Transform::crop, draw).whole();
  const std::size_t x = up_to(random, sensor[2] - width), y = up_to(random, sensor[1] - height);
  return crop(events, {x, y, width, height});
}

std::vector<Event> sub_sequence(std::span<const Event> events, std::uint64_t duration,
                                const EventDraw& draw) {
  constexpr std::string_view kOperation = "sub_sequence";
  check_range(kOperation, "duration", static_cast<double>(duration), at_least(1));
  PhiloxSequence random = Address(kOperation, Transform::sub_sequence, draw).whole();
  if (events.empty()) return {};
  const auto [first, last] = times_of(events);
  if (last - first < duration) return copy_of(events);
  const std::uint64_t start = first + up_to(random, last - first - duration + 1);
  return crop_time(events, start, start + duration - 1);
}

std::vector<Event> time_jitter(std::span<const Event> events, const TimeJitterOptions& options,
                               const EventDraw& draw) {
  constexpr std::string_view kOperation = "time_jitter";
  check_range(kOperation, "std", options.std, at_least(0));
  const Address address(kOperation, Transform::time_jitter, draw);
  std::vector<Event> out;
  out.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const double t =
        std::trunc(static_cast<double>(events[i].t) + options.std * normal_pair(address.of_event(i)).first);
    if (events[i].t >= kMostEventTime || !(t < static_cast<double>(kMostEventTime)))
      throw ArgumentError(kOperation, "times must be and stay below 2^53", fmt::format("{}", t));
    if (t < 0 && options.clip_negative) continue;
    out.push_back(events[i]);
    out.back().t = t < 0 ? 0 : static_cast<std::uint64_t>(t);
  }
  if (options.sort_timestamps) std::ranges::stable_sort(out, {}, &Event::t);
  return out;
}

std::vector<Event> spatial_jitter(std::span<const Event> events, const Shape& sensor,
                                  const SpatialJitterOptions& options, const EventDraw& draw) {
  constexpr std::string_view kOperation = "spatial_jitter";
  check_all_inside(kOperation, events, sensor);
  check_range(kOperation, "var_x", options.var_x, at_least(0));
  check_range(kOperation, "var_y", options.var_y, at_least(0));
  const double most = std::sqrt(options.var_x * options.var_y);
  check_range(kOperation, "sigma_xy", options.sigma_xy, between(-most, most));
  const Address address(kOperation, Transform::spatial_jitter, draw);
  // The Cholesky factor of the covariance: ((xx, 0), (yx, yy)).
  const double xx = std::sqrt(options.var_x), yx = xx > 0 ? options.sigma_xy / xx : 0;
  const double yy = std::sqrt(std::max(options.var_y - yx * yx, 0.0));
  const auto last_x = static_cast<double>(sensor[2] - 1), last_y = static_cast<double>(sensor[1] - 1);
  std::vector<Event> out;
  out.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto [a, b] = normal_pair(address.of_event(i));
    const double x = std::trunc(events[i].x + xx * a), y = std::trunc(events[i].y + yx * a + yy * b);
    if (options.clip_outliers && (x < 0 || x > last_x || y < 0 || y > last_y)) continue;
    out.push_back(events[i]);
    out.back().x = static_cast<std::uint16_t>(std::clamp(x, 0.0, last_x));
    out.back().y = static_cast<std::uint16_t>(std::clamp(y, 0.0, last_y));
  }
  return out;
}

std::vector<Event> uniform_noise(std::span<const Event> events, const Shape& sensor, std::size_t n,
                                 const EventDraw& draw) {
  constexpr std::string_view kOperation = "uniform_noise";
  check_all_inside(kOperation, events, sensor);
  const Address address(kOperation, Transform::uniform_noise, draw);
  std::vector<Event> out = copy_of(events);
  if (events.empty()) return out;
  const auto [first, last] = times_of(events);
  for (std::size_t i = 0; i < n; ++i) {
    PhiloxSequence random = address.of_event(i);
    const auto below = [&](std::size_t size) {
      return static_cast<std::uint16_t>(random.below(static_cast<std::uint32_t>(size)));
    };
    const std::uint16_t x = below(sensor[2]), y = below(sensor[1]), channel = below(sensor[0]);
    out.push_back({first + up_to(random, last - first), x, y, channel});
  }
  std::ranges::stable_sort(out, {}, &Event::t);
  return out;
}

std::vector<Event> drop_event(std::span<const Event> events, double drop_probability, const EventDraw& draw) {
  constexpr std::string_view kOperation = "drop_event";
  check_range(kOperation, "drop_probability", drop_probability, between(0, 1));
  const Address address(kOperation, Transform::drop_event, draw);
  const std::size_t size = events.size();
  // Half an event is rounded up.
  const double share = std::floor(drop_probability * static_cast<double>(size) + 0.5);
  std::size_t dropped = std::min(static_cast<std::size_t>(share), size);
  std::vector<Event> out;
  out.reserve(size - dropped);
  for (std::size_t i = 0; i < size; ++i) {
    // Of the size - i that are left `dropped` go (Knuth, "Seminumerical Algorithms", algorithm 3.4.2 S).
    if (address.of_event(i).uniform() * static_cast<double>(size - i) < static_cast<double>(dropped)) {
      --dropped;
    } else {
      out.push_back(events[i]);
    }
  }
  return out;
}

std::vector<Event> drop_by_time(std::span<const Event> events, double duration_ratio, const EventDraw& draw) {
  constexpr std::string_view kOperation = "drop_by_time";
  check_range(kOperation, "duration_ratio", duration_ratio, from_below(0, 1));
  PhiloxSequence random = Address(kOperation, Transform::drop_by_time, draw).whole();
  std::vector<Event> out = copy_of(events);
  if (events.empty()) return out;
  const auto times = times_of(events);
  const std::uint64_t first = times.first;
  const double whole = static_cast<double>(times.second - first), duration = whole * duration_ratio;
  const double start = random.uniform() * (whole - duration);
  std::erase_if(out, [&](const Event& event) {
    const auto t = static_cast<double>(event.t - first);
    return t >= start && t <= start + duration;
  });
  return out;
}

std::vector<Event> drop_by_area(std::span<const Event> events, const Shape& sensor, double area_ratio,
                                const EventDraw& draw) {
  constexpr std::string_view kOperation = "drop_by_area";
  check_all_inside(kOperation, events, sensor);
  check_range(kOperation, "area_ratio", area_ratio, from_below(0, 1));
  PhiloxSequence random = Address(kOperation, Transform::drop_by_area, draw).whole();
  const auto part = [&](std::size_t size) {
    return static_cast<std::size_t>(static_cast<double>(size) * area_ratio);
  };
  const std::size_t width = part(sensor[2]), height = part(sensor[1]);
  const std::size_t x = up_to(random, sensor[2] - width), y = up_to(random, sensor[1] - height);
  std::vector<Event> out = copy_of(events);
  std::erase_if(out, [&](const Event& event) {
    return event.x >= x && event.x < x + width && event.y >= y && event.y < y + height;
  });
  return out;
}

std::vector<Event> event_drop(std::span<const Event> events, const Shape& sensor, const EventDraw& draw) {
  check_all_inside("event_drop", events, sensor);
  PhiloxSequence random = Address("event_drop", Transform::event_drop, draw).whole();
  switch (random.below(4)) {
    case 1: return drop_by_time(events, (1 + random.below(9)) / 10.0, draw);
    case 2: return drop_by_area(events, sensor, (1 + random.below(5)) / 20.0, draw);
    case 3: return drop_event(events, (1 + random.below(9)) / 10.0, draw);
    default: return copy_of(events);
  }
}

}  // namespace volley::event_transforms
