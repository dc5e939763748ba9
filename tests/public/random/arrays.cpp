#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "scenes.hpp"

namespace volley::test {
namespace {

/// A file of this process alone, removed at the end.
class ScratchCsv {
 public:
  ScratchCsv()
      : path_(std::filesystem::temp_directory_path() / cat("volley_random_program_", ::getpid(), ".csv")) {}
  ~ScratchCsv() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Whole numbers below `below`, in memory of any type.
Array draw_array(Program& p, const Shape& shape, std::size_t below) {
  const std::size_t size = shape.size();
  Tensor values(shape);
  for (float& value : values.values()) value = static_cast<float>(p.random.below(below));
  p.count("Array::of");
  const Array of_tensor = Array::of(values);
  if (p.random.chance(0.3)) return of_tensor;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(std::max<std::size_t>(size, 1));
  for (std::size_t i = 0; i < size; ++i) (*bytes)[i] = static_cast<std::uint8_t>(values.values()[i]);
  p.count("Array::Array");
  const Array array(shape, ElementType::u8, bytes->data(), bytes);
  std::vector<float> floats(size);
  p.must("Array::floats", "array.floats(all, 0);", [&] { array.floats(floats, 0); });
  p.check(std::ranges::equal(floats, values.values()), "an array of bytes is the tensor they are from");
  return array;
}

void look_at(Program& p, const Array& array) {
  for (const char* name : {"Array::shape", "Array::type", "Array::bytes", "Array::empty", "Array::rows",
                           "Array::row_size", "size_of", "name_of", "is_integer"}) {
    p.count(name);
  }
  const std::size_t size = array.shape().size();
  p.check(!array.empty() && array.bytes() != nullptr, "an array has memory");
  p.check(array.rows() * array.row_size() == size, "the elements of an array are those of its rows");
  p.check(name_of(array.type()) == (is_integer(array.type()) ? "uint8" : "float32"), "the name of a type");
  p.check(size_of(array.type()) == (is_integer(array.type()) ? 1 : 4), "the size of a type");
  std::vector<std::uint32_t> whole(p.random.below(size + 2));
  const std::size_t first = p.random.below(size + 2);
  const auto read = [&] { array.whole(whole, first); };
  const std::string text = cat("array.whole(", whole.size(), " numbers, ", first, ");");
  if (first + whole.size() <= size) {
    p.must("Array::whole", text, read);
  } else {
    p.must_throw("Array::whole", text, read);
  }
}

/// Whatever the source is: T and the lengths fit, and a sample alone is that of a batch.
void read_source(Program& p, const Source& source) {
  for (const char* name :
       {"Source::info", "Source::size", "Source::pictures", "has_steps", "Targets::steps_of"}) {
    p.count(name);
  }
  const SourceInfo& info = source.info();
  p.check(source.size() == info.size, "the size of a source");
  if (source.size() == 0) return;
  std::vector<std::uint32_t> ids(p.random.between(1, 4));
  for (std::uint32_t& id : ids) id = static_cast<std::uint32_t>(p.random.below(source.size()));
  Samples samples, alone;
  p.must("Source::read", cat("source.read(", ids.size(), " ids, samples);"),
         [&] { source.read(ids, samples); });
  const std::vector<std::uint32_t> last{ids.back()};
  p.must("Source::read", "source.read({ids.back()}, alone);", [&] { source.read(last, alone); });
  if (has_steps(info.kind) && info.kind == SampleKind::sequences) {
    const std::size_t T = samples.values.shape()[1], own = alone.values.shape()[1], F = info.shape.size();
    const std::size_t length = samples.targets.steps_of(ids.size() - 1, T);
    p.check(length == own && own <= T && T <= info.steps, "a sample has the same steps in every batch",
            cat(length, " of ", T, " and ", own));
    const auto values = samples.values.values().subspan((ids.size() - 1) * T * F, own * F);
    p.check(std::ranges::equal(values, alone.values.values()), "a sample is the same in every batch");
  }
  p.must_throw("Source::read", "source.read({size}, samples);", [&] {
    const std::vector<std::uint32_t> beyond{static_cast<std::uint32_t>(source.size())};
    source.read(beyond, samples);
  });
}

/// The arrays of a source may fit or not.
void draw_source(Program& p) {
  const std::size_t N = p.random.between(1, 5), T = p.random.between(1, 4), F = p.random.between(1, 3);
  std::vector<float> steps(N);
  std::size_t sum = 0;
  for (float& length : steps) {
    length = static_cast<float>(p.random.between(1, T));
    sum += static_cast<std::size_t>(length);
  }
  Tensor lengths(Shape{N});
  std::ranges::copy(steps, lengths.data());
  ArrayParts parts;
  const bool joined = p.random.chance(0.5) && sum != N;
  parts.x = draw_array(p, joined ? Shape{sum, F} : Shape{N, T, F}, 2);
  if (joined || p.random.chance(0.5)) parts.lengths = Array::of(lengths);
  if (p.random.chance(0.7)) {
    parts.targets =
        draw_array(p, p.random.one_of<Shape>({Shape{N}, Shape{N, T}, Shape{sum}, Shape{N, 2}}), 3);
  }
  if (p.random.chance(0.3)) {
    parts.mask = draw_array(p, joined ? Shape{sum} : Shape{N, p.random.between(T, T + 1)}, 2);
  }
  if (p.random.chance(0.3)) parts.weights = draw_array(p, Shape{p.random.between(N, N + 1)}, 2);
  if (p.random.chance(0.5)) {
    parts.kind = p.random.one_of({SampleKind::bytes, SampleKind::values, SampleKind::sequences,
                                  SampleKind::spikes, SampleKind::events});
  }
  std::shared_ptr<const Source> source;
  if (!p.may("ArraySource::ArraySource", cat("ArraySource source(x of ", parts.x.shape(), ");"),
             [&] { source = std::make_shared<ArraySource>(parts); })) {
    return;
  }
  read_source(p, *source);
  p.check(source->pictures() == nullptr, "arrays are no pictures in memory");
  const std::vector<std::uint32_t> ids{static_cast<std::uint32_t>(p.random.below(N))};
  p.must("Subset::Subset", "Subset subset(source, ids, \"some\");",
         [&] { read_source(p, Subset(source, ids, "some")); });
}

void read_pictures(Program& p) {
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, p.random.between(1, 4), 2);
  p.must("PictureSource::PictureSource", "PictureSource source(data);", [&] {
    const PictureSource source(data);
    p.check(source.pictures() == &data, "the pictures of a source are its data set");
    read_source(p, source);
    p.count("labels_of");
    p.check(labels_of(source) == data.labels, "the labels of pictures");
  });
  p.must("sources_of", "sources_of(Split{data, Dataset{}});", [&] {
    const Sources sources = sources_of(Split{data, Dataset{}});
    p.check(sources.train->size() == data.size() && sources.test == nullptr, "an empty part is null");
  });
}

void read_file(Program& p) {
  const ScratchCsv file;
  std::ofstream(file.path()) << p.random.one_of<const char*>(
      {"a,b\n1,2\n3,4\n", "1,2\n3,4\n", "a,b\n1\n", "a,\n", "", "1,nan\n", "\"a, b\",c\r\n1,2.5\r\n"});
  p.may("read_arrays", "read_arrays(path);", [&] {
    for (const auto& [name, array] : read_arrays(file.path())) {
      p.check(array.rows() >= 1 && array.rows() <= 2, "a table has an array of its lines");
    }
  });
  p.count("is_array_path");
  p.check(is_array_path(file.path().string()) && !is_array_path("mnist"), "what is the path of arrays");
  p.may("load_sources", "load_sources(path);", [&] {
    const Sources sources = load_sources(file.path().string());
    p.check(sources.train->size() > 0 && sources.test->size() > 0, "both sets have samples");
  });
}

}  // namespace

void check_arrays(Program& p) {
  look_at(p, draw_array(p, p.random.one_of<Shape>({Shape{3}, Shape{2, 3}, Shape{0, 2}}), 200));
  draw_source(p);
  read_pictures(p);
  read_file(p);
}

}  // namespace volley::test
