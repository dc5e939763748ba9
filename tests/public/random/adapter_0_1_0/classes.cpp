#include "scenes.hpp"

namespace volley::test {

// What ../classes.cpp asks of classes, 0.1.0 does not have.
void classes_scene(Program& p) { loss_scene(p); }

}  // namespace volley::test
