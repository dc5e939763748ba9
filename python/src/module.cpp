#include "module.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include <volley/error.hpp>
#include <volley/version.hpp>

#include "arrays.hpp"
#include "kernels/targets.hpp"

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

/// A volley::Error is a ValueError with the same text. What a file is called may be no Unicode.
void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const Error& error) {
    const std::string_view text = error.what();
    PyObject* message =
        PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
    if (message == nullptr) return;
    PyErr_SetObject(PyExc_ValueError, message);
    Py_DECREF(message);
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
  // A surrogate of the user's own refers to the module that it was written in, and that, as a rule, to the
  // network: a cycle that Python does not see. What it keeps to the end is no leak to complain of.
  nb::set_leak_warnings(false);

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
  bind_optimizers(m);
  bind_training(m);

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
      "The instruction set in use: \"AVX3_ZEN4\", \"AVX2\", \"SSE4\" ...");
}
