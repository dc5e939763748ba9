#include <volley/encoder.hpp>

namespace volley {
namespace {

struct MakeEncoder {
  template <class E>
  static std::unique_ptr<Encoder> make(const typename E::Options& options) {
    return std::make_unique<E>(options);
  }
  auto operator()(const PoissonOptions& o) const { return make<Poisson>(o); }
  auto operator()(const DirectOptions& o) const { return make<Direct>(o); }
  auto operator()(const RowsOptions& o) const { return make<Rows>(o); }
  auto operator()(const LatencyOptions& o) const { return make<Latency>(o); }
  auto operator()(const WeightedPhaseOptions& o) const { return make<WeightedPhase>(o); }
  auto operator()(const PopulationOptions& o) const { return make<Population>(o); }
  auto operator()(const DeltaOptions& o) const { return make<Delta>(o); }
  auto operator()(const PeriodicOptions& o) const { return make<Periodic>(o); }
};

}  // namespace

std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options) {
  return std::visit(MakeEncoder{}, options);
}

}  // namespace volley
