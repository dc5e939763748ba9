#include "module.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/kernels.hpp>
#include <volley/version.hpp>

#include "arrays.hpp"

namespace volley::python {
namespace {

struct Pool {
  std::shared_ptr<ThreadPool> pool;
  std::size_t count = 0;  // as asked for
  ::pid_t owner = -1;
};

/// SAFETY: used with Python's lock only.
Pool& current() {
  static Pool pool;
  return pool;
}

nb::object checked(PyObject* made) {
  if (made == nullptr) throw nb::python_error();
  return nb::steal(made);
}

/// What a file is called may be no Unicode: bytes of it are then shown as "\xff".
nb::object text_from(std::string_view text) {
  return checked(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace"));
}

/// Raises the class of that name of volley.errors, with the same text.
template <class Set>
void raise(const char* name, const Error& error, Set&& set_values) {
  const nb::object type = nb::module_::import_("volley.errors").attr(name);
  const nb::object raised = type(text_from(error.what()));
  set_values(raised);
  PyErr_SetObject(type.ptr(), raised.ptr());
}

void set_argument(const nb::object& raised, const ArgumentError& error) {
  raised.attr("operation") = text_from(error.operation());
  raised.attr("rule") = text_from(error.rule());
  raised.attr("found") = text_from(error.found());
}

/// Python's own error where a class cannot be had.
void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const ShapeError& error) {
    raise("ShapeError", error, [&](const nb::object& raised) {
      set_argument(raised, error);
      nb::list sizes;
      for (const std::size_t size : error.shape().sizes()) sizes.append(size);
      raised.attr("shape") = nb::tuple(sizes);
    });
  } catch (const ArgumentError& error) {
    raise("ArgumentError", error, [&](const nb::object& raised) { set_argument(raised, error); });
  } catch (const FileError& error) {
    raise("FileError", error, [&](const nb::object& raised) {
      raised.attr("path") = checked(PyUnicode_DecodeFSDefaultAndSize(
          error.path().data(), static_cast<Py_ssize_t>(error.path().size())));
    });
  } catch (const DeviceError& error) {
    raise("DeviceError", error,
          [&](const nb::object& raised) { raised.attr("device") = text_from(error.device()); });
  } catch (const RecipeError& error) {
    raise("RecipeError", error, [](const nb::object&) {});
  } catch (const Error& error) {
    raise("Error", error, [](const nb::object&) {});
  }
}

}  // namespace

std::shared_ptr<ThreadPool> threads() {
  Pool& now = current();
  if (now.pool == nullptr || now.owner != ::getpid()) {
    now.pool = std::make_shared<ThreadPool>(now.count);
    now.owner = ::getpid();
  }
  return now.pool;
}

void set_threads(std::size_t count) {
  Pool& now = current();
  now.count = count;
  now.pool.reset();
}

namespace detail {

std::string float_repr(double value) {
  // The shortest text that gives back the same float32.
  std::string text = fmt::format("{}", static_cast<float>(value));
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

}  // namespace detail
}  // namespace volley::python

NB_MODULE(_volley, m) {
  using namespace volley::python;

  m.doc() = "Bindings of the C++ library Volley; used through the package volley.";
  m.attr("__version__") = VOLLEY_VERSION;
  nb::register_exception_translator(translate);
  // A Python surrogate refers to the module that it was written in, and that, as a rule, to the network: a
  // cycle that Python does not see. What it keeps to the end is no leak to complain of.
  nb::set_leak_warnings(false);

  bind_spikes(m);
  bind_state(m);
  bind_layers(m);
  bind_conv_and_pools(m);
  bind_norm(m);
  bind_neurons(m);
  bind_sequential(m);
  bind_recurrent(m);
  bind_residual(m);
  bind_data(m);
  bind_encoders(m);
  bind_losses(m);
  bind_metrics(m);
  bind_optimizers(m);
  bind_training(m);
  bind_sources(m);
  bind_trainer(m);
  bind_views(m);
  bind_copies(m);

  m.def(
      "set_threads",
      [](std::int64_t count) {
        volley::check_range("threads", "count", static_cast<double>(count),
                            volley::between(0, volley::ThreadPool::kMostThreads));
        set_threads(static_cast<std::size_t>(count));
      },
      nb::arg("count"),
      "Shares out the work of later passes to `count` threads; 0, as at the start: one per processor.\n\n"
      "Results are the same bits for any number.");
  m.def(
      "threads", [] { return threads()->size(); }, "How many threads passes use.");
  m.def(
      "simd_target", [] { return std::string(volley::kernels::active_target()); },
      "The instruction set in use: \"avx512\", \"avx2\" or \"neon\"; the best that the processor has, or "
      "what "
      "VOLLEY_TARGET\nnamed in the environment at import.");
  m.def("_use_environment_target", volley::kernels::use_environment_target);
}
