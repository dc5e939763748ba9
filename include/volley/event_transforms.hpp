#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <volley/source.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// Changes of recordings, in memory. Names and rules are Tonic's; where a rule differs, it is said here. Each
/// returns the new events, in the order of the old unless it says otherwise. `sensor` is (channels, height,
/// width), as SourceInfo::shape.
///
/// Each throws ArgumentError, which begins with the function's name, for a number out of its range (a
/// probability outside 0 to 1, a factor below 0, one that is not finite), for an event outside of `sensor`,
/// and for a result that an Event cannot hold: x and y below 2^16, t below 2^53. Any thread may call any.
namespace event_transforms {

/// Drops an event unless, when it comes, one of the four pixels beside its own has had an event less than
/// filter_time microseconds ago. As in Tonic pixels without an event count as if they had one at time 0, and
/// a pixel beyond the largest x or y of the recording is none. The area of the events has at most 2^25
/// pixels.
std::vector<Event> denoise(std::span<const Event> events, std::uint64_t filter_time = 10000);

/// Keeps an event when more than refractory_period microseconds have passed since the last event of its
/// pixel, kept or not; the first of a pixel where t > 0. At most 2^25 pixels, as of denoise.
std::vector<Event> refractory_period(std::span<const Event> events, std::uint64_t refractory_period);

/// Of each pixel every n-th event, the first n - 1 left out. At most 2^25 pixels, as of denoise.
std::vector<Event> decimate(std::span<const Event> events, std::size_t n);

/// A part of a sensor.
struct EventWindow {
  std::size_t x = 0;
  std::size_t y = 0;
  std::size_t width = 0;
  std::size_t height = 0;
};

/// The events in `window`, counted from its corner.
std::vector<Event> crop(std::span<const Event> events, const EventWindow& window);
/// The middle of a sensor, height x width. Where that is larger than the sensor, the sensor is in its middle.
std::vector<Event> center_crop(std::span<const Event> events, const Shape& sensor, std::size_t height,
                               std::size_t width);
/// The events with min <= t <= max.
std::vector<Event> crop_time(std::span<const Event> events, std::uint64_t min,
                             std::uint64_t max = std::numeric_limits<std::uint64_t>::max());

/// x becomes width - 1 - x.
std::vector<Event> flip_lr(std::span<const Event> events, const Shape& sensor);
/// y becomes height - 1 - y.
std::vector<Event> flip_ud(std::span<const Event> events, const Shape& sensor);
/// Channel 0 becomes 1, any other 0.
std::vector<Event> flip_polarity(std::span<const Event> events);
/// All channels become 0.
std::vector<Event> merge_polarities(std::span<const Event> events);
/// t becomes max t - t, and the order is reversed; with flip_polarities also flip_polarity.
std::vector<Event> time_reversal(std::span<const Event> events, bool flip_polarities = true);
/// t becomes t - min t.
std::vector<Event> time_alignment(std::span<const Event> events);
/// t becomes coefficient t + offset, cut off to a whole number; `coefficient` is 0 or more.
std::vector<Event> time_skew(std::span<const Event> events, double coefficient, double offset = 0);

struct DownsampleOptions {
  double time_factor = 1;
  double spatial_factor_x = 1;
  double spatial_factor_y = 1;
};
/// t, x and y are multiplied and cut off to whole numbers. No event is dropped: several may then be at one
/// time and place.
std::vector<Event> downsample(std::span<const Event> events, const DownsampleOptions& options);
/// From a sensor to one of height x width pixels.
std::vector<Event> downsample(std::span<const Event> events, const Shape& sensor, std::size_t height,
                              std::size_t width);

/// What addresses the random numbers of a change: they are a function of these, the transform and the number
/// of the event alone, whatever was drawn before.
struct EventDraw {
  std::uint32_t seed = 0;
  std::uint32_t epoch = 0;   // below 2^24
  std::uint32_t sample = 0;  // the recording's number in its set
  std::uint32_t place = 0;   // below 2^24; tells apart two changes of one sample by the same transform
};

/// flip_lr, flip_ud, flip_polarity and time_reversal of all events with probability p, else none.
std::vector<Event> random_flip_lr(std::span<const Event> events, const Shape& sensor, double p,
                                  const EventDraw& draw);
std::vector<Event> random_flip_ud(std::span<const Event> events, const Shape& sensor, double p,
                                  const EventDraw& draw);
std::vector<Event> random_flip_polarity(std::span<const Event> events, double p, const EventDraw& draw);
std::vector<Event> random_time_reversal(std::span<const Event> events, double p, const EventDraw& draw,
                                        bool flip_polarities = true);

/// height x width pixels of the sensor, at most its own, at a place of which each is equally likely. Tonic's
/// never has the last place.
std::vector<Event> random_crop(std::span<const Event> events, const Shape& sensor, std::size_t height,
                               std::size_t width, const EventDraw& draw);
/// The events of `duration` microseconds, from a time that is drawn such that the whole duration is in the
/// recording; all events where it is longer.
std::vector<Event> sub_sequence(std::span<const Event> events, std::uint64_t duration, const EventDraw& draw);

struct TimeJitterOptions {
  double std = 1;                // standard deviation in microseconds
  bool clip_negative = true;     // drops events whose time becomes negative; else it becomes 0
  bool sort_timestamps = false;  // by time; events of one time stay in order
};
/// Adds to each time a number that is normally distributed, and cuts off to a whole number.
std::vector<Event> time_jitter(std::span<const Event> events, const TimeJitterOptions& options,
                               const EventDraw& draw);

struct SpatialJitterOptions {
  double var_x = 1;  // variances, in pixels squared, and their covariance
  double var_y = 1;
  double sigma_xy = 0;         // at most the root of var_x var_y
  bool clip_outliers = false;  // drops events that leave the sensor; else they are put on its edge
};
/// Adds to each x and y numbers that are normally distributed, and cuts off to whole numbers.
std::vector<Event> spatial_jitter(std::span<const Event> events, const Shape& sensor,
                                  const SpatialJitterOptions& options, const EventDraw& draw);

/// Adds n events whose time, from the recording's least to its largest, place and channel are uniform, and
/// sorts by time. Nothing is added to an empty recording.
std::vector<Event> uniform_noise(std::span<const Event> events, const Shape& sensor, std::size_t n,
                                 const EventDraw& draw);

/// Drops floor(drop_probability N + 0.5) of N events, any with the same probability.
std::vector<Event> drop_event(std::span<const Event> events, double drop_probability, const EventDraw& draw);
/// Drops the events of a part of the recording's time: duration_ratio of it, below 1, both ends inclusive.
/// The recording begins with its first event; Tonic's begins at 0.
std::vector<Event> drop_by_time(std::span<const Event> events, double duration_ratio, const EventDraw& draw);
/// Drops the events of a box of floor(area_ratio width) x floor(area_ratio height) pixels; area_ratio is
/// below 1. Tonic's box is never at the last place.
std::vector<Event> drop_by_area(std::span<const Event> events, const Shape& sensor, double area_ratio,
                                const EventDraw& draw);
/// EventDrop (Gu et al., IJCAI 2021): nothing, or drop_by_time with 1/10 to 9/10, drop_by_area with 1/20 to
/// 5/20, or drop_event with 1/10 to 9/10; each of the four, and each ratio, equally likely.
std::vector<Event> event_drop(std::span<const Event> events, const Shape& sensor, const EventDraw& draw);

}  // namespace event_transforms
}  // namespace volley
