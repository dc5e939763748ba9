#include <nanobind/stl/shared_ptr.h>

#include <volley/error.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

std::unique_ptr<Layer> shared(const std::shared_ptr<Network>& net) {
  return net != nullptr ? std::make_unique<SharedLayer>(net) : nullptr;
}

constexpr const char* kNames[] = {"ADD", "AND", "IAND"};

Connect connect_from(const std::string& name) {
  for (const Connect connect : {Connect::ADD, Connect::AND, Connect::IAND}) {
    if (name == kNames[static_cast<std::size_t>(connect)]) return connect;
  }
  throw Error(fmt::format("[residual] connect must be one of 'ADD', 'AND', 'IAND', got '{}'", name));
}

const char* name_of(const ResidualBlock& self) {
  return kNames[static_cast<std::size_t>(self.options().connect)];
}

}  // namespace

ResidualBlock::ResidualBlock(std::shared_ptr<Network> branch, std::shared_ptr<Network> shortcut,
                             const ResidualOptions& options)
    : branch_(std::move(branch)),
      shortcut_(std::move(shortcut)),
      block_(shared(branch_), shared(shortcut_), options) {}

void bind_residual(nb::module_& m) {
  auto block = nb::class_<ResidualBlock, Layer>(
      m, "Residual",
      "The spike-element-wise residual block of SEW-ResNet: y = connect(branch(x), shortcut(x)).\n\n"
      "branch, shortcut: Sequential; without a shortcut it is x itself. connect: \"ADD\" (b + s), \"AND\" "
      "(b s) or\n\"IAND\" ((1 - b) s); the last two of spikes give spikes.");
  def_forward(block, kAnyInput, kEither);
  block
      .def(
          "__init__",
          [](ResidualBlock* self, std::shared_ptr<Network> branch, std::shared_ptr<Network> shortcut,
             const std::string& connect) {
            new (self) ResidualBlock(std::move(branch), std::move(shortcut), {connect_from(connect)});
          },
          nb::arg("branch"), nb::arg("shortcut").none() = nb::none(), nb::kw_only(),
          nb::arg("connect") = "ADD")
      .def_prop_ro("branch", &ResidualBlock::branch)
      .def_prop_ro("shortcut", &ResidualBlock::shortcut)
      .def_prop_ro("connect", name_of)
      .def("__repr__", [](const ResidualBlock& self) {
        const auto text = [](const std::shared_ptr<Network>& net) {
          return nb::cast<std::string>(nb::repr(nb::cast(net)));
        };
        return fmt::format("Residual({}, {}, connect='{}')", text(self.branch()), text(self.shortcut()),
                           name_of(self));
      });
}

}  // namespace volley::python
