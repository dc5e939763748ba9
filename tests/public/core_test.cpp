// Shapes, tensors, spikes, signals and files with sizes and indices that do not fit.

#include <filesystem>
#include <fstream>
#include <limits>

#include "support.hpp"

namespace volley::test {
namespace {

TEST(PublicShapes, IndicesAndSizesAreChecked) {
  const Shape shape{2, 3};
  expect_throws<ArgumentError>([&] { static_cast<void>(shape[2]); }, {"[shape]", "2"});
  EXPECT_THROW(static_cast<void>(shape[kHuge]), ArgumentError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), Error);
  EXPECT_THROW((static_cast<void>(Shape{kHuge, 2}.size())), Error);
  EXPECT_EQ((Shape{kHuge, 0}.size()), 0u);
  EXPECT_EQ(Shape{}.size(), 1u);
  EXPECT_THROW(static_cast<void>(Shape({1, 1, 1, 1, 1, 1, 1}).after({1, 1})), Error);
  works_or_throws([&] { EXPECT_EQ(shape.from(5).rank(), 0u); }, "[shape]");
}

TEST(PublicTensors, ZeroAndHugeSizes) {
  EXPECT_EQ(Tensor{}.size(), 0u);
  EXPECT_EQ(Tensor(Shape{}).size(), 1u);
  EXPECT_EQ(Tensor(Shape{3, 0, 2}).size(), 0u);
  EXPECT_TRUE(is_finite(Tensor{}));
  EXPECT_THROW(Tensor(Shape{kHuge}), Error);
  EXPECT_THROW((Tensor(Shape{std::size_t{1} << 40, std::size_t{1} << 40})), Error);
  EXPECT_THROW((Tensor(Shape{std::size_t{1} << 62})), Error);
  Tensor tensor = some_values({2, 3});
  EXPECT_THROW(tensor.resize({std::size_t{1} << 62}), Error);
  EXPECT_EQ(tensor.size(), tensor.shape().size());
  Tensor to = std::move(tensor);
  EXPECT_EQ(tensor.size(), tensor.shape().size());
  EXPECT_EQ(to.shape(), (Shape{2, 3}));
  const Tensor& self = to;
  to = self;
  EXPECT_EQ(values_of(to), values_of(some_values({2, 3})));
}

TEST(PublicSpikes, IndicesAndSizesAreChecked) {
  const Spikes spikes = some_spikes({2, 3, 70});
  std::vector<std::uint32_t> counts(70), fewer(69), more(71);
  std::vector<std::uint8_t> bytes(420), short_bytes(419), long_bytes(421);
  expect_throws<ArgumentError>([&] { static_cast<void>(spikes.fired(2, 0, 0)); }, {"[spikes]", "2"});
  EXPECT_THROW(static_cast<void>(spikes.fired(0, 3, 0)), ArgumentError);
  EXPECT_THROW(static_cast<void>(spikes.fired(0, 0, 70)), ArgumentError);
  EXPECT_THROW(static_cast<void>(spikes.fired(kHuge, kHuge, kHuge)), ArgumentError);
  EXPECT_THROW(static_cast<void>(spikes.count(2, 0)), ArgumentError);
  EXPECT_THROW(static_cast<void>(spikes.count(0, 70)), ArgumentError);
  EXPECT_THROW(spikes.count_by_feature(2, counts), ArgumentError);
  EXPECT_THROW(spikes.count_by_feature(0, fewer), ArgumentError);
  EXPECT_THROW(spikes.count_by_feature(0, more), ArgumentError);
  EXPECT_THROW(spikes.to_bytes(short_bytes), ArgumentError);
  EXPECT_THROW(spikes.to_bytes(long_bytes), ArgumentError);
  EXPECT_THROW(Spikes::from_bytes({2, 3, 70}, short_bytes), ArgumentError);
  EXPECT_THROW(Spikes::from_bytes({2, 3}, bytes), ShapeError);
  EXPECT_THROW(Spikes(Shape{2, 3}), ShapeError);
  EXPECT_THROW(Spikes(Shape{kHuge, 2, 2}), Error);
  EXPECT_THROW(Spikes(Shape{std::size_t{1} << 30, std::size_t{1} << 30, 65}), Error);
  spikes.to_bytes(bytes);
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(bytes, 1)), spikes.count());
}

TEST(PublicSpikes, OfNoSize) {
  for (const Shape& shape : {Shape{0, 3, 4}, Shape{2, 0, 4}, Shape{2, 3, 0}}) {
    const Spikes spikes(shape);
    EXPECT_EQ(spikes.count(), 0u);
    std::vector<std::uint8_t> none;
    EXPECT_NO_THROW(spikes.to_bytes(none));
    EXPECT_EQ(to_tensor(spikes).size(), 0u);
  }
  const Spikes nothing;
  EXPECT_EQ(nothing.count(), 0u);
  EXPECT_THROW(static_cast<void>(nothing.fired(0, 0, 0)), ArgumentError);
  Spikes from = some_spikes({2, 3, 70});
  Spikes to = std::move(from);
  EXPECT_EQ(from.count(), 0u);
  EXPECT_THROW(static_cast<void>(from.fired(0, 0, 0)), ArgumentError);
  const Spikes& self = to;
  to = self;
  EXPECT_EQ(to.count(), some_spikes({2, 3, 70}).count());
}

