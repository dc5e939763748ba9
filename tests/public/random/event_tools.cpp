#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <volley/choices.hpp>
#include <volley/event_frames.hpp>
#include <volley/event_transforms.hpp>

#include "scenes.hpp"

namespace volley::test {
namespace {

using Rule = EventFrameRule;

struct DrawnEvents {
  std::vector<Event> events;
  Shape sensor;
};

DrawnEvents draw_events(Program& p) {
  const std::size_t channels = 2, height = p.random.between(1, 20), width = p.random.between(1, 20);
  DrawnEvents drawn{std::vector<Event>(p.random.below(p.random.one_of<std::size_t>({1, 2, 5, 300}))),
                    Shape{channels, height, width}};
  std::uint64_t t = p.random.one_of<std::uint64_t>({0, 1000, std::uint64_t{1} << 50});
  for (Event& event : drawn.events) {
    t += p.random.below(p.random.chance(0.3) ? 1 : 200);
    event = {t, static_cast<std::uint16_t>(p.random.below(width)),
             static_cast<std::uint16_t>(p.random.below(height)),
             static_cast<std::uint16_t>(p.random.below(channels))};
  }
  return drawn;
}

EventFrameOptions draw_options(Program& p) {
  EventFrameOptions options{.rule = static_cast<Rule>(p.random.below(choices(Rule{}).size()))};
  options.frames_number = p.random.between(1, 30);
  options.time_window =
      p.random.chance(0.5) ? static_cast<double>(p.random.between(1, 2000)) : p.random.real(0.5, 2000);
  options.event_count = p.random.between(1, 100);
  options.binary = p.random.chance(0.5);
  const bool reads_incomplete = options.rule == Rule::time_window || options.rule == Rule::event_count;
  if (reads_incomplete) options.include_incomplete = p.random.chance(0.5);
  if (p.random.chance(0.5)) return options;
  if (options.rule == Rule::time_window) options.overlap = options.time_window * p.random.real(0, 0.9);
  if (options.rule == Rule::event_count)
    options.overlap = static_cast<double>(p.random.below(options.event_count));
  if (options.rule == Rule::n_time_bins || options.rule == Rule::n_event_bins)
    options.overlap = p.random.real(0, 1);
  return options;
}

void use_frames(Program& p, const DrawnEvents& drawn) {
  const EventFrameOptions options = draw_options(p);
  const std::string rule(choices(options.rule)[static_cast<std::size_t>(options.rule)]);
  const std::vector<Event>& events = drawn.events;
  const Shape& sensor = drawn.sensor;
  const std::string text = cat("(events, ", sensor.text(), ", {", rule, "});");
  std::vector<EventSlice> slices;
  p.must("event_slices", cat("event_slices(events, {", rule, "});"),
         [&] { slices = event_slices(events, options); });
  p.check(!slices.empty(), "there is a frame", rule);
  std::size_t in_frames = 0;
  for (const EventSlice& slice : slices) {
    p.check(slice.begin <= slice.end && slice.end <= events.size(), "a slice is of the events", rule);
    in_frames += slice.end - slice.begin;
  }
  const bool takes_all = options.rule == Rule::split_by_time || options.rule == Rule::split_by_number ||
                         options.rule == Rule::duration || options.rule == Rule::duration_v0;
  p.check(!takes_all || in_frames == events.size(), "SpikingJelly's rules lose no event", rule);
  Tensor frames;
  p.must("event_frames", "event_frames" + text, [&] { frames = event_frames(events, sensor, options); });
  p.must("event_spikes", "event_spikes" + text, [&] {
    const Spikes spikes = event_spikes(events, sensor, options);
    p.check(
        frames.shape() == sensor.after({slices.size()}) && spikes.shape() == sensor.after({1, slices.size()}),
        "the shape of frames", rule);
    std::vector<std::uint8_t> bytes(frames.size());
    spikes.to_bytes(bytes);
    double sum = 0;
    bool is_equal = true;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      is_equal = is_equal && (bytes[i] != 0) == (frames.values()[i] > 0);
      sum += frames.values()[i];
    }
    p.check(is_equal, "spikes are where frames are", rule);
    p.check(sum == static_cast<double>(options.binary ? spikes.count() : in_frames), "frames count", rule);
  });
  const std::size_t n_bits = p.random.between(2, 9), T = p.random.between(1, 3);
  p.must("bina_rep",
         cat("bina_rep(event_frames(events, {split_by_number, ", n_bits * T, "}), ", n_bits, ");"), [&] {
           const Tensor y = bina_rep(
               event_frames(events, sensor, {.rule = Rule::split_by_number, .frames_number = n_bits * T}),
               n_bits);
           p.check(y.shape() == sensor.after({T}) &&
                       std::ranges::all_of(y.values(), [](float v) { return v >= 0 && v <= 1; }),
                   "bina_rep");
         });
  p.must("time_surfaces", "time_surfaces(events, sensor, {dt, tau});", [&] {
    const Tensor y =
        time_surfaces(events, sensor, {.dt = options.time_window, .tau = p.random.real(1, 1000)});
    p.check(std::ranges::all_of(y.values(), [](float v) { return v >= 0 && v <= 1; }), "time surfaces");
  });
  const std::size_t surface_size = 2 * p.random.below(3) + 1, cell_size = surface_size + p.random.below(20);
  p.must("averaged_time_surfaces",
         cat("averaged_time_surfaces(events, sensor, {", cell_size, ", ", surface_size, "});"), [&] {
           const Tensor y =
               averaged_time_surfaces(events, sensor, {.cell_size = cell_size, .surface_size = surface_size});
           p.check(std::ranges::all_of(y.values(), [](float v) { return v >= 0; }), "averaged time surfaces");
         });
  p.must("voxel_grid", "voxel_grid(events, sensor, n);", [&] {
    const Tensor y = voxel_grid(events, sensor, options.frames_number);
    p.check(y.shape() == Shape{options.frames_number, 1, sensor[1], sensor[2]} && is_finite(y), "voxel grid");
  });
  p.must_throw("event_slices", "event_slices(events, {0 frames});",
               [&] { event_slices(events, {.frames_number = 0}); });
  const std::vector<Event> outside{{0, static_cast<std::uint16_t>(sensor[2]), 0, 0}};
  p.must_throw("event_frames", "event_frames(outside, sensor);", [&] { event_frames(outside, sensor); });
  p.must_throw("event_spikes", "event_spikes(events, {2, 3});", [&] { event_spikes(events, {2, 3}); });
  p.must_throw("voxel_grid", "voxel_grid(events, {1, 3, 4});", [&] { voxel_grid({}, {1, 3, 4}); });
  p.must_throw("time_surfaces", "time_surfaces({}, sensor, {tau 0});",
               [&] { time_surfaces({}, sensor, {.tau = 0}); });
  p.must_throw("bina_rep", "bina_rep(Tensor(), 1);", [] { bina_rep(Tensor(), 1); });
}

/// Runs a transform twice, and checks that no more than `most` events come, the same ones, all in `sensor`.
template <class Body>
void use_transform(Program& p, const char* name, const Shape& sensor, std::size_t most,
                   const Body& transform) {
  p.must(cat("event_transforms::", name), cat(name, "(events, ...);"), [&] {
    const std::vector<Event> out = transform();
    p.check(out.size() <= most, "a transform's events", name);
    p.check(out == transform(), "a transform twice", name);
    p.check(std::ranges::all_of(out,
                                [&](const Event& event) {
                                  return event.channel < sensor[0] && event.y < sensor[1] &&
                                         event.x < sensor[2];
                                }),
            "a transform's events are in the sensor", name);
  });
}

void use_plain_transforms(Program& p, const DrawnEvents& drawn) {
  namespace et = event_transforms;
  const std::vector<Event>& events = drawn.events;
  const Shape& sensor = drawn.sensor;
  const std::size_t n = events.size(), number = p.random.between(1, 300);
  const std::size_t height = p.random.between(1, sensor[1]), width = p.random.between(1, sensor[2]);
  const Shape part{2, height, width};
  use_transform(p, "denoise", sensor, n, [&] { return et::denoise(events, number); });
  use_transform(p, "refractory_period", sensor, n, [&] { return et::refractory_period(events, number); });
  use_transform(p, "decimate", sensor, n, [&] { return et::decimate(events, number); });
  use_transform(p, "crop", part, n, [&] { return et::crop(events, {1, 2, width, height}); });
  use_transform(p, "center_crop", part, n, [&] { return et::center_crop(events, sensor, height, width); });
  use_transform(p, "crop_time", sensor, n, [&] { return et::crop_time(events, number); });
  use_transform(p, "flip_lr", sensor, n, [&] { return et::flip_lr(events, sensor); });
  use_transform(p, "flip_ud", sensor, n, [&] { return et::flip_ud(events, sensor); });
  use_transform(p, "flip_polarity", sensor, n, [&] { return et::flip_polarity(events); });
  use_transform(p, "merge_polarities", {1, sensor[1], sensor[2]}, n,
                [&] { return et::merge_polarities(events); });
  use_transform(p, "time_reversal", sensor, n, [&] { return et::time_reversal(events); });
  use_transform(p, "time_alignment", sensor, n, [&] { return et::time_alignment(events); });
  use_transform(p, "time_skew", sensor, n, [&] { return et::time_skew(events, 1.5, 10); });
  use_transform(p, "downsample", part, n, [&] { return et::downsample(events, sensor, height, width); });
  p.check(et::flip_lr(et::flip_lr(events, sensor), sensor) == events, "flip_lr twice");
  p.must_throw("event_transforms::decimate", "decimate(events, 0);", [&] { et::decimate(events, 0); });
  p.must_throw("event_transforms::crop", "crop(events, {});", [&] { et::crop(events, {}); });
  p.must_throw("event_transforms::downsample", "downsample(events, {-1});",
               [&] { et::downsample(events, {.time_factor = -1}); });
}

void use_random_transforms(Program& p, const DrawnEvents& drawn) {
  namespace et = event_transforms;
  const std::vector<Event>& events = drawn.events;
  const Shape& sensor = drawn.sensor;
  const std::size_t n = events.size(), number = p.random.between(1, 300);
  const std::size_t height = p.random.between(1, sensor[1]), width = p.random.between(1, sensor[2]);
  const double ratio = p.random.real();
  const et::EventDraw draw{
      static_cast<std::uint32_t>(p.random.bits()), static_cast<std::uint32_t>(p.random.below(1 << 24)),
      static_cast<std::uint32_t>(p.random.bits()), static_cast<std::uint32_t>(p.random.below(1 << 24))};
  use_transform(p, "random_flip_lr", sensor, n,
                [&] { return et::random_flip_lr(events, sensor, ratio, draw); });
  use_transform(p, "random_flip_ud", sensor, n,
                [&] { return et::random_flip_ud(events, sensor, ratio, draw); });
  use_transform(p, "random_flip_polarity", sensor, n,
                [&] { return et::random_flip_polarity(events, ratio, draw); });
  use_transform(p, "random_time_reversal", sensor, n,
                [&] { return et::random_time_reversal(events, ratio, draw); });
  use_transform(p, "random_crop", {2, height, width}, n,
                [&] { return et::random_crop(events, sensor, height, width, draw); });
  use_transform(p, "sub_sequence", sensor, n, [&] { return et::sub_sequence(events, number, draw); });
  use_transform(p, "time_jitter", sensor, n,
                [&] { return et::time_jitter(events, {.std = 100 * ratio}, draw); });
  use_transform(p, "spatial_jitter", sensor, n,
                [&] { return et::spatial_jitter(events, sensor, {.sigma_xy = ratio}, draw); });
  use_transform(p, "uniform_noise", sensor, n + number,
                [&] { return et::uniform_noise(events, sensor, number, draw); });
  use_transform(p, "drop_event", sensor, n, [&] { return et::drop_event(events, ratio, draw); });
  use_transform(p, "drop_by_time", sensor, n, [&] { return et::drop_by_time(events, ratio, draw); });
  use_transform(p, "drop_by_area", sensor, n, [&] { return et::drop_by_area(events, sensor, ratio, draw); });
  use_transform(p, "event_drop", sensor, n, [&] { return et::event_drop(events, sensor, draw); });
  p.must_throw("event_transforms::drop_event", "drop_event(events, 1.5, draw);",
               [&] { et::drop_event(events, 1.5, draw); });
  p.must_throw("event_transforms::random_crop", "random_crop(events, sensor, 0, 1, draw);",
               [&] { et::random_crop(events, sensor, 0, 1, draw); });
}

}  // namespace

void check_events(Program& p) {
  const DrawnEvents drawn = draw_events(p);
  use_frames(p, drawn);
  use_plain_transforms(p, drawn);
  use_random_transforms(p, drawn);
}

}  // namespace volley::test
