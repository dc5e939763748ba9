#include "kernels/bits.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace volley::kernels {

void transpose_64x64(std::uint64_t* words) {
  // Swaps the off-diagonal halves of ever smaller blocks (Warren, Hacker's Delight, section 7-3).
  std::uint64_t mask = 0x00000000FFFFFFFFu;
  for (int width = 32; width > 0; width >>= 1, mask ^= mask << width) {
    for (int r = 0; r < 64; r = ((r | width) + 1) & ~width) {
      const std::uint64_t swap = ((words[r] >> width) ^ words[r | width]) & mask;
      words[r] ^= swap << width;
      words[r | width] ^= swap;
    }
  }
}

std::size_t steps_to_trains(std::uint64_t* trains, std::uint32_t* active, const std::uint64_t* steps,
                            std::size_t T, std::size_t F) {
  const std::size_t FW = (F + 63) / 64;
  const std::size_t W = (T + 63) / 64;
  std::size_t active_count = 0;
  for (std::size_t fw = 0; fw < FW; ++fw) {
    std::uint64_t any = 0;
    for (std::size_t t = 0; t < T; ++t) any |= steps[t * FW + fw];
    for (std::size_t w = 0; w < W && any != 0; ++w) {
      std::uint64_t block[64] = {};
      const std::size_t rows = std::min<std::size_t>(64, T - w * 64);
      for (std::size_t r = 0; r < rows; ++r) block[r] = steps[(w * 64 + r) * FW + fw];
      transpose_64x64(block);
      std::size_t a = active_count;
      for (std::uint64_t left = any; left != 0; left &= left - 1) {
        trains[a++ * W + w] = block[std::countr_zero(left)];
      }
    }
    for (; any != 0; any &= any - 1) {
      active[active_count++] =
          static_cast<std::uint32_t>(fw * 64 + static_cast<std::size_t>(std::countr_zero(any)));
    }
  }
  return active_count;
}

void trains_to_steps(std::uint64_t* steps, const std::uint64_t* trains, const std::uint32_t* active,
                     std::size_t active_count, std::size_t T, std::size_t F) {
  const std::size_t FW = (F + 63) / 64;
  const std::size_t W = (T + 63) / 64;
  std::memset(steps, 0, T * FW * sizeof *steps);
  for (std::size_t a = 0; a < active_count;) {
    const std::size_t fw = active[a] / 64;
    std::size_t end = a;
    while (end < active_count && active[end] / 64 == fw) ++end;
    for (std::size_t w = 0; w < W; ++w) {
      std::uint64_t block[64] = {};
      for (std::size_t i = a; i < end; ++i) block[active[i] % 64] = trains[i * W + w];
      transpose_64x64(block);
      const std::size_t rows = std::min<std::size_t>(64, T - w * 64);
      for (std::size_t r = 0; r < rows; ++r) steps[(w * 64 + r) * FW + fw] = block[r];
    }
    a = end;
  }
}

namespace {

/// The other way from bits_at: into words whose bits there are 0.
void put_bits(std::uint64_t* words, std::size_t first, std::size_t count, std::uint64_t bits) {
  const std::size_t shift = first % 64;
  words[first / 64] |= bits << shift;
  if (shift + count > 64) words[first / 64 + 1] |= bits >> (64 - shift);
}

}  // namespace

void bits_to_channels_last(std::uint64_t* out, const std::uint64_t* in, std::size_t C, std::size_t P) {
  const std::size_t CW = (C + 63) / 64;
  for (std::size_t cw = 0; cw < CW; ++cw) {
    const std::size_t channels = std::min<std::size_t>(64, C - cw * 64);
    for (std::size_t p = 0; p < P; p += 64) {
      const std::size_t positions = std::min<std::size_t>(64, P - p);
      std::uint64_t block[64] = {};
      for (std::size_t c = 0; c < channels; ++c) block[c] = bits_at(in, (cw * 64 + c) * P + p, positions);
      transpose_64x64(block);
      for (std::size_t i = 0; i < positions; ++i) out[(p + i) * CW + cw] = block[i];
    }
  }
}

void bits_to_row_major(std::uint64_t* out, const std::uint64_t* in, std::size_t C, std::size_t P) {
  const std::size_t CW = (C + 63) / 64;
  std::memset(out, 0, (C * P + 63) / 64 * sizeof *out);
  for (std::size_t cw = 0; cw < CW; ++cw) {
    const std::size_t channels = std::min<std::size_t>(64, C - cw * 64);
    for (std::size_t p = 0; p < P; p += 64) {
      const std::size_t positions = std::min<std::size_t>(64, P - p);
      std::uint64_t block[64] = {};
      for (std::size_t i = 0; i < positions; ++i) block[i] = in[(p + i) * CW + cw];
      transpose_64x64(block);
      for (std::size_t c = 0; c < channels; ++c) put_bits(out, (cw * 64 + c) * P + p, positions, block[c]);
    }
  }
}

void bits_to_values(float* values, const std::uint64_t* words, std::size_t bits) {
  std::fill_n(values, bits, 0.0f);
  for (std::size_t w = 0; w * 64 < bits; ++w) {
    for (std::uint64_t word = words[w]; word != 0; word &= word - 1) {
      values[w * 64 + static_cast<std::size_t>(std::countr_zero(word))] = 1;
    }
  }
}

void and_words(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = a[i] & b[i];
}

void inhibit_words(std::uint64_t* out, const std::uint64_t* a, const std::uint64_t* b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = ~a[i] & b[i];
}

std::size_t list_bits(std::uint32_t* list, const std::uint64_t* words, std::size_t bits) {
  std::size_t count = 0;
  for_each_bit_from(words, 0, bits, [&](std::size_t i) { list[count++] = static_cast<std::uint32_t>(i); });
  return count;
}

}  // namespace volley::kernels
