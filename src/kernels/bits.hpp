#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace volley::kernels {

/// Turns 64 words of 64 bits about their diagonal: bit c of word r becomes bit r of word c.
void transpose_64x64(std::uint64_t* words);

/// From spikes packed by step, `steps` (T, FW) words with FW = ceil(F / 64), to spikes packed by train: the
/// features that are not silent, ascending, into `active` (F), and the steps of the a-th of them into row a
/// of `trains` (F, W), W = ceil(T / 64). Returns how many there are; the rows behind are not touched.
std::size_t steps_to_trains(std::uint64_t* trains, std::uint32_t* active, const std::uint64_t* steps,
                            std::size_t T, std::size_t F);

/// The other way.
void trains_to_steps(std::uint64_t* steps, const std::uint64_t* trains, const std::uint32_t* active,
                     std::size_t active_count, std::size_t T, std::size_t F);

/// One step of C channels at P positions, from row-major `in`, bit c P + p, to channels-last `out` (P, CW),
/// CW = ceil(C / 64), bit c of row p.
void bits_to_channels_last(std::uint64_t* out, const std::uint64_t* in, std::size_t C, std::size_t P);
/// The other way.
void bits_to_row_major(std::uint64_t* out, const std::uint64_t* in, std::size_t C, std::size_t P);

/// 0 or 1 for each of `bits` bits of `words`.
void bits_to_values(float* values, const std::uint64_t* words, std::size_t bits);

/// out = a and b, bit by bit; `count` words each.
void and_words(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b, std::size_t count);
/// out = b where a is 0.
void inhibit_words(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b, std::size_t count);

/// The positions of the bits that are 1 among `bits` bits of `words`, ascending, into `list`. Returns how
/// many.
std::size_t list_bits(std::uint32_t* list, const std::uint64_t* words, std::size_t bits);

/// `count` <= 64 bits of `words` from bit `first` on; reads no word behind the last of them.
inline std::uint64_t bits_at(const std::uint64_t* words, std::size_t first, std::size_t count) {
  const std::size_t shift = first % 64;
  std::uint64_t bits = words[first / 64] >> shift;
  if (shift + count > 64) bits |= words[first / 64 + 1] << (64 - shift);
  return count < 64 ? bits & ((std::uint64_t{1} << count) - 1) : bits;
}

/// Calls body(i) for each i below `bits` at which bit `first` + i of `words` is 1, ascending.
template <class Body>
void for_each_bit_from(const std::uint64_t* words, std::size_t first, std::size_t bits, const Body& body) {
  for (std::size_t w = first / 64; w * 64 < first + bits; ++w) {
    std::uint64_t word = words[w];
    if (w == first / 64) word &= ~std::uint64_t{0} << first % 64;
    if (first + bits < w * 64 + 64) word &= (std::uint64_t{1} << (first + bits) % 64) - 1;
    for (; word != 0; word &= word - 1)
      body(w * 64 + static_cast<std::size_t>(std::countr_zero(word)) - first);
  }
}

}  // namespace volley::kernels
