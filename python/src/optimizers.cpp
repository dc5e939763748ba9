#include <fmt/format.h>
#include <nanobind/stl/shared_ptr.h>

#include <cmath>

#include <volley/error.hpp>
#include <volley/optimizer.hpp>
#include <volley/schedule.hpp>

#include "arrays.hpp"
#include "copies.hpp"
#include "layers.hpp"
#include "module.hpp"

namespace volley::python {
namespace {

/// What an optimizer knows of a parameter.
struct KnownParameter {
  std::string name;
  Shape shape;
  ParameterKind kind;
};

/// An optimizer, and the network whose state it has; null after a copy, until its first step.
struct Stepper {
  virtual ~Stepper() = default;
  virtual Optimizer& optimizer() = 0;

  void step(const std::shared_ptr<Layer>& layer) {
    if (net != nullptr && net.get() != layer.get()) {
      throw ArgumentError(optimizer().kind(), "step must be given the same network every time",
                          "another; make an optimizer for each");
    }
    const std::shared_ptr<ThreadPool> pool = threads();
    alone([&] {
      const std::vector<NamedParameter> parameters = layer->parameters();
      optimizer().step(parameters, *pool);
      if (known.empty()) {
        for (const NamedParameter& p : parameters)
          known.push_back({p.name, p.parameter->value.shape(), kind_of(p)});
      }
    });
    net = layer;
  }

  /// Makes room for the state of the known parameters, without them.
  void prepare() {
    std::vector<Parameter> like;
    std::vector<NamedParameter> parameters;
    for (const KnownParameter& p : known) like.emplace_back(p.shape, p.kind);
    for (std::size_t i = 0; i < known.size(); ++i) parameters.push_back({known[i].name, &like[i]});
    optimizer().prepare(parameters);
  }

  std::shared_ptr<Layer> net;
  std::vector<KnownParameter> known;  // since the first step
};

template <class O>
struct StepperOf final : Stepper {
  explicit StepperOf(const typename O::Options& options) : own(options) {}
  Optimizer& optimizer() override { return own; }
  const typename O::Options& options() const { return own.options(); }