TEST(PublicSignals, MemoryThatDoesNotFitIsAShapeError) {
  const Tensor vector = some_values({2, 3, 4}), flat = some_values({6}), scalar = some_values(Shape{});
  EXPECT_THROW(Signal{flat}, ShapeError);
  EXPECT_THROW(Signal{scalar}, ShapeError);
  EXPECT_THROW((Signal(vector, {2, 4, 4})), ShapeError);
  EXPECT_THROW((Signal(vector, {2, 3, 4}, Layout::channels_last)), ShapeError);
  EXPECT_THROW((Signal(flat, {1, 2, 3})), ShapeError);
  EXPECT_THROW((Signal(scalar, {1, 1, 1})), ShapeError);
  EXPECT_THROW((static_cast<void>(stored_shape({2, 3, 4}, Layout::channels_last, 3))), ShapeError);
  EXPECT_THROW(static_cast<void>(stored_shape(Shape{}, Layout::row_major, 1)), ShapeError);
  const Signal x(vector);
  EXPECT_THROW(static_cast<void>(x.reshaped({2, 3, 5})), ShapeError);
  EXPECT_THROW(static_cast<void>(x.reshaped({3, 2, 4})), ShapeError);
  EXPECT_THROW(static_cast<void>(x.with_values(flat)), ShapeError);
  EXPECT_EQ(x.reshaped({2, 3, 2, 2}).shape(), (Shape{2, 3, 2, 2}));
  EXPECT_TRUE(Signal{}.empty());
  expect_throws<ArgumentError>([] { to_tensor(Signal{}); }, {"[signal]", "empty"});
}

TEST(PublicSignals, AConstantSignalOfNoStepsIsNothing) {
  const Tensor once = some_values({2, 1, 3});
  works_or_throws([&] { EXPECT_EQ(to_tensor(Signal(once, {2, 0, 3})).size(), 0u); }, "[signal]");
  EXPECT_FALSE(Signal(once, {2, 1, 3}).constant());
  EXPECT_TRUE(Signal(once, {2, 2, 3}).constant());
}

TEST(PublicFields, RangesSayWhatTheyMean) {
  EXPECT_EQ(above(1).text(), "> 1");
  EXPECT_FALSE(any().contains(kInfinity));
  expect_throws<ArgumentError>([] { check_range("lif", "tau", 0.5, above(1)); },
                               {"[lif] tau must be > 1, got 0.5"});
  expect_throws<ArgumentError>([] { check_fields("lif", LIFOptions{.tau = 0.5f}); }, {"[lif] tau"});
  expect_throws<ArgumentError>([] { check_surrogate(QPseudoSpike{.alpha = 1}); }, {"alpha", "> 1"});
  expect_throws<ShapeError>([] { check_picture("pool", {3}); }, {"[pool]", "(3)"});
  expect_throws<ShapeError>(
      [] {
        static_cast<void>(Window{.kernel_size = 4}.check_outputs("pool", {1, 3, 3}));
      },
      {"[pool]", "(1, 3, 3)"});
  EXPECT_THROW(static_cast<void>(Window{.kernel_size = 0}.check_outputs("pool", {1, 3, 3})), Error);
  EXPECT_THROW((static_cast<void>(Window{.kernel_size = 2, .stride = 0}.check_outputs("pool", {1, 3, 3}))),
               Error);
}

TEST(PublicFiles, MissingAndDamagedFilesAreFileErrors) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "volley_public_damaged.safetensors";
  expect_throws<FileError>([] { load_network("/nowhere/at/all"); }, {"/nowhere/at/all"});
  expect_throws<FileError>([] { read_state_dict("/nowhere/at/all"); }, {"/nowhere/at/all"});
  Sequential net{Linear{4, 2}, LIF{}};
  expect_throws<FileError>([&] { save_network("/nowhere/at/all", net); }, {"/nowhere/at/all"});
  save_network(path, net);
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    expect_throws<FileError>([&] { load_network(path); }, {path.string()});
  }
  std::filesystem::remove(path);
}

