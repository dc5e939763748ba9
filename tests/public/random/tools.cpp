#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include <volley/choices.hpp>
#include <volley/current_csv.hpp>
#include <volley/event_file.hpp>
#include <volley/files.hpp>
#include <volley/image.hpp>
#include <volley/kernels.hpp>
#include <volley/known_sets.hpp>
#include <volley/process.hpp>
#include <volley/recipe_difference.hpp>
#include <volley/signal_forms.hpp>
#include <volley/text.hpp>

#include "scenes.hpp"

namespace volley::test {
namespace {

namespace fs = std::filesystem;

void use_files(Program& p, const fs::path& folder) {
  std::string bytes;
  for (std::size_t i = p.random.below(200); i-- > 0;) bytes += static_cast<char>(p.random.bits());
  const fs::path path = folder / "bytes";
  p.must("write_file_whole", "write_file_whole(path, bytes);", [&] { write_file_whole(path, bytes); });
  p.must("read_file", "read_file(path, 1000);",
         [&] { p.check(read_file(path, 1000) == bytes, "a file has the bytes that were written"); });
  if (!bytes.empty())
    p.must_throw("read_file", "read_file(path, size - 1);", [&] { read_file(path, bytes.size() - 1); });
  p.must_throw("read_file", "read_file(a_folder, 1000);", [&] { read_file(folder, 1000); });
  p.must_throw("read_file", "read_file(none, 1000);", [&] { read_file(folder / "none", 1000); });
  p.must_throw("write_file_whole", "write_file_whole(\"/nowhere/at/all\", bytes);",
               [&] { write_file_whole("/nowhere/at/all", bytes); });
  fs::path gone;
  p.must("ScratchFolder::ScratchFolder", "ScratchFolder scratch(\"inner\");", [&] {
    const ScratchFolder scratch("inner");
    p.count("ScratchFolder::path");
    gone = scratch.path();
    write_file_whole(gone / "file", bytes);
    p.check(fs::is_directory(gone) && gone.is_absolute(), "a scratch folder is there");
  });
  p.check(!fs::exists(gone), "a scratch folder is gone with its files");
  p.must_throw("ScratchFolder::ScratchFolder", "ScratchFolder scratch(\"no/such\");",
               [&] { ScratchFolder scratch("no/such"); });
}

void use_programs(Program& p, const fs::path& folder) {
  for (const char* name : {"ProgramResult::ok", "ProgramResult::reason"}) p.count(name);
  const int code = static_cast<int>(p.random.below(4));
  p.must("run_program", cat("run_program({\"sh\", \"-c\", \"echo out; exit ", code, "\"});"), [&] {
    std::string lines;
    const ProgramResult result =
        volley::run_program({"sh", "-c", cat("echo out; exit ", code)},
                            {.folder = folder, .line = [&](std::string_view line) { lines += line; }});
    p.check(result.ok() == (code == 0) && result.code == code, "the exit status of a program");
    p.check(result.out == "out\n" && lines == "out", "the output of a program");
    p.check(code == 0 || result.reason() == cat("exit status ", code), "ProgramResult::reason");
  });
  p.must("run_program", "run_program({\"/nowhere/at/all\"});", [&] {
    const ProgramResult result = volley::run_program({"/nowhere/at/all"});
    p.check(!result.ok() && result.end == ProgramResult::End::not_started, "a program that is not there");
  });
}

void use_text(Program& p) {
  for (const char* name :
       {"nearest", "quoted_list", "suggestion", "readable_line", "utf8_size", "parse_number"})
    p.count(name);
  const std::vector<std::string> words{"linear", "flatten", "surrogate"};
  std::string word = words[p.random.below(words.size())];
  std::swap(word[0], word[1]);
  p.check(std::ranges::count(words, nearest(word, words)) == 1, "a swap of letters is near", word);
  p.check(nearest("zzzzzzzzzz", words).empty() && nearest(word, {}).empty(), "what is far is not near");
  p.check(quoted_list(words) == "'linear', 'flatten', 'surrogate'" && quoted_list({}).empty(), "quoted_list");
  p.check(suggestion(word, words) == cat("; did you mean '", nearest(word, words), "'?"), "suggestion");
  p.check(suggestion("zzzzzzzzzz", words) == cat("; expected one of ", quoted_list(words)) &&
              suggestion(word, {}).empty(),
          "suggestion where nothing is near");
  std::string bytes;
  for (std::size_t i = p.random.below(20); i-- > 0;) bytes += static_cast<char>(p.random.bits());
  const std::string line = readable_line(bytes);
  p.check(std::ranges::none_of(line, [](char c) { return (c >= 0 && c < ' ') || c == 127; }),
          "a readable line has no control character");
  p.check(readable_line(line) == line, "a readable line stays as it is");
  for (std::string_view rest = line; !rest.empty(); rest.remove_prefix(utf8_size(rest)))
    p.check(utf8_size(rest) > 0, "a readable line is UTF-8");
  const double number = p.random.real(-10, 10);
  double read = 0;
  p.check(parse_number(cat(" ", number, "\t"), read) && std::abs(read - number) < 1e-6, "parse_number");
  for (const char* wrong : {"", "x", "1 2", "nan", "inf", "1e999", "0x10", "1,5"})
    p.check(!parse_number(wrong, read), "parse_number takes what is no number", wrong);
}

void use_choices(Program& p) {
  for (const char* name : {"choices", "kinds", "set_kind"}) p.count(name);
  p.check(choices(Norm::l2)[static_cast<std::size_t>(Norm::l2)] == "l2", "the words of an enumeration");
  const std::vector<std::string> known = kinds<Schedule>();
  Schedule schedule;
  for (const std::string& kind : known) {
    p.check(set_kind(schedule, kind), "a kind that is known", kind);
    p.check(std::visit([](const auto& own) { return own.kKind; }, schedule) == kind, "set_kind", kind);
  }
  const std::size_t before = schedule.index();
  p.check(!set_kind(schedule, "nothing") && schedule.index() == before, "a kind that is not known");
  p.check(is_variant<Schedule> && is_vector<std::vector<int>> && is_optional<std::optional<float>> &&
              is_options<AdamOptions> && !is_options<float> && !is_variant<AdamOptions>,
          "what a field can be");
}

void use_forms(Program& p) {
  const Shape shape = signal_shape(p.random.between(1, 3), p.random.between(1, 4), draw_features(p));
  const Input x = draw_input(p, "x", shape, Want::either);
  ThreadPool& threads = pool_of(p.random.between(1, p.threads()));
  SignalMemory memory, values;
  p.must("plain", "y = plain(x, memory, threads);", [&] {
    const Signal y = plain(x.x(), memory, threads);
    p.check(y.layout() == Layout::row_major && y.stored_steps() == y.steps(), "plain is the plain form");
    p.check(y.is_spikes() == x.x().is_spikes(), "spikes stay spikes in plain");
    p.must("real_values", "real_values(y, values, threads);", [&] {
      const Signal real = real_values(y, values, threads);
      const std::vector<float> got(real.values(), real.values() + real.shape().size());
      p.check(same_values(got, x.plain()), "real values of the plain form", difference(got, x.plain()));
    });
  });
  p.must("real_values", "real_values(x, values, threads);", [&] {
    const Signal real = real_values(x.x(), values, threads);
    p.check(!real.is_spikes() && real.layout() == x.x().layout(), "real values keep the layout");
  });
  p.check(plain({}, memory, threads).empty() && real_values({}, values, threads).empty(),
          "an empty signal stays empty");
}

void use_kernels(Program& p) {
  for (const char* name :
       {"kernels::compiled_targets", "kernels::supported_targets", "kernels::active_target"})
    p.count(name);
  const std::vector<std::string> compiled = kernels::compiled_targets();
  std::vector<std::string> supported = kernels::supported_targets();
  const std::string before = kernels::active_target();
  p.check(!supported.empty() && std::ranges::count(supported, before) == 1, "the target in use", before);
  for (const std::string& target : supported)
    p.check(std::ranges::count(compiled, target) == 1, "a target that is compiled", target);
  const std::string target = p.random.one_of(supported);
  p.must("kernels::force_target", cat("force_target(\"", target, "\");"), [&] {
    kernels::force_target(target);
    p.check(kernels::active_target() == target, "force_target", target);
    kernels::force_target(before);
  });
  p.must_throw("kernels::force_target", "force_target(\"mmx\");", [&] { kernels::force_target("mmx"); });
  p.may("kernels::use_environment_target", "use_environment_target();",
        [&] { kernels::use_environment_target(); });
  kernels::force_target(before);
  if (!p.random.chance(0.1)) return;
  p.must("kernels::measure_limits", "measure_limits(threads);", [&] {
    const kernels::Limits limits = kernels::measure_limits(pool_of(p.random.between(1, p.threads())));
    p.check(limits.bytes_per_second > 1e6 && limits.operations_per_second > 1e6, "measure_limits");
  });
}

void use_pictures(Program& p, const fs::path& folder) {
  const std::size_t H = p.random.between(1, 6), W = p.random.between(1, 6);
  const Dataset drawn = draw_dataset(p, "data", {1, H, W}, 2, 2);
  std::string pgm = cat("P5 ", W, " ", H, " 255\n");
  for (const std::uint8_t pixel : drawn.picture(0)) pgm += static_cast<char>(pixel);
  const fs::path path = folder / "picture.pgm";
  write_file_whole(path, pgm);
  p.must("read_image", "read_image(path);", [&] {
    const Dataset read = read_image(path);
    p.check(read.shape == drawn.shape && std::ranges::equal(read.pixels, drawn.picture(0)),
            "a picture that is written and read is itself");
  });
  write_file_whole(path, std::string_view(pgm).substr(0, p.random.below(pgm.size())));
  p.must_throw("read_image", "read_image(cut);", [&] { read_image(path); });
  p.must_throw("read_image", "read_image(folder);", [&] { read_image(folder); });
  const std::size_t height = p.random.between(1, 9), width = p.random.between(1, 9);
  p.must("resized", cat("resized(data, ", height, ", ", width, ");"), [&] {
    const Dataset other = resized(drawn, height, width);
    other.check();
    p.check(other.shape == Shape{1, height, width} && other.size() == 2, "resized");
    p.check(resized(drawn, H, W).pixels == drawn.pixels, "resized to its own size");
  });
  p.must_throw("resized", "resized(data, 0, 3);", [&] { resized(drawn, 0, 3); });
  p.must_throw("resized", "resized(a set of (2), 3, 3);", [&] {
    resized({.name = "line", .shape = {2}, .pixels = {1, 2}, .labels = {0}, .classes = {"one"}}, 3, 3);
  });
}

void use_currents(Program& p, const fs::path& folder) {
  const fs::path path = folder / "current.csv";
  const std::size_t steps = p.random.between(1, 5);
  std::string text = p.random.chance(0.5) ? "t,x\n" : "";
  for (std::size_t i = 0; i < steps; ++i) text += cat(i, ",", p.random.below(9), "\n");
  write_file_whole(path, text);
  p.must("read_current_csv", "read_current_csv(path);", [&] {
    const CurrentCsv current = read_current_csv(path);
    p.check(current.t.size() == steps && current.x.size() == steps, "the values of a current");
  });
  write_file_whole(path, text + p.random.one_of<const char*>({"x\n", "0,1\n", "9,nan\n", "1,2,3\n"}));
  p.must_throw("read_current_csv", "read_current_csv(wrong);", [&] { read_current_csv(path); });
}

void use_recordings(Program& p, const fs::path& folder) {
  constexpr EventFormat kWritten[] = {EventFormat::nmnist, EventFormat::aedat2, EventFormat::aedat4,
                                      EventFormat::evt2,   EventFormat::evt3,   EventFormat::dat,
                                      EventFormat::es,     EventFormat::npz,    EventFormat::csv};
  const EventFormat format = kWritten[p.random.below(std::size(kWritten))];
  const std::string name(choices(format)[static_cast<std::size_t>(format)]);
  std::vector<Event> events(p.random.below(300));
  std::uint64_t t = 0;
  for (Event& event : events) {
    t += p.random.below(5000);
    const auto pixel = [&] { return static_cast<std::uint16_t>(p.random.below(100)); };
    event = {t, pixel(), pixel(), static_cast<std::uint16_t>(p.random.below(2))};
  }
  const fs::path path = folder / "recording";
  const EventFileInfo size{.width = 128, .height = 128};
  p.must("write_events", cat("write_events(path, ", name, ", events, {128, 128});"),
         [&] { write_events(path, format, events, size); });
  p.must("read_events", "read_events(path, {format});", [&] {
    p.check(read_events(path, {.format = format}) == events, "events that are written and read", name);
  });
  p.must("EventFile::EventFile", "EventFile file(path, {format});", [&] {
    EventFile file(path, {.format = format});
    for (const char* called : {"EventFile::info", "EventFile::read", "EventFile::operator="}) p.count(called);
    p.check(file.info().format == format, "the format of a recording", name);
    std::vector<Event> block(p.random.between(1, 100)), read;
    for (std::size_t n = block.size(); n == block.size();) {
      n = file.read(block);
      read.insert(read.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
      if (p.random.chance(0.1)) {
        EventFile other = std::move(file);
        file = std::move(other);
      }
    }
    p.check(read == events, "events block by block", name);
  });
  p.must("EventFileWriter::EventFileWriter", "EventFileWriter writer(path, csv);", [&] {
    for (const char* called : {"EventFileWriter::write", "EventFileWriter::finish"}) p.count(called);
    EventFileWriter writer(path, EventFormat::csv);
    writer.write(events);
    if (p.random.chance(0.5)) return;  // what was there stays
    writer.finish();
    p.check(read_events(path, {.format = EventFormat::csv}) == events, "events by a writer");
  });
  p.must("event_format_of_name", "event_format_of_name(\"a.npz\");", [&] {
    p.check(event_format_of_name("a.npz") == EventFormat::npz && !event_format_of_name("a.what"),
            "event_format_of_name");
  });
  write_file_whole(path, "1,2,3,4,5\n");
  p.must_throw("read_events", "read_events(wrong, {csv});",
               [&] { read_events(path, {.format = EventFormat::csv}); });
  p.must_throw("EventFile::EventFile", "EventFile(none);", [&] { EventFile file(folder / "none"); });
  p.must_throw("write_events", "write_events(path, bs1, events);",
               [&] { write_events(path, EventFormat::bs1, events); });
}

void use_sets(Program& p) {
  const std::vector<std::string> names = datasets::names();
  const std::string& name = names[p.random.below(names.size())];
  p.must("datasets::info", cat("datasets::info(\"", name, "\");"), [&] {
    const datasets::Info info = datasets::info(name);
    p.check(info.name == name && info.train_samples > 0 && info.shape.rank() == 3 && info.place.empty(),
            "what is known of a set", name);
  });
  p.must("datasets::file_names", "datasets::file_names(name);",
         [&] { p.check(!datasets::file_names(name).empty(), "the files of a set", name); });
  p.may("datasets::find", "datasets::find(name, \"/nowhere\");",  // a distribution may have it
        [&] { p.check(fs::is_directory(datasets::find(name, "/nowhere")), "where a set is"); });
  p.must_throw("datasets::info", "datasets::info(\"nothing\");", [&] { datasets::info("nothing"); });
  p.must_throw("datasets::file_names", "datasets::file_names(\"nothing\");",
               [&] { datasets::file_names("nothing"); });
  p.must_throw("datasets::find", "datasets::find(\"nothing\");", [&] { datasets::find("nothing"); });
}

void compare_recipes(Program& p) {
  const Recipe recipe = load_recipe("lif_fc_mnist");
  p.must("differences_of", "differences_of(recipe, with_settings(recipe, {\"epochs=77\"}));", [&] {
    p.check(differences_of(recipe, recipe).empty(), "a recipe does not differ from itself");
    const auto differences = differences_of(recipe, with_settings(recipe, {"epochs=77"}));
    p.check(differences.size() == 1 && differences[0].key == "epochs" && differences[0].second == "77",
            "differences_of");
  });
}

}  // namespace

void check_tools(Program& p) {
  const ScratchFolder folder("random");
  switch (p.random.below(7)) {
    case 0: use_files(p, folder.path()); break;
    case 1: use_programs(p, folder.path()); break;
    case 2: use_pictures(p, folder.path()); break;
    case 3: use_currents(p, folder.path()); break;
    case 4: use_recordings(p, folder.path()); break;
    case 5: check_events(p); break;
    default: use_kernels(p);
  }
  use_text(p);
  use_choices(p);
  use_forms(p);
  use_sets(p);
  compare_recipes(p);
}

}  // namespace volley::test
