#pragma once

// Every neuron of the list Neurons: neuron_of<Real>(options) is the one that options describe.
#include "reference/alif.hpp"
#include "reference/cuba_lif.hpp"
#include "reference/glif.hpp"
#include "reference/izhikevich.hpp"
#include "reference/klif.hpp"
#include "reference/lif.hpp"
#include "reference/qif.hpp"
