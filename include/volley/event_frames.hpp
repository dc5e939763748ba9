#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <volley/source.hpp>
#include <volley/spikes.hpp>
#include <volley/tensor.hpp>

namespace volley {

/// How a recording is cut into frames. Of N events from t0 to t_last frame k has, with w = time_window,
/// c = event_count, n = frames_number and o = overlap:
///
/// - time_window: t from t0 + k s, below t0 + k s + w, with s = w - o; floor((t_last - t0 - w) / s) + 1
/// frames.
/// - event_count: c events from number k s on, with s = c - o; floor((N - c) / s) + 1 frames.
/// - n_time_bins: as time_window, with w = floor((t_last - t0) / n) (1 + o) and s = w (1 - o); n frames.
/// - n_event_bins: as event_count, with c = floor(floor(N / n) (1 + o)) and s = floor(c (1 - o)); n frames.
/// - split_by_time: t from t0 + k s, below t0 + (k + 1) s, with s = floor((t_last - t0) / n); n frames, the
///   last with all that follows.
/// - split_by_number: floor(N / n) events; n frames, the last with all that follows.
/// - duration: t from t0 + k w, below t0 + (k + 1) w; ceil((t_last - t0) / w) frames, the last with all that
///   follows.
/// - duration_v0: the first event that is in no frame yet, and all events up to w after it, inclusive.
///
/// The first four are Tonic's ToFrame. The others are SpikingJelly's:
/// integrate_events_by_fixed_frames_number, and integrate_events_by_fixed_duration as version 2.0.0 and as
/// 0.0.0.0.14 has it.
enum class EventFrameRule {
  time_window,
  event_count,
  n_time_bins,
  n_event_bins,
  split_by_time,
  split_by_number,
  duration,
  duration_v0,
};
constexpr std::array<std::string_view, 8> choices(EventFrameRule) {
  return {"time_window",   "event_count",     "n_time_bins", "n_event_bins",
          "split_by_time", "split_by_number", "duration",    "duration_v0"};
}

struct EventFrameOptions {
  EventFrameRule rule = EventFrameRule::n_time_bins;
  std::size_t frames_number = 10;  // n_time_bins, n_event_bins, split_by_time, split_by_number
  double time_window = 10000;      // time_window, duration, duration_v0: microseconds
  std::size_t event_count = 1000;  // event_count
  /// Of the four rules of Tonic. time_window: microseconds, below the window; event_count: events, below the
  /// count; n_time_bins, n_event_bins: a proportion of a frame, below 1.
  double overlap = 0;
  /// time_window, event_count: ceil instead of floor, so that the last frame may have less than a window.
  bool include_incomplete = false;
  /// time_window: microseconds in place of t0 and t_last.
  std::optional<std::uint64_t> start_time{};
  std::optional<std::uint64_t> end_time{};
  /// Frames have 1 where an event is, in place of the number of events.
  bool binary = false;
};

/// The events [begin, end) of a recording.
struct EventSlice {
  std::size_t begin = 0;
  std::size_t end = 0;

  friend bool operator==(const EventSlice&, const EventSlice&) = default;
};

/// The events of each frame: at least one frame, at most 2^24. Where Tonic or SpikingJelly fails or returns
/// no frame, frames are empty: those of an empty recording (of its rules with a number of frames that many,
/// else one), and those between events. All times equal: "duration" has one frame.
///
/// Throws ArgumentError for a number out of its range, for an option that the rule does not read and that is
/// not at its default, and, of a rule that reads times, for times that fall or that are 2^53 or more.
std::vector<EventSlice> event_slices(std::span<const Event> events, const EventFrameOptions& options = {});

/// Events as frames (T, channels, height, width): how many events are in a frame at a place. `sensor` is
/// (channels, height, width), as SourceInfo::shape. With one channel events may have any channel, but all
/// the same. A place has at most 2^24 events, above that the count stays.
///
/// Throws ArgumentError as event_slices does, for a `sensor` of another rank or with a 0, and for an event
/// outside of it, in a frame or not.
Tensor event_frames(std::span<const Event> events, const Shape& sensor,
                    const EventFrameOptions& options = {});

/// The same as spikes (1, T, channels, height, width): a spike where a frame has an event. No frame of
/// floats is made.
Spikes event_spikes(std::span<const Event> events, const Shape& sensor,
                    const EventFrameOptions& options = {});

/// Tonic's ToBinaRep: of (T N, ...) frames T frames whose value is the N bits that say where N successive
/// frames are above 0, the first the most significant, divided by 2^N - 1. Throws ArgumentError for n_bits
/// outside 2 to 24, ShapeError for frames without dimensions or whose number is no multiple of n_bits.
Tensor bina_rep(const Tensor& frames, std::size_t n_bits = 8);

struct TimeSurfaceOptions {
  double dt = 100000;  // microseconds of a surface: the rule time_window
  double tau = 50000;  // microseconds
  double overlap = 0;  // as EventFrameOptions has it for time_window
  bool include_incomplete = false;
};

/// Tonic's ToTimesurface: (T, channels, height, width). Surface k is exp(-(t0 + (k + 1) dt - t) / tau), where
/// t is the time of the last event at a place in windows 0 to k, and 0 where there was none. Computed in
/// double. `sensor` and errors as of event_frames. An empty recording has one surface, of zeros.
Tensor time_surfaces(std::span<const Event> events, const Shape& sensor,
                     const TimeSurfaceOptions& options = {});

/// How a time surface falls with the time since an event: exp(-since / tau), or 1 - since / (3 tau).
enum class EventDecay { exp, lin };
constexpr std::array<std::string_view, 2> choices(EventDecay) { return {"exp", "lin"}; }

struct AveragedTimeSurfaceOptions {
  std::size_t cell_size = 10;    // pixels on a side of the squares that the sensor is cut into
  std::size_t surface_size = 5;  // odd, at most cell_size
  double time_window = 1000;     // microseconds
  double tau = 100;              // microseconds
  EventDecay decay = EventDecay::exp;
};

/// Tonic's ToAveragedTimesurface, the histograms of HATS (Sironi et al., CVPR 2018): (cells, channels,
/// surface_size, surface_size), cells row by row. The surface of an event is the sum of the decays of the
/// events of its cell and channel before it, at most time_window ago, at their places around it, and 1 in its
/// middle; of a cell and channel the mean of the surfaces of its events, 0 where there are none. Computed in
/// double. `sensor` and errors as of event_frames; times may not fall.
Tensor averaged_time_surfaces(std::span<const Event> events, const Shape& sensor,
                              const AveragedTimeSurfaceOptions& options = {});

/// Tonic's ToVoxelGrid: (n_time_bins, 1, height, width). An event at s = n_time_bins (t - t0) / (t_last - t0)
/// adds its sign, +1 of channel 1 and -1 of channel 0, to bin floor(s) with weight 1 - (s - floor(s)), and to
/// the next with the rest; what falls into bin n_time_bins is left out. s is 0 where all times are equal.
/// Computed in double. `sensor` has two channels; errors as of event_frames.
Tensor voxel_grid(std::span<const Event> events, const Shape& sensor, std::size_t n_time_bins = 10);

}  // namespace volley
