#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <volley/known_sets.hpp>

#include "options.hpp"
#include "scenes.hpp"

namespace volley::test {
namespace {

/// A file of this process alone, removed at the end.
class ScratchFile {
 public:
  ScratchFile()
      : path_(std::filesystem::temp_directory_path() /
              cat("volley_random_program_", ::getpid(), ".safetensors")) {}
  ~ScratchFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

bool can_be_saved(const Network& network) {
  if (network.net.size() == 0) return false;
  for (const char* own : {"Double{", "Sign{", "Scale{", "custom", "nullptr"})
    if (network.made.text.find(own) != std::string::npos) return false;
  return true;
}

void save_and_load(Program& p, Network& network, const Input& x) {
  const ScratchFile file;
  const bool saves = can_be_saved(network);
  const auto save = [&] { save_network(file.path(), network.net); };
  if (!saves) {
    // Refused when saving, or saved and loaded: never saved and then refused.
    if (!p.may("save_network", "save_network(path, net);  // empty, or with a layer of the user", save))
      return;
  } else {
    p.must("save_network", "save_network(path, net);", save);
  }
  Sequential loaded;
  p.must("load_network", "Sequential loaded = load_network(path);",
         [&] { loaded = load_network(file.path()); });
  p.must("read_network", "read_network(path);", [&] { read_network(file.path()); });
  p.must("read_state_dict", "read_state_dict(path);", [&] {
    const NamedTensors values = read_state_dict(file.path());
    p.count("set_tensors");
    set_tensors(named_tensors(loaded), values, "the file");
    p.count("load_state_dict");
    load_state_dict(named_tensors(loaded), values, "the file");
  });
  p.must("save_state_dict", "save_state_dict(path, net.named_tensors());",
         [&] { save_weights(file.path(), network.net); });
  p.must("names_by_order",
         "load_state_dict(loaded.named_tensors(), values, \"\", {.names = names_by_order(...)});", [&] {
           p.count("load_state_dict");
           load_by_order(loaded, read_state_dict(file.path()));
         });
  Tape one, two;
  std::vector<float> expected, got;
  p.may("Layer::forward", "net.forward(x, tape);",
        [&] { expected = plain_values(p, network.net.forward(x.x(), one)); });
  p.may("Layer::forward", "loaded.forward(x, tape);",
        [&] { got = plain_values(p, loaded.forward(x.x(), two)); });
  p.check(same_values(got, expected), "a network that is loaded computes what was saved",
          difference(got, expected));
}

/// A file with bytes changed, cut or added.
void damage(Program& p, Network& network) {
  const ScratchFile file;
  if (!p.may("save_network", "save_network(path, net);", [&] { save_network(file.path(), network.net); }))
    return;
  std::string bytes;
  {
    std::ifstream in(file.path(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::size_t at = p.random.below(bytes.size());
  switch (p.random.below(3)) {
    case 0: bytes.resize(at); break;
    case 1: bytes[at] = static_cast<char>(p.random.bits()); break;
    default: bytes.insert(at, "x");
  }
  std::ofstream(file.path(), std::ios::binary) << bytes;
  p.may("load_network", cat("load_network(damaged);  // at byte ", at), [&] { load_network(file.path()); });
  p.may("read_state_dict", "read_state_dict(damaged);", [&] { read_state_dict(file.path()); });
  p.must_throw("load_network", "load_network(\"/nowhere/at/all\");",
               [&] { load_network("/nowhere/at/all"); });
  p.may("save_network", "save_network(\"/nowhere/at/all\", net);",
        [&] { save_network("/nowhere/at/all", network.net); });
}

void wrong_state(Program& p, Layer& net) {
  NamedTensors values;
  for (const NamedTensor& named : named_tensors(net)) values[named.name] = *named.tensor;
  const std::size_t before = values.size();
  if (p.random.chance(0.5) && before > 0)
    values.erase(values.begin());
  else
    values["nothing"] = Tensor(Shape{1});
  p.must_throw("set_tensors", "set_tensors(net.named_tensors(), wrong, \"here\");",
               [&] { set_tensors(named_tensors(net), values, "here"); });
  p.must_throw("set_tensors", "set_tensors({{\"weight\", nullptr}}, values, \"here\");", [&] {
    set_tensors({{"weight", nullptr}}, {{"weight", Tensor(Shape{1})}}, "here");
  });
}

std::string draw_recipe_text(Program& p) {
  const std::vector<std::string> names = builtin_recipes();
  p.count("builtin_recipes");
  std::string text;
  p.must("load_recipe", "load_recipe(a built-in one);", [&] {
    const Recipe recipe = load_recipe(names[p.random.below(names.size())]);
    p.count("to_toml");
    text = to_toml(recipe);
  });
  return text;
}

void use_recipes(Program& p) {
  std::string text = draw_recipe_text(p);
  p.must("parse_recipe", "parse_recipe(to_toml(recipe));", [&] {
    const Recipe recipe = parse_recipe(text, "text");
    p.check(to_toml(recipe) == text, "a recipe that is written and read is itself");
  });
  static const std::vector<std::string> kSettings{"epochs=5",
                                                  "epochs=-1",
                                                  "optimizer.lr=0.01",
                                                  "optimizer.kind=sgd",
                                                  "network.0.kind=linear",
                                                  "network.99.tau=2",
                                                  "nothing=1",
                                                  "training.batch=0",
                                                  "training.steps=1e99",
                                                  "encoder.kind=direct",
                                                  "encoder.mean=[0.5]",
                                                  "loss.kind=tet",
                                                  "schedule.kind=step",
                                                  "=",
                                                  "epochs",
                                                  "name=../x",
                                                  "network=[]",
                                                  "data=",
                                                  "augment.flip=true",
                                                  "training.clip_norm=nan",
                                                  "network.1.in=4",
                                                  "epochs=\"three\"",
                                                  "validation=0.5",
                                                  "network.-1.tau=3"};
  std::vector<std::string> assignments;
  while (assignments.empty() || p.random.chance(0.5))
    assignments.push_back(kSettings[p.random.below(kSettings.size())]);
  const auto build = [&](const Recipe& recipe) {
    p.may("Recipe::build_parts", "recipe.build_parts();", [&] { recipe.build_parts(); });
    if (recipe.network.size() > 12) return;
    p.may("Recipe::build_network", "recipe.build_network({1, 6, 6});", [&] {
      recipe.build_network({1, 6, 6});
    });
  };
  build(parse_recipe(text, "text"));
  p.may("with_settings",
        cat("with_settings(recipe, {\"", assignments[0], "\", ...", assignments.size(), "});"),
        [&] { build(with_settings(parse_recipe(text, "text"), assignments)); });
  const std::size_t at = p.random.below(text.size());
  switch (p.random.below(3)) {
    case 0: text.resize(at); break;
    case 1: text[at] = static_cast<char>(p.random.below(128)); break;
    default: text.insert(at, p.random.one_of<const char*>({"=", "\"", "[[", "1e400", "\n", "#", "]", ","}));
  }
  p.may("parse_recipe", "parse_recipe(damaged, \"text\");", [&] { parse_recipe(text, "text"); });
}

void describe(Program& p, Network& network) {
  for (std::size_t i = 0; i < network.net.size(); ++i) {
    LayerRecipe recipe;
    if (!p.may("recipe_of", cat("recipe_of(net[", i, "]);"), [&] { recipe = recipe_of(network.net[i]); }))
      continue;
    p.may("make_layer", cat("make_layer(recipe_of(net[", i, "]));"), [&] {
      const std::unique_ptr<Layer> layer = make_layer(recipe);
      p.check(layer->kind() == network.net[i].kind(), "a layer that is described and made has its kind");
    });
  }
}

void take_data(Program& p) {
  Recipe recipe;
  recipe.train_samples = p.random.below(9);
  recipe.test_samples = p.random.below(9);
  recipe.validation = p.random.one_of({0.0, 0.25, 2.0, 9.0});
  const Dataset data = draw_dataset(p, "data", {1, 2, 2}, p.random.below(7), 2);
  p.may("Recipe::take", "recipe.take({data, data});", [&] {
    const Split split = recipe.take(Split{.train = data, .test = data});
    p.check(split.train.size() + split.validation.size() <= data.size(),
            "a recipe takes no more than there is");
    if (kHasContract && p.random.chance(0.5)) recipe = with_settings(recipe, {"loss.class_weights=balanced"});
    p.may("Recipe::balanced_by", "recipe = recipe.balanced_by(split.train);",
          [&] { balance(recipe, split.train); });
  });
}

void use_known_sets(Program& p) {
  p.count("datasets::names");
  const std::vector<std::string> names = datasets::names();
  p.count("datasets::is_picture_folder");
  p.check(!datasets::is_picture_folder(names[0]), "the name of a set is no folder");
  p.count("datasets::default_folder");
  static_cast<void>(datasets::default_folder());
  const std::string name = p.random.one_of<const char*>({"mnist", "nothing", "", "./nowhere", "/"});
  p.must_throw("datasets::load", cat("datasets::load(\"", name, "\", \"/nowhere\");"),
               [&] { datasets::load(name, "/nowhere"); });
  p.must_throw("datasets::load_part", "datasets::load_part(name, Part::test, \"/nowhere\");",
               [&] { datasets::load_part(name, datasets::Part::test, "/nowhere"); });
  p.must_throw("datasets::mnist", "datasets::mnist(\"/nowhere\");", [&] { datasets::mnist("/nowhere"); });
  p.must_throw("datasets::fashion_mnist", "datasets::fashion_mnist(\"/nowhere\");",
               [&] { datasets::fashion_mnist("/nowhere"); });
  p.must("datasets::list", "datasets::list(\"/nowhere\");", [&] { datasets::list("/nowhere"); });
  p.must_throw("datasets::fetch", "datasets::fetch(\"nothing\", \"/nowhere\", {cancelled});",
               [&] { datasets::fetch("nothing", "/nowhere", {.cancelled = [] { return true; }}); });
}

}  // namespace

void storage_scene(Program& p) {
  Place at{.features = draw_features(p), .steps = 2};
  Network network = draw_net(p, "net", at, p.random.between(0, 4));
  const Input x = draw_input(p, "x", signal_shape(2, at.steps, at.features), Want::real);
  switch (p.random.below(5)) {
    case 0:
    case 1: save_and_load(p, network, x); break;
    case 2: damage(p, network); break;
    case 3: wrong_state(p, network.net); break;
    default: describe(p, network);
  }
}

void recipe_scene(Program& p) {
  use_recipes(p);
  take_data(p);
  use_known_sets(p);
  check_runs(p);
}

}  // namespace volley::test