  O own;
};

nb::list list_of(const std::vector<KnownParameter>& known) {
  nb::list list;
  for (const KnownParameter& p : known)
    list.append(nb::make_tuple(p.name, tuple_of(p.shape.sizes()), static_cast<int>(p.kind)));
  return list;
}

std::vector<KnownParameter> known_from(std::string_view kind, nb::handle state) {
  std::vector<KnownParameter> known;
  for (const nb::handle item : nb::list(state)) {
    std::string name;
    std::vector<std::size_t> sizes;
    int what = 0;
    const nb::tuple parts(item);
    if (nb::len(parts) != 3) detail::refuse_plain(kind, "parameters", item);
    detail::read_plain(kind, "parameters", parts[0], name);
    detail::read_plain(kind, "parameters", parts[1], sizes);
    detail::read_plain(kind, "parameters", parts[2], what);
    if (sizes.size() > Shape::kMaxRank || what < 0 || what > static_cast<int>(ParameterKind::neuron))
      detail::refuse_plain(kind, "parameters", item);
    known.push_back({name, Shape(sizes), static_cast<ParameterKind>(what)});
  }
  return known;
}

/// Options, state and the number of steps. The network is left out: the copy takes the one of its first step.
template <class O>
void def_optimizer_copies() {
  using Own = StepperOf<O>;
  constexpr const char* kKind = O::Options::kKind;
  def_copies<Own>(
      [](Own& self) {
        nb::dict state;
        state["options"] = fields_of(kKind, self.options());
        state["lr"] = self.own.lr();
        state["steps_taken"] = self.own.steps_taken();
        state["parameters"] = list_of(self.known);
        state["tensors"] = arrays_of(self.own.state());
        return state;
      },
      [](Own* place, const nb::dict& state) {
        Own made(fields_from<typename O::Options>(kKind, part_of(state, kKind, "options")));
        float lr = 0;
        std::uint64_t steps = 0;
        detail::read_plain(kKind, "lr", part_of(state, kKind, "lr"), lr);
        detail::read_plain(kKind, "steps_taken", part_of(state, kKind, "steps_taken"), steps);
        made.known = known_from(kKind, part_of(state, kKind, "parameters"));
        if (!made.known.empty()) made.prepare();
        set_tensors(made.own.state(), tensors_from("[pickle] tensors", part_of(state, kKind, "tensors")),
                    kKind);
        made.own.set_lr(lr);
        made.own.set_steps_taken(steps);
        new (place) Own(std::move(made));
      },
      [](Own* place, const Own& other, const nb::dict&) {
        alone([&] { new (place) Own(other); });
        place->net = nullptr;
      });
}

using Groups = std::vector<ParameterGroup>;

/// What the documentation of every optimizer ends with.
constexpr const char* kGroupsDoc =
    "\n\ngroups: a parameter belongs to the first ParameterGroup that it matches. decay_only_weights: a "
    "parameter in no group\nhas weight decay only where it is a weight: no bias, no number of a "
    "normalisation "
    "or of a neuron.";

void bind_groups(nb::module_& m) {
  nb::class_<ParameterGroup>(
      m, "ParameterGroup",
      "Parameters for which an optimizer has another weight decay, or another learning rate.\n\n"
      "match: \"weight\", \"bias\", \"norm\" or \"neuron\", what the parameters are; or a pattern of names, "
      "* "
      "for any letters, ? for one:\n\"3.*\". weight_decay: >= 0; None: the optimizer's. lr_factor: >= 0, of "
      "the "
      "learning rate. The first step raises\nArgumentError for a group that no parameter belongs to.")
      .def(
          "__init__",
          [](ParameterGroup* self, std::string match, std::optional<float> weight_decay, float lr_factor) {
            new (self) ParameterGroup{std::move(match), weight_decay, lr_factor};
          },
          nb::arg("match"), nb::arg("weight_decay") = nb::none(), nb::arg("lr_factor") = 1.0f)
      .def_ro("match", &ParameterGroup::match)
      .def_ro("weight_decay", &ParameterGroup::weight_decay)
      .def_ro("lr_factor", &ParameterGroup::lr_factor)
      .def("__repr__", [](const ParameterGroup& self) { return repr_of("ParameterGroup", self); });
}

/// Adam or AdamW, whose fields are the same.
template <class Optimizer>
void bind_adam(nb::module_& m, const char* name, const std::string& doc) {
  using Options = typename Optimizer::Options;
  const Options defaults;
  nb::class_<StepperOf<Optimizer>, Stepper>(
      m, name,
      (doc + "\n\nlr >= 0; beta1, beta2 >= 0 and < 1; eps >= 0; weight_decay >= 0." + kGroupsDoc).c_str())
      .def(
          "__init__",
          [](StepperOf<Optimizer>* self, float lr, float beta1, float beta2, float eps, float weight_decay,
             bool decay_only_weights, Groups groups) {
            new (self) StepperOf<Optimizer>({.lr = lr,
                                             .beta1 = beta1,
                                             .beta2 = beta2,
                                             .eps = eps,
                                             .weight_decay = weight_decay,
                                             .decay_only_weights = decay_only_weights,
                                             .groups = std::move(groups)});
          },
          nb::arg("lr") = defaults.lr, nb::arg("beta1") = defaults.beta1, nb::arg("beta2") = defaults.beta2,
          nb::arg("eps") = defaults.eps, nb::arg("weight_decay") = defaults.weight_decay,
          nb::arg("decay_only_weights") = defaults.decay_only_weights, nb::arg("groups") = Groups{})
      .def("__repr__", [name](const StepperOf<Optimizer>& self) { return repr_of(name, self.options()); });
  def_optimizer_copies<Optimizer>();
}

void bind_optimizer_classes(nb::module_& m) {
  bind_groups(m);
  nb::class_<Stepper>(m, "Optimizer", "Changes the parameters of a network by their gradients.")
      .def("step", &Stepper::step, nb::arg("net"),
           "One update of every parameter of `net`, which must be the same at every call. Gradients stay: "
           "clear them "
           "with\nnet.zero_gradients() before the next backward.")
      .def_prop_ro("steps_taken", [](Stepper& self) { return self.optimizer().steps_taken(); })
      .def_prop_rw(
          "lr", [](Stepper& self) { return self.optimizer().lr(); },
          [](Stepper& self, float lr) {
            check_range(self.optimizer().kind(), "lr", lr, at_least(0));
            self.optimizer().set_lr(lr);
          },
          "The learning rate of the steps to come; a schedule may set it.")
      .def_prop_ro(
          "base_lr", [](Stepper& self) { return self.optimizer().base_lr(); },
          "The learning rate it was made with.");

  nb::class_<StepperOf<Sgd>, Stepper>(
      m, "Sgd",
      (std::string(
           "g += weight_decay w; b = momentum b + g (b = g at first); w -= lr (nesterov ? g + momentum b : "
           "b).\n\n"
           "PyTorch's formula. lr >= 0; momentum >= 0 and < 1; weight_decay >= 0; nesterov needs momentum.") +
       kGroupsDoc)
          .c_str())
      .def(
          "__init__",
          [](StepperOf<Sgd>* self, float lr, float momentum, float weight_decay, bool nesterov,
             bool decay_only_weights, Groups groups) {
            new (self) StepperOf<Sgd>({.lr = lr,
                                       .momentum = momentum,
                                       .weight_decay = weight_decay,
                                       .nesterov = nesterov,
                                       .decay_only_weights = decay_only_weights,
                                       .groups = std::move(groups)});
          },
          nb::arg("lr") = 0.01f, nb::arg("momentum") = 0.0f, nb::arg("weight_decay") = 0.0f,
          nb::arg("nesterov") = false, nb::arg("decay_only_weights") = false, nb::arg("groups") = Groups{})
      .def("__repr__", [](const StepperOf<Sgd>& self) { return repr_of("Sgd", self.options()); });

  def_optimizer_copies<Sgd>();
  bind_adam<Adam>(m, "Adam",
                  "Adam as PyTorch computes it; weight_decay is added to the gradient (not AdamW).");
  bind_adam<AdamW>(m, "AdamW",
                   "Adam with decoupled weight decay as PyTorch computes it: w *= 1 - lr weight_decay, then "
                   "Adam's step.");
}

/// A schedule that `make` makes of its own arguments, named by `args`; the rest is common to all.
template <class S, class... Own, class... Args>
void bind_schedule(nb::module_& m, const char* name, const std::string& doc, S (*make)(Own...),
                   const Args&... args) {
  const std::string common =
      "\n\nunit: what is counted, \"epoch\" or \"step\". warmup: linear warm-up over the first so many, from "
      "the "
      "factor\nwarmup_start; the schedule itself counts from its end.";
  nb::class_<S>(m, name, (doc + common).c_str())
      .def(
          "__init__",
          [make](S* self, Own... own, const std::string& unit, std::size_t warmup, double warmup_start) {
            S schedule = make(std::move(own)...);
            schedule.unit = choice_from<ScheduleUnit>(S::kKind, "unit", unit);
            schedule.warmup = warmup;
            schedule.warmup_start = warmup_start;
            check_schedule(schedule);
            new (self) S(std::move(schedule));
          },
          args..., nb::arg("unit") = "epoch", nb::arg("warmup") = 0, nb::arg("warmup_start") = 1.0 / 3)
      .def(
          "lr",
          [](const S& self, double base_lr, std::uint64_t epochs, std::uint64_t steps) {
            return scheduled_lr(self, base_lr, epochs, steps);
          },
          nb::arg("base_lr"), nb::arg("epochs"), nb::arg("steps") = 0,
          "The learning rate when so many whole epochs and so many steps are done.")
      .def("__repr__", [name](const S& self) { return repr_of(name, self); });
}

void bind_schedules(nb::module_& m) {
  using Count = std::size_t;
  bind_schedule(
      m, "ConstantSchedule", "The learning rate as it is; with a warm-up, PyTorch's LinearLR.",
      +[] { return ConstantSchedule{}; });
  bind_schedule(
      m, "StepSchedule", "Times gamma after every step_size: PyTorch's StepLR.",
      +[](Count step_size, double gamma) {
        return StepSchedule{{}, step_size, gamma};
      },
      nb::arg("step_size"), nb::arg("gamma") = 0.1);
  bind_schedule(
      m, "MultiStepSchedule", "Times gamma at each milestone, which ascend: PyTorch's MultiStepLR.",
      +[](std::vector<Count> milestones, double gamma) {
        return MultiStepSchedule{{}, std::move(milestones), gamma};
      },
      nb::arg("milestones"), nb::arg("gamma") = 0.1);
  bind_schedule(
      m, "ExponentialSchedule", "Times gamma at every one: PyTorch's ExponentialLR.",
      +[](double gamma) {
        return ExponentialSchedule{{}, gamma};
      },
      nb::arg("gamma"));
  bind_schedule(
      m, "CosineSchedule",
      "Half a cosine from the learning rate to eta_min over T_max: PyTorch's CosineAnnealingLR.",
      +[](Count T_max, double eta_min) {
        return CosineSchedule{{}, T_max, eta_min};
      },
      nb::arg("T_max"), nb::arg("eta_min") = 0.0);
}

/// Clips the gradients of `net`; returns their norm before.
double clip_norm(const std::shared_ptr<Layer>& net, float max_norm) {
  check_range("clip_gradient_norm", "max_norm", max_norm, above(0));
  const std::shared_ptr<ThreadPool> pool = threads();
  return alone([&] {
    const std::vector<NamedParameter> parameters = net->parameters();
    const double norm = gradient_norm(parameters);
    clip_gradient_norm(parameters, max_norm, norm, *pool);
    return norm;
  });
}

void clip_value(const std::shared_ptr<Layer>& net, float most) {
  check_range("clip_gradient_value", "most", most, above(0));
  const std::shared_ptr<ThreadPool> pool = threads();
  alone([&] { clip_gradient_value(net->parameters(), most, *pool); });
}

}  // namespace

std::shared_ptr<Optimizer> optimizer_from(nb::handle object) {
  if (!nb::isinstance<Stepper>(object)) {
    throw nb::type_error(fmt::format("optimizer must be an optimizer, such as volley.Adam(), got {}",
                                     nb::cast<std::string>(nb::str(object.type().attr("__name__"))))
                             .c_str());
  }
  const auto held = nb::cast<std::shared_ptr<Stepper>>(object);
  return {held, &held->optimizer()};
}

void bind_optimizers(nb::module_& m) {
  bind_optimizer_classes(m);
  bind_schedules(m);
  m.def(
      "clip_gradient_norm", clip_norm, nb::arg("net"), nb::arg("max_norm"),
      "Scales the gradients of `net` so that the norm of all together is max_norm at most; returns the norm "
      "before.\nAs torch.nn.utils.clip_grad_norm_.");
  m.def("clip_gradient_value", clip_value, nb::arg("net"), nb::arg("most"),
        "Brings every gradient of `net` into [-most, most]. As torch.nn.utils.clip_grad_value_.");
}

}  // namespace volley::python
