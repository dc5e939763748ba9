#pragma once

#include "report/html.hpp"
#include "report/report.hpp"

namespace volley::report {

/// Test pictures, what was made of them, and their spikes.
void add_examples(Html& page, const Tested& tested);

}  // namespace volley::report
