#pragma once

#include <memory>
#include <utility>

namespace volley::ops {

/// What a device keeps for itself of a pass from one operation of a layer to the next, and from one pass to
/// the next: lists, tables, copies in another order. A layer has one beside what it saves.
class Workspace {
 public:
  virtual ~Workspace() = default;
};
using Slot = std::unique_ptr<Workspace>;

/// The workspace of type `Own` in a slot; made where there is none.
template <class Own>
Own& workspace(Slot& slot) {
  auto* own = dynamic_cast<Own*>(slot.get());
  if (own == nullptr) {
    auto made = std::make_unique<Own>();
    own = made.get();
    slot = std::move(made);
  }
  return *own;
}

}  // namespace volley::ops