TEST(PublicFiles, TensorsThatDoNotFitAreNamed) {
  Sequential net{Linear{4, 2}};
  const std::vector<float> before = tensors_of(net);
  NamedTensors values;
  for (const NamedTensor& named : net.named_tensors()) values[named.name] = *named.tensor;
  const auto refuses = [&](const NamedTensors& wrong, const std::string& word) {
    EXPECT_FALSE(works_or_throws([&] { set_tensors(net.named_tensors(), wrong, "here"); }, word));
    EXPECT_FALSE(works_or_throws([&] { load_state_dict(net.named_tensors(), wrong, "here"); }, word));
    EXPECT_EQ(tensors_of(net), before);
  };
  NamedTensors missing = values, more = values, other = values;
  missing.erase("0.bias");
  refuses(missing, "0.bias");
  more["1.weight"] = Tensor(Shape{2});
  refuses(more, "1.weight");
  other["0.weight"] = Tensor(Shape{4, 2});
  refuses(other, "0.weight");
  other["0.weight"] = Tensor(Shape{2, 4, 1});  // a state_dict may have it so, a file of ours never has
  EXPECT_FALSE(works_or_throws([&] { set_tensors(net.named_tensors(), other, "here"); }, "0.weight"));
  EXPECT_EQ(tensors_of(net), before);
  refuses({}, "0.");
  EXPECT_NO_THROW(set_tensors(net.named_tensors(), values, "here"));
}

TEST(PublicFiles, NullTensorsAndNetworksWithoutLayersAreNamed) {
  const NamedTensors values{{"weight", Tensor(Shape{1})}};
  expect_throws<ArgumentError>(
      [&] {
        set_tensors({{"weight", nullptr}}, values, "here");
      },
      {"[set_tensors]", "'weight'", "null"});
  expect_throws<ArgumentError>(
      [&] {
        load_state_dict({{"weight", nullptr}}, values, "here");
      },
      {"'weight'", "null"});
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "volley_public_refused.safetensors";
  expect_throws<ArgumentError>(
      [&] {
        save_network(path, recipes_of(Sequential{Linear{4, 2}}), {{"weight", nullptr}});
      },
      {"[save_network]", "'weight'", "null"});
  Sequential empty;
  expect_throws<ArgumentError>([&] { save_network(path, empty); }, {"[save_network]", "layer"});
  EXPECT_FALSE(std::filesystem::exists(path));
}

/// The error of reading a safetensors file with this header.
std::string refusal_of_header(const std::string& header) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / "volley_public_header.safetensors";
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  std::ofstream(path, std::ios::binary) << bytes << header << std::string(4, '\0');
  std::string text = "no exception";
  try {
    set_tensors({}, read_state_dict(path), path.string());
  } catch (const FileError& error) {
    text = error.what();
  }
  std::filesystem::remove(path);
  return text;
}

// A terminal obeys control characters, and Python's str has no bytes that are no UTF-8.
TEST(PublicFiles, BytesOfAFileAreReadableInMessages) {
  const std::string tensor = R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  for (const std::string name : {"w\\u001b[31m", "w\\u009b31m", "w\xc5", "w\\u007f"}) {
    const std::string text = refusal_of_header("{\"" + name + tensor);
    EXPECT_NE(text.find("\\x"), std::string::npos) << text;
    EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) << text;
  }
  const std::string kept = refusal_of_header("{\"\xe8\x84\x89" + tensor);
  EXPECT_NE(kept.find("\xe8\x84\x89"), std::string::npos) << kept;
}

TEST(PublicRecipes, WrongTextIsARecipeError) {
  const std::string text = to_toml(load_recipe(builtin_recipes().at(0)));
  EXPECT_EQ(to_toml(parse_recipe(text, "text")), text);
  EXPECT_THROW(parse_recipe("epochs = ", "text"), RecipeError);
  EXPECT_THROW(parse_recipe("epoch = 3", "text"), RecipeError);
  EXPECT_THROW(parse_recipe("epochs = 1e99", "text"), RecipeError);
  const Recipe recipe = parse_recipe(text, "text");
  for (const std::string setting :
       {"", "=", "epochs", "epochs=0", "nothing=1", "network.99.tau=3", "network.-1.tau=3",
        "optimizer.kind=nothing", "training.steps=\"ten\"", "epochs=1=2"}) {
    EXPECT_THROW(with_settings(recipe, {setting}), RecipeError) << setting;
  }
  EXPECT_THROW(load_recipe("nothing"), Error);
  EXPECT_THROW(static_cast<void>(recipe.build_network({kHuge, kHuge})), Error);
  EXPECT_THROW(static_cast<void>(recipe.build_network(Shape{})), Error);
}

TEST(PublicRecipes, LayersThatNoTextHoldsAreNamed) {
  expect_throws<ArgumentError>([] { recipe_of(Double{}); }, {"double"});
  const auto ones =
      CustomSurrogate::of([](float* g, const float*, std::size_t count) { std::fill_n(g, count, 1.0f); });
  expect_throws<ArgumentError>([&] { recipe_of(LIF{{.surrogate = ones}}); }, {"surrogate"});
  const std::unique_ptr<Layer> made = make_layer(recipe_of(Sequential{Linear{4, 2}, Sequential{LIF{}}}));
  EXPECT_EQ(made->output_shape({4}), (Shape{2}));
}

}  // namespace
}  // namespace volley::test
