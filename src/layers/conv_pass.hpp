#pragma once

#include <volley/conv.hpp>
#include <volley/tape.hpp>

namespace volley {

/// One pass through a convolution, which every class of convolutions shares. Along one dimension a picture
/// has height 1.
struct ConvPass {
  detail::ConvSizes sizes;
  Size2 x, y;      // the pictures that go in and come out
  Shape features;  // of the signal that comes out
};

/// A transposed convolution is the adjoint of the convolution of the same window that maps y to x. So it is a
/// convolution whose outputs see the inputs that would have seen them, with the weights of the other:
/// `weight` is (in, out / groups, taps) then, otherwise (out, in / groups, taps).
Signal conv_forward(const ConvPass& pass, const Signal& x, const float* weight, const float* bias,
                    Tape& tape);
/// Adds to dweight, and to dbias where the convolution has one, and returns dx.
Signal conv_backward(Tape& tape, const Signal& dy, const float* weight, float* dweight, float* dbias);

}  // namespace volley
