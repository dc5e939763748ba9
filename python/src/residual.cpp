#include <nanobind/stl/shared_ptr.h>

#include <volley/error.hpp>
#include <volley/residual.hpp>

#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

std::string_view name_of(const Residual& self) {
  return choices(Connect{})[static_cast<std::size_t>(self.options().connect)];
}

}  // namespace

void bind_residual(nb::module_& m) {
  auto block = nb::class_<Residual, Layer>(
      m, "Residual",
      "The spike-element-wise residual block of SEW-ResNet: y = connect(branch(x), shortcut(x)).\n\n"
      "branch, shortcut: Sequential; without a shortcut it is x itself. connect: \"ADD\" (b + s), \"AND\" "
      "(b s) or\n\"IAND\" ((1 - b) s), of which the last two of spikes give spikes; \"CONCATENATE\", "
      "\"MEAN\" or "
      "\"PRODUCT\".");
  def_forward(block, kAnyInput, kEither);
  block
      .def(
          "__init__",
          [](Residual* self, std::shared_ptr<Sequential> branch, std::shared_ptr<Sequential> shortcut,
             const std::string& connect) {
            new (self) Residual(std::move(branch), std::move(shortcut),
                                {choice_from<Connect>("residual", "connect", connect)});
          },
          nb::arg("branch"), nb::arg("shortcut").none() = nb::none(), nb::kw_only(),
          nb::arg("connect") = "ADD")
      .def_prop_ro("branch", &Residual::branch)
      .def_prop_ro("shortcut", &Residual::shortcut)
      .def_prop_ro("connect", name_of)
      .def("__repr__", [](const Residual& self) {
        const auto text = [](const std::shared_ptr<Sequential>& net) {
          return nb::cast<std::string>(nb::repr(nb::cast(net)));
        };
        return fmt::format("Residual({}, {}, connect='{}')", text(self.branch()), text(self.shortcut()),
                           name_of(self));
      });
}

}  // namespace volley::python
