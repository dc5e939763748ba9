#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "events/decoder.hpp"

struct LZ4F_dctx_s;
struct ZSTD_DCtx_s;

namespace volley {

/// How the packets of AEDAT 4 are packed.
enum class EventPacking { none, lz4, zstd };

/// Unpacks packets, each a size of 4 bytes and as many bytes, into memory that serves one after another.
class PacketUnpacker {
 public:
  /// A packet that is larger, unpacked, is refused: 2^21 events.
  static constexpr std::size_t kMostBytes = std::size_t{1} << 25;

  explicit PacketUnpacker(EventPacking packing);

  /// The bytes after the size; those of `packed` itself, or valid until the next call. Throws FileError for a
  /// damaged packet.
  std::string_view unpack(const EventBytes& file, std::string_view packed);

 private:
  struct FreeLz4 {
    void operator()(LZ4F_dctx_s* context) const;
  };
  struct FreeZstd {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  /// What one step of unpacking did.
  struct Step {
    std::size_t read = 0, written = 0;
    bool ended = false, failed = false;
  };

  void reset();
  Step step(std::string_view packed, std::span<char> to);
  void grow(const EventBytes& file, std::size_t filled);

  EventPacking packing_;
  std::unique_ptr<LZ4F_dctx_s, FreeLz4> lz4_;
  std::unique_ptr<ZSTD_DCtx_s, FreeZstd> zstd_;
  std::string unpacked_;
};

}  // namespace volley
